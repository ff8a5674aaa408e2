"""Made-up cases beside made-up results: known guesses and answers about the real entities of a run."""

import numpy as np
import xarray as xr

from tests.app.made_analyses import add_answers
from tests.app.made_runs import make_result
from workbench.extraction.asking import ANSWER_KINDS
from workbench.probing.cases import choose_cells, make_probe_cases
from workbench.results.case_files import NOT_TOLD, save_cases
from workbench.results.storing import load_result, result_path, save_result
from workbench.studies.runs import Run
from workbench.worlds.biographies.schema import ATTRIBUTES

LAST = 1018


def add_cases(run: Run, step: int = LAST, right: float = 0.7, answered: float = 0.4) -> None:
    """Cases of the P-probe at positions 0 and 1, and of answers; the company of the first test entity is missing."""
    entities = [entity for entity in run.corpus.entities if entity.split == "test"]
    rng = np.random.default_rng(step)
    ids = np.array([entity.id for entity in entities])
    classes = [sorted({entity.values[a] for entity in run.corpus.entities}) for a in ATTRIBUTES]
    truth_KN = np.array(
        [[of.index(e.values[a]) for e in entities] for a, of in zip(ATTRIBUTES, classes, strict=True)]
    )
    truth_KN[ATTRIBUTES.index("company"), 0] = -1
    shape = (2, *truth_KN.shape)
    wrong = np.where(rng.random(shape) < right, 0, 1)
    sizes = np.array([len(of) for of in classes])[:, None]
    kept = choose_cells([""], [0, 1], len(ATTRIBUTES), len(ids), int(sizes.max()))
    cases = make_probe_cases(
        kept,
        layers=[""],
        positions=[0, 1],
        said_MKN=(truth_KN + wrong) % sizes,
        sure_MKN=rng.random(shape),
        counted_MKN=np.broadcast_to(truth_KN >= 0, shape),
        truth_KN=truth_KN,
        entities_N=ids,
        targets=[f"{a}/whole" for a in ATTRIBUTES],
        column_T=range(len(ATTRIBUTES)),
        names_T=classes,
        seed=0,
    )
    path = result_path(run.path, "p", "embedding", step)
    result = make_result(run, "p", step, last=LAST)
    save_cases(path, result, cases)
    save_result(path, result)
    add_answers(run, step, answered)
    asked = result_path(run.path, "qa", "lora", step, "lora")
    kinds = np.where(rng.random(truth_KN.shape) < answered, 0, 1)
    kinds[truth_KN < 0] = NOT_TOLD
    texts = [value for of in classes for value in of]
    first = np.cumsum([0, *[len(of) for of in classes]])[:-1, None]
    data = {
        "kind": kinds.astype(np.uint8),
        "first": (kinds == 0).astype(np.uint8),
        "said": (first + (truth_KN + kinds) % sizes).astype(np.int32),
        "truth": (first + truth_KN.clip(0)).astype(np.int32),
    }
    answers = xr.Dataset(
        {name: (("attribute", "entity"), values) for name, values in data.items()},
        coords={"attribute": list(ATTRIBUTES), "entity": ids},
        attrs={"left_out": ""},
    )
    answers["text"] = "number", np.asarray(texts, object)
    answers["kind_name"] = "kind_number", np.asarray(ANSWER_KINDS, object)
    save_cases(asked, load_result(asked), answers)
