"""One cell of a result as a quantity, with the entities behind it: a function for each measure.

Entries, queries and pairs of one entity are not independent; entities count.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from workbench.claims.expressions import MEAN, Term
from workbench.claims.quantities import Exact, Mean, Normal, Quantity, Share
from workbench.errors import WorkbenchError, nearest
from workbench.results.storing import find_result, result_path
from workbench.studies.runs import Run

if TYPE_CHECKING:
    import xarray as xr

PAIRS = ("comparison", "difference")  # families of tasks about two entities


def _probed(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    """P and Q: a target, or the mean over attributes."""
    cells = dataset
    if term.measure == "p":
        position = int(term.option("position", 0))
        require_cell(position, dataset["position"].values.tolist(), term, "position")
        cells = dataset.sel(position=position)
    elif "position" in dataset.dims:
        cells = dataset.isel(position=0)
    known = [str(target) for target in dataset["target"].values]
    if term.cell == MEAN:
        from workbench.figures.learning_curve import targets_of_form

        targets = [str(target) for target in targets_of_form(dataset, "whole")]
    else:
        require_cell(term.cell, known, term, "target")
        targets = [term.cell]
    entities = _test_entities(run, dataset)
    name = {"": "accuracy", "not_next": "accuracy_not_next", "train": "train_accuracy", "chance": "chance"}
    count = "n_not_next" if term.selector == "not_next" else "n"
    parts: list[Quantity] = []
    for target in targets:
        cell = cells.sel(target=target)
        value, n = float(cell[name[term.selector]]), int(cell[count])
        if term.selector == "chance":
            parts.append(Exact(100 * value))
        else:
            parts.append(make_share(value, min(n, entities), term, target))
    return _mean(parts)


def _answered(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    split = "train" if term.selector in ("train", "train_first") else "test"
    name = {"first": "first_accuracy", "train_first": "first_accuracy"}
    is_chance = term.selector in ("chance", "first_chance")
    if is_chance and term.selector not in dataset:
        raise WorkbenchError(f"{term}: the result is of an earlier version and does not tell it; ask again.")
    cells = dataset.sel(split=split)
    asked = [str(key) for key in dataset["attribute"].values if int(cells["n"].sel(attribute=key))]
    if term.cell != MEAN:
        require_cell(term.cell, asked, term, "attribute")
        asked = [term.cell]
    parts: list[Quantity] = []
    for key in asked:
        cell = cells.sel(attribute=key)
        value = float(cell[term.selector if is_chance else name.get(term.selector, "accuracy")])
        parts.append(Exact(100 * value) if is_chance else make_share(value, int(cell["n"]), term, key))
    return _mean(parts)


def _count_entities(dataset: "xr.Dataset", cell: "xr.Dataset", task: str) -> int:
    """What a cell of tasks says of how many entities: half as many as pairs, which old results do not tell apart."""
    if "n_entities" in cell:
        return int(cell["n_entities"])
    plan = json.loads(dataset.attrs.get("settings", "{}")).get("plan", {})
    own_pairs = {one["name"] for one in plan.get("definitions", ()) if one["family"] in PAIRS}
    return int(cell["n"]) // (2 if task.startswith(PAIRS) or task in own_pairs else 1)


def _did_tasks(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    """A task about two entities asks each of them about twice: its questions count half."""
    mode, split = term.option("mode", "direct"), "train" if term.selector == "train" else "test"
    names = [str(task) for task in dataset["task"].values]
    require_cell(mode, dataset["mode"].values.tolist(), term, "mode")
    if term.cell != MEAN:
        require_cell(term.cell, names, term, "task")
        names = [term.cell]
    variable = {"predicted": "predicted", "hints": "hint_accuracy", "chance": "chance"}.get(
        term.selector, "accuracy"
    )
    parts: list[Quantity] = []
    for task in names:
        cell = dataset.sel(split=split, task=task, mode=mode)
        value, n = float(cell[variable]), _count_entities(dataset, cell, task)
        parts.append(Exact(100 * value) if variable == "chance" else make_share(value, n, term, task))
    return _mean(parts)


def _solved(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    assert run.recipe.arithmetic is not None
    family = run.recipe.arithmetic.problems
    names = [str(name) for name in dataset["operations"].values]
    chosen = {
        MEAN: names,
        "within": [name for name in names if name.isdecimal() and int(name) <= family.operations],
        "beyond": [name for name in names if name.isdecimal() and int(name) > family.operations],
    }.get(term.cell, [term.cell])
    parts: list[Quantity] = []
    for name in chosen:
        require_cell(name, names, term, "number of operations")
        cell = dataset.sel(operations=name)
        if term.selector == "retries":
            parts.append(Exact(float(cell["retries"])))
        elif term.selector == "fault_told":
            if "fault_told" not in dataset:
                raise WorkbenchError(
                    f"{term}: the stage did not ask probes; give it the option mistakes = true."
                )
            if n := int(cell["n_fault"]):
                parts.append(make_share(float(cell["fault_told"]), n, term, name))
        else:
            parts.append(make_share(float(cell["accuracy"]), int(cell["n"]), term, name))
    if not parts:
        raise WorkbenchError(f"{term}: nothing there to measure it on.")
    return _mean(parts)


def _v_probed(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    """Queries of one problem are not independent: as many count as there are problems."""
    if term.selector == "chance":
        return Exact(100 * float(dataset["chance"]))
    if "n_texts" in dataset:
        n = int(dataset["n_texts"])
    else:  # of an earlier version
        n = min(int(dataset["n"]), int(json.loads(dataset.attrs["settings"]).get("n_test", dataset["n"])))
    if term.selector == "untrained":
        variant = str(dataset.attrs["variant"])
        first = run.checkpoints[0]
        path = result_path(run.path, "v", "embedding", first.step, variant)
        control = find_result(path, first.weights_digest, None)
        if first.step != 0 or control is None:
            raise WorkbenchError(f"{term}: the untrained network was not probed.")
        return make_share(float(control["accuracy"]), n, term, term.cell)
    return make_share(float(dataset["accuracy"]), n, term, term.cell)


def _counted_bits(term: Term, dataset: "xr.Dataset", run: Run) -> Quantity:
    entities, parameters = int(dataset["n"].max()), float(dataset["parameters"])
    most, error = float(dataset["most_bits"]), float(dataset["bits_se"])
    error = 0.0 if math.isnan(error) else error
    if term.selector == "most":
        return Exact(most / parameters)
    unit = parameters if term.measure == "bits" else most / 100
    return Normal(float(dataset["bits"]) / unit, error / unit, entities)


def make_share(value: float, n: int, term: Term, cell: str) -> Share:
    if n < 1 or math.isnan(value):
        raise WorkbenchError(f"{term}: the cell {cell!r} is empty; ask for one that has been measured.")
    return Share(min(max(value, 0.0), 1.0) * n, n)


def _mean(parts: Sequence[Quantity]) -> Quantity:
    return parts[0] if len(parts) == 1 else Mean(tuple(parts))


def _test_entities(run: Run, dataset: "xr.Dataset") -> int:
    """How many test entities a probe's result is about: those of its group."""
    group = next(
        (part[6:] for part in str(dataset.attrs.get("variant", "")).split("+") if part.startswith("group-")),
        None,
    )
    return sum(entity.split == "test" and group in (None, entity.group) for entity in run.corpus.entities)


def require_cell(value: Any, known: Sequence[Any], term: Term, what: str) -> None:
    if value not in known:
        hint = nearest(str(value), [str(one) for one in known])
        raise WorkbenchError(
            f"{term}: there is no {what} {value!r}{hint or '.'} There are {', '.join(map(str, known))}."
        )


READERS: dict[str, Callable[[Term, "xr.Dataset", Run], Quantity]] = {
    "p": _probed,
    "q": _probed,
    "answers": _answered,
    "tasks": _did_tasks,
    "solved": _solved,
    "v": _v_probed,
    "bits": _counted_bits,
    "learned": _counted_bits,
}
