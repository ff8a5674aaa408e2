"""From runs to what panels show: results loaded, seeds folded, one checkpoint and one layer chosen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import select_cells
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.publication.request import PAPERS, FigureRequest
from workbench.probing.pooling import pool_results
from workbench.results.storing import (
    list_results,
    load_results,
    require_same_weights,
    usual_first,
    weights_digests,
)
from workbench.studies.folds import Fold, fold_runs, recipe_of
from workbench.studies.study import Study, name_apart

DEPTHS = ("layer", "site")


@dataclass(frozen=True)
class Source:
    """The result of one run, or of several as one.

    name: as the figure calls it; fold: which runs they are; results: each member's own, with its digests; data: what is
    drawn, dims (checkpoint, …).
    """

    name: str
    fold: Fold
    results: tuple[tuple[str, xr.Dataset], ...]
    data: xr.Dataset

    @property
    def steps(self) -> list[int]:
        return [int(step) for step in self.data["checkpoint"].values.tolist()]

    def shown(self, step: int | None) -> int:
        """The newest checkpoint not after a step (the first where all are later); of None the newest."""
        steps = self.steps
        return max((known for known in steps if step is None or known <= step), default=min(steps))

    def digests(self, step: int) -> list[tuple[str, str, str]]:
        """(run, digest of the recipe, digest of the weights) of each member at a step."""
        return [
            (name, str(result.attrs["recipe_digest"]), weights_digests(result)[step])
            for name, result in self.results
        ]


def load_sources(runs: Sequence[Study], kind: str, request: FigureRequest) -> list[Source]:
    """What a kind of probe (`p`, `q`) has read of the runs, folded as asked."""
    names = name_apart(runs)
    recipes = [recipe_of(run) for run in runs]
    folds = (
        fold_runs(names, recipes, request.fold)
        if request.fold
        else [Fold(name, (place,)) for place, name in enumerate(names)]
    )
    return [_load(runs, names, fold, kind, request) for fold in folds]


def usual_family(runs: Sequence[Study], kinds: Collection[str]) -> str:
    """The probe to show where none is named: the paper's where all runs have it of every kind, else one all have."""
    known = [
        [found.family for found in list_results(run.path) if found.kind == kind]
        for run in runs
        for kind in kinds
    ]
    shared = [family for family in known[0] if all(family in other for other in known)] if known else []
    return min(shared, key=usual_first, default=PAPERS)


def _load(
    runs: Sequence[Study], names: Sequence[str], fold: Fold, kind: str, request: FigureRequest
) -> Source:
    family, _, variant = request.family.partition("+")
    results = []
    for place in fold.members:
        result = load_results(runs[place].path, kind, family, variant)
        require_same_weights(result, {one.step: one.weights_digest for one in runs[place].checkpoints})
        results.append((names[place], result))
    if len(results) == 1:
        return Source(fold.name, fold, tuple(results), results[0][1])
    seeds = [runs[place].seed for place in fold.members]
    pooled = pool_results([result for _, result in results], [name for name, _ in results], seeds)
    return Source(fold.name, fold, tuple(results), pooled)


def depth_of(data: xr.Dataset) -> str | None:
    """The dimension that tells layers or sites apart, if the result has one."""
    return next((name for name in DEPTHS if name in data["accuracy"].dims), None)


def cells_of(source: Source, request: FigureRequest, dims: tuple[str, ...], step: int | None) -> xr.Dataset:
    """The numbers of a panel over `dims`, with the metrics that are made from others.

    step: the one shown; `checkpoint` among dims keeps all. A depth that is not among dims is the one asked for, else
    the deepest.
    """
    data = source.data
    depth = depth_of(data)
    if depth and depth not in dims:
        labels = [str(label) for label in data[depth].values.tolist()]
        wanted = request.layer or labels[-1]
        if wanted not in labels:
            raise WorkbenchError(f"{source.name} has no {depth} {wanted!r}; it has {', '.join(labels)}.")
        data = data.isel({depth: labels.index(wanted)})
    if request.form != "all":
        data = data.sel(target=targets_of_form(data, request.form))
    cells = select_cells(data, step, dims)
    derived = {"above_chance": cells["accuracy"] - cells["chance"]}
    if "control" in cells:
        derived["selectivity"] = cells["accuracy"] - cells["control"]
    cells = cells.assign(derived)
    if request.metric not in cells:
        raise WorkbenchError(
            f"{source.name} has no {request.metric} (its result was made without what it takes); choose another "
            "metric, or probe it again."
        )
    return cells


def at_position(cells: xr.Dataset, source: Source, position: int) -> xr.Dataset:
    """The cells of one position; one that is not there is refused with those there are."""
    known = cells["position"].values.tolist()
    if position not in known:
        raise WorkbenchError(
            f"{source.name} has no position {position}; it has {', '.join(map(str, known))}."
        )
    return cells.sel(position=position)


def grid_of(cells: xr.Dataset, variable: str, dims: tuple[str, str]) -> np.ndarray:
    """[rows, columns] of a variable over two dimensions, repeated along one that it does not have."""
    like = cells["accuracy"].transpose(*dims)
    return np.asarray(cells[variable].astype(float).broadcast_like(like).transpose(*dims).values, float)
