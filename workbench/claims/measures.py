"""From results to the numbers that claims are about. Each measure reads one cell, with the entities behind it."""

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.claims.declared import Experiment
from workbench.claims.expressions import Term
from workbench.claims.quantities import Bracket, Correlation, Missing, OfSameEntities, Quantity
from workbench.claims.readers import READERS, make_share, require_cell
from workbench.claims.sources import folder_of, sources_of
from workbench.errors import WorkbenchError
from workbench.extraction.finetunes import finetune_of_last
from workbench.results.storing import find_newest
from workbench.studies.opening import is_study
from workbench.studies.runs import Run, open_run
from workbench.training.data import ENTITIES_MEASURED_FINALLY

if TYPE_CHECKING:
    import xarray as xr


def measure(term: Term, experiment: Experiment, scale: str, run: Run | None) -> Quantity | Missing:
    """The number that a term stands for, of one arm's run.

    Raises WorkbenchError where the result has no such cell.
    """
    if run is None:
        return Missing(f"{term.arm} is not trained")
    found = _measure(term, experiment, scale, run)
    if isinstance(found, Missing) or run.recipe.world != "own":
        return found
    return OfSameEntities(found)  # a table's entities are those of every seed


def _measure(term: Term, experiment: Experiment, scale: str, run: Run) -> Quantity | Missing:
    if term.kind.stage == "train":
        return _recites(term, run) if term.measure == "recites" else _reaches(term, run)
    name = experiment.stage_of(term)
    assert name is not None
    sources = sources_of(name, experiment.stages[name], scale, term.option("group"))
    if term.measure == "v":
        sources = [source for source in sources if source.variant.partition("+")[0] == term.cell]
    if not sources:
        raise WorkbenchError(f"{term}: the stage {name!r} does not measure {term.cell!r}.")
    read = _open_at(run, folder_of(experiment.stages[name], scale))
    dataset = None if read is None else find_newest(read, *astuple(sources[0]))
    if read is None or dataset is None:
        return Missing(f"{term.arm}: {name} is not done")
    return READERS[term.measure](term, dataset, read)


def _open_at(run: Run, folder: Path) -> Run | None:
    """The run, or the model that one of its finetunes left, as long as that is a finetune of the run's last weights."""
    if folder == Path():
        return run
    merged = is_study(run.path / folder) and finetune_of_last(run, folder.name) is not None
    return open_run(run.path / folder) if merged else None


def correlate(
    term: Term, experiment: Experiment, scale: str, runs: Mapping[str, Run | None]
) -> Quantity | Missing:
    """Pearson's r of two measures over all arms that have both, by attribute, whole values but the first's.

    Its interval counts arms, not cells: the attributes of one model are not independent.
    """
    pairs: list[tuple[float, float]] = []
    arms = 0
    for arm, run in runs.items():
        found = []
        for name in (term.arm, term.cell):
            stages = [
                stage
                for stage in experiment.arms[arm].stages
                if experiment.stages[stage].makes == name
                and "group" not in experiment.stages[stage].options
                and not experiment.stages[stage].after
            ]
            if not stages or run is None:
                break
            source = sources_of(stages[0], experiment.stages[stages[0]], scale)[0]
            if (dataset := find_newest(run, *astuple(source))) is None:
                break
            found.append(_by_attribute(name, dataset))
        if len(found) == 2:
            both = [key for key in found[0] if key in found[1]]
            pairs += [(found[0][key], found[1][key]) for key in both]
            arms += 1
    if arms < 4:
        return Missing(f"{arms} arms have both {term.arm} and {term.cell}; it takes 4")
    first, second = np.array(pairs).T
    if first.std() == 0 or second.std() == 0:
        return Missing(f"{term.arm} and {term.cell} do not vary", made=False)
    return Correlation(float(np.corrcoef(first, second)[0, 1]), arms)


def _by_attribute(name: str, dataset: "xr.Dataset") -> dict[str, float]:
    """Attribute → accuracy, without attributes that are asked in full and probed in part."""
    if name == "answers":
        test = dataset["accuracy"].sel(split="test")
        return {
            str(key): float(value)
            for key, value in zip(test["attribute"].values, test.values, strict=True)
            if not np.isnan(value)  # an attribute that was not asked
        }
    cells = (
        dataset["accuracy"].isel(position=0)
        if "position" in dataset["accuracy"].dims
        else dataset["accuracy"]
    )
    return {
        str(target).partition("/")[0]: float(value)
        for target, value in zip(cells["target"].values, cells.values, strict=True)
        if str(target).endswith("/whole") and not np.isnan(value)
    }


def _recites(term: Term, run: Run) -> Quantity | Missing:
    rows = [row for row in run.metrics() if row.get("biographies")]
    if not rows:
        return Missing(f"{term.arm} is not trained")
    halves = [half for half in rows[-1]["biographies"].values() if half]
    known = [key for key in halves[0] if all(key in half for half in halves)]
    require_cell(term.cell, known, term, "attribute")
    value = float(np.mean([half[term.cell] for half in halves]))
    return make_share(value, min(run.n_entities, 2 * ENTITIES_MEASURED_FINALLY), term, term.cell)


def _reaches(term: Term, run: Run) -> Quantity | Missing:
    """When a curve first is at the height: between the evaluation before and this one."""
    split, share = str(term.option("split", "test")), float(term.option("share", 50))
    before = 0.0
    rows = [row for row in run.metrics() if row.get(term.cell)]
    for row in rows:
        if not row[term.cell].get(split):
            raise WorkbenchError(f"{term}: {term.cell} of the half {split!r} are not measured in this run.")
        now = float(row.get("exposures") or 0.0)
        if 100 * row[term.cell][split]["mean"] >= share:
            return Bracket(min(before, now), now)
        before = now
    if not rows:
        return Missing(f"{term.arm} measures no {term.cell} while it is trained")
    return Missing(f"{term.cell} of {split} entities never reach {share:g} % in {term.arm}", made=False)
