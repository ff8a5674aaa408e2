"""Made-up results that are no probes by position: sets, answers, attention, confusions."""

import numpy as np
import xarray as xr

from workbench.figures.paper import TARGETS
from workbench.results.provenance import make_attrs
from workbench.results.storing import result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.runs import Run
from workbench.studies.weight_files import SINGLE_FILE
from workbench.worlds.biographies.schema import ATTRIBUTES

SETS = ("nothing", "d", "b", "d,b", "d,b,u")
KINDS = (
    "right",
    "another entity's value",
    "the commonest value",
    "a value of another attribute",
    "malformed",
)


def attrs_of(run: Run, kind: str, family: str, step: int, variant: str = "", settings=None) -> dict[str, str]:
    checkpoint = Checkpoint(run.path, run.path.name, step, info={"sha256": {SINGLE_FILE: f"{step:064x}"}})
    return make_attrs(
        kind=kind, family=family, run=run, checkpoint=checkpoint, settings=settings or {}, variant=variant
    )


def with_confusion(result: xr.Dataset, target: str, said: list[list[int]], names: list[str]) -> xr.Dataset:
    """A P-probe's result with the same counts [2, 3] in every cell of one target, padded to eight values."""
    counts = np.zeros((*result["accuracy"].shape, 8, 9), np.uint16)
    counts[:, TARGETS.index(target), :2, :2] = np.array(said)[:, :2]
    counts[:, TARGETS.index(target), :2, 8] = np.array(said)[:, 2]
    values = np.full((len(TARGETS), 8), "", object)
    values[TARGETS.index(target), :2] = names
    return result.assign(
        confusion=((*result["accuracy"].dims, "true_value", "said_value"), counts),
        confusion_values=(("target", "true_value"), values),
    ).assign_coords(true_value=range(8), said_value=[*map(str, range(8)), "another"])


def add_sets(run: Run, step: int) -> xr.Dataset:
    """Accuracies by the set of attributes said: birth city is read once the birth date has been said."""
    accuracy = np.full((len(SETS), len(TARGETS)), np.nan)
    for s, said in enumerate(SETS):
        for k, target in enumerate(TARGETS):
            letter = {"birth_date": "d", "birth_city": "b", "university": "u"}.get(target.partition("/")[0])
            if letter not in said.split(","):
                accuracy[s, k] = 0.9 if letter == "b" and "d" in said else 0.1
    n = np.where(np.isnan(accuracy), 0, 50)
    dims = ("seen", "target")
    variables = {
        "accuracy": (dims, accuracy),
        "n": (dims, n),
        "ci_low": (dims, accuracy - 0.05),
        "ci_high": (dims, accuracy + 0.05),
        "chance": ("target", np.full(len(TARGETS), 0.1)),
    }
    coords = {"seen": list(SETS), "target": list(TARGETS), "checkpoint": step}
    dataset = xr.Dataset(variables, coords=coords, attrs=attrs_of(run, "seen", "embedding", step))
    save_result(result_path(run.path, "seen", "embedding", step), dataset)
    return dataset


def add_answers(run: Run, step: int, test: float, name: str = "lora") -> xr.Dataset:
    """An evaluation of a finetune: train half all right, test half `test` and a little more each."""
    accuracy = np.array([[1.0] * 6, [test + 0.02 * a for a in range(6)]])
    n = np.full((2, 6), 100)
    said = np.zeros((2, 6, len(KINDS)), int)
    said[..., 0] = np.rint(100 * accuracy)
    said[..., 1] = 100 - said[..., 0]
    dims = ("split", "attribute")
    variables = {
        **dict.fromkeys(("accuracy", "first_accuracy", "recall_whole", "recall_first"), (dims, accuracy)),
        **{name: (dims, np.clip(accuracy - 0.05, 0, 1)) for name in ("ci_low", "first_ci_low")},
        **{name: (dims, np.clip(accuracy + 0.05, 0, 1)) for name in ("ci_high", "first_ci_high")},
        **{name: (dims, np.full((2, 6), 0.08)) for name in ("chance", "first_chance")},
        "n": (dims, n),
        "recall_n": (dims, n),
        "said": ((*dims, "answer_kind"), said),
    }
    coords = {"split": ["train", "test"], "attribute": list(ATTRIBUTES), "answer_kind": list(KINDS)}
    attrs = attrs_of(run, "qa", "lora", step, name)
    dataset = xr.Dataset(variables, coords={**coords, "checkpoint": step}, attrs=attrs)
    save_result(result_path(run.path, "qa", "lora", step, name), dataset)
    return dataset


def add_tasks(
    run: Run, step: int, name: str, *, hints: bool, train_entities: int | None = None
) -> xr.Dataset:
    """An evaluation of a finetune on two tasks: test half .6 and .7 directly; .9 with hints where it was taught so."""
    direct, hint = np.array([[0.8, 0.9], [0.6, 0.7]]), np.full((2, 2), 0.9 if hints else np.nan)
    accuracy = np.stack([direct, hint], -1)
    n = np.where(np.isnan(accuracy), 0, 50)
    told = np.where(np.isnan(accuracy), np.nan, 0.85) * np.array([np.nan, 1.0])
    dims = ("split", "task", "mode")
    variables = {
        "accuracy": (dims, accuracy),
        "n": (dims, n),
        "ci_low": (dims, accuracy - 0.1),
        "ci_high": (dims, accuracy + 0.1),
        "chance": (dims, np.where(n > 0, 0.5, np.nan)),
        "first_accuracy": (dims, accuracy),
        "hint_accuracy": (dims, told),
        "predicted": (dims, told + (1 - told) * 0.5),
    }
    plan = {
        "specs": ["mine"],
        "hints": hints,
        "train_entities": train_entities,
        "pairs": None,
        "definitions": [],
    }
    settings = {"plan": plan, "finetune": name, "finetuning": {"tasks": plan}, "train_half": 30}
    tasks = ["classification:birth_date.month%2", "inverse:birth_date"]
    coords = {"split": ["train", "test"], "task": tasks, "mode": ["direct", "hint"], "checkpoint": step}
    attrs = attrs_of(run, "tasks", "lora", step, name, settings)
    dataset = xr.Dataset(variables, coords=coords, attrs=attrs)
    save_result(result_path(run.path, "tasks", "lora", step, name), dataset)
    return dataset


def add_shares(run: Run, step: int) -> xr.Dataset:
    """Shares of attention [block, head, position, group], as `workbench attention` keeps them."""
    share = np.random.default_rng(step).dirichlet(np.ones(3), (2, 4, 6)).astype(float)
    coords = {"block": range(2), "head": range(4), "position": range(6), "group": ["name", "values", "start"]}
    variables = {
        "group_share": (("block", "head", "position", "group"), share),
        "group_share_se": (("block", "head", "position", "group"), np.full(share.shape, 0.01)),
        "entropy": (("block", "head", "position"), 3 * share[..., 0]),
        "n": ("position", np.full(6, 40)),
    }
    attrs = attrs_of(run, "attention", "shares", step)
    dataset = xr.Dataset(variables, coords={**coords, "checkpoint": step}, attrs=attrs)
    save_result(result_path(run.path, "attention", "shares", step), dataset)
    return dataset
