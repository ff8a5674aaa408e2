"""Several texts of each entity: all texts of a test entity are tested, and intervals count entities."""

import json

import numpy as np
import pytest

from tests.studies.towns import TOML, make_tokenizer, workbench, write_towns
from workbench.facts.entities import split_mask
from workbench.probing.cases import one_text_each
from workbench.results.case_files import case_path, load_case_file
from workbench.results.cases import CaseChoice, load_cases
from workbench.results.storing import load_result
from workbench.studies.creating import create_study
from workbench.studies.table_study import TableStudy

TWO_WITH_ONE_PLACE = '["{town} lies in {country} .", "The road to {town} ."]'


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TableStudy:
    """Two texts of each town; only one of them states the country."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    folder, tokenizer = tmp_path_factory.mktemp("several"), make_tokenizer()
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=24, use_cache=False,
    )  # fmt: skip
    GPTNeoXForCausalLM(config).save_pretrained(folder / "series")
    tokenizer.save_pretrained(str(folder / "series"))
    write_towns(folder)
    start, end = TOML.index('["{town} lies'), TOML.index("\n\n[[attributes]]")
    (folder / "towns.toml").write_text(TOML[:start] + TWO_WITH_ONE_PLACE + TOML[end:], encoding="utf-8")
    return create_study(folder / "towns.toml", folder / "study")[0]


@pytest.mark.parametrize("family", ["ridge", "embedding"])
def test_every_text_of_a_test_entity_is_tested(study: TableStudy, family: str) -> None:
    steps = ("--steps", "2") if family == "embedding" else ()
    workbench("probe", study.path, "--family", family, *steps, "--quiet", "--device", "cpu")
    (path,) = (study.path / "results").glob(f"p-{family}*/*.nc")
    result = load_result(path)
    if "layer" in result.dims:
        result = result.isel(layer=-1)
    tested = int(split_mask(study.corpus.entities, "test").sum())
    by_place = dict(zip(result["place"].values.tolist(), result["n"].values.tolist(), strict=True))
    assert by_place == {"end:town": [2 * tested] * 3, "before:country": [tested] * 3}
    assert json.loads(result.attrs["notes"]).get("test_texts", 2 * tested) == 2 * tested

    width = result["ci_high"] - result["ci_low"]
    accuracy = result["accuracy"]
    alone = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / tested)  # were the two texts of a town one
    together = alone / np.sqrt(2)  # were they independent
    assert (width >= 0.8 * together).all() and (width <= 1.3 * alone + 0.1).all()

    cases = load_case_file(case_path(path), path)
    assert cases.sizes["entity"] == tested
    assert sorted(cases["entity"].values.tolist()) == [
        e.id for e in study.corpus.entities if e.split == "test"
    ]


def test_a_case_is_one_text_that_has_the_place(study: TableStudy) -> None:
    workbench("probe", study.path, "--family", "ridge", "--quiet", "--device", "cpu")
    rows = load_cases(study.path, CaseChoice(probe="p-ridge", position="1", answers="none"))
    assert len(rows) == 2 * int(split_mask(study.corpus.entities, "test").sum())
    share = rows[rows["attribute"] == "side"]["probe_right"].mean()
    (path,) = (study.path / "results" / "p-ridge").glob("*.nc")
    result = load_result(path).isel(layer=-1)
    assert share == pytest.approx(float(result["accuracy"].sel(position=1, target="side/whole")))


def test_which_text_of_an_entity_a_case_is_about() -> None:
    entities_N = np.array([7, 3, 7, 3, 5])
    present_MN = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]], bool)
    entities, texts_ME = one_text_each(present_MN, entities_N)
    assert entities.tolist() == [7, 3, 5]
    assert texts_ME.tolist() == [[0, 1, 4], [2, 1, 4], [0, 3, 4]]
    assert one_text_each(present_MN[:0], entities_N)[1].shape == (0, 3)
