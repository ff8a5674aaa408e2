"""A probe's cases: the class it said of each test entity, how sure it was, and what is right.

Shapes: M sets (a layer and a position), K columns (distinct tasks), N test entities, T targets, E texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.results.case_files import CASE_BYTES, HALF_PERCENTS, LAST_LAYER, NOT_TOLD


@dataclass(frozen=True)
class KeptCells:
    """Which cells' cases are kept: of some sets (numbers, in their order) the first `columns` columns."""

    sets: tuple[int, ...]
    columns: int
    all_sets: int
    all_columns: int

    @property
    def left_out(self) -> str:
        """A sentence where not everything is kept, else empty."""
        if len(self.sets) == self.all_sets and self.columns == self.all_columns:
            return ""
        return (
            f"Kept are {len(self.sets)} of {self.all_sets} places (layer and position) with {self.columns} of "
            f"{self.all_columns} tasks each: a file of cases holds {CASE_BYTES >> 20} MiB before compression."
        )


def choose_cells(
    layers: Sequence[object],
    positions: Sequence[object],
    n_columns: int,
    n_entities: int,
    n_classes: int,
    *,
    main: int = 0,
    limit: int = CASE_BYTES,
) -> KeptCells:
    """As many whole sets as `limit` bytes hold; sets are numbered layer by layer.

    First come all positions of the last layer (`final` where there is one), then the position `main` of the others,
    deepest first, then the rest. Where not one set fits, as many columns of the first as do, and at least one.
    """
    bytes_each = n_entities * (said_type(n_classes).itemsize + 1)
    names = [str(layer) for layer in layers]
    last = names.index(LAST_LAYER) if LAST_LAYER in names else len(names) - 1

    def rank(number: int) -> tuple[int, int, int]:
        layer, position = divmod(number, len(positions))
        return (0 if layer == last else 1 if position == main else 2), -layer, position

    order = sorted(range(len(layers) * len(positions)), key=rank)
    room = limit // max(1, bytes_each)
    fitting = min(len(order), room // n_columns)
    columns = n_columns if fitting else max(1, min(room, n_columns))
    return KeptCells(tuple(sorted(order[: max(1, fitting)])), columns, len(order), n_columns)


def said_type(n_classes: int) -> np.dtype[np.unsignedinteger]:
    """The smallest type for so many classes and one number more, for `not asked`."""
    return np.dtype(np.uint16 if n_classes < np.iinfo(np.uint16).max else np.uint32)


def name_classes(codes_E: np.ndarray, labels_E: np.ndarray, classes: Sequence[str]) -> list[str]:
    """What a target calls the classes of its column, from texts (or entities) labelled by both; -1 is no label."""
    names = np.full(int(codes_E.max(initial=-1)) + 1, "", object)
    known_E = (codes_E >= 0) & (labels_E >= 0)
    names[codes_E[known_E]] = np.asarray(classes, object)[labels_E[known_E]]
    return names.tolist()


def one_text_each(present_MN: np.ndarray, entities_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of several texts of an entity the one that a set's case is about: the first that is in it, else the first.

    Returns the entities [E] in the order of their first texts, and the texts [M, E] for each set.
    """
    n = len(entities_N)
    entities, first, entity_N = np.unique(entities_N, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank_MN = np.where(present_MN, np.arange(n), n + np.arange(n))
    texts_ME = np.full((len(present_MN), len(entities)), 2 * n)
    for rank_N, texts_E in zip(rank_MN, texts_ME, strict=True):
        np.minimum.at(texts_E, entity_N, rank_N)
    return entities[order], (texts_ME % n)[:, order]


def make_probe_cases(
    kept: KeptCells,
    *,
    layers: Sequence[object],
    positions: Sequence[object],
    said_MKN: np.ndarray,
    sure_MKN: np.ndarray | None,
    counted_MKN: np.ndarray,
    truth_KN: np.ndarray,
    entities_N: np.ndarray,
    targets: Sequence[str],
    column_T: Sequence[int],
    names_T: Sequence[Sequence[str]],
    seed: int,
) -> xr.Dataset:
    """The cases of the kept sets, for `save_cases`; said, sure and counted hold these sets and columns alone.

    layers, positions: what all sets are numbered by. sure_MKN: the probability of what is said, NaN where unknown.
    column_T: the column of each target; targets whose column is not kept are left out. names_T: see `name_classes`.
    """
    shown = [t for t, column in enumerate(column_T) if column < kept.columns]
    names = [list(names_T[t]) for t in shown]
    starts = np.cumsum([0, *[len(of) for of in names]])[:-1]
    small = said_type(max((len(of) for of in names), default=0))
    absent = np.iinfo(small).max
    sure = np.full(said_MKN.shape, np.nan) if sure_MKN is None else sure_MKN
    told = counted_MKN & np.isfinite(sure)
    halves = np.rint(HALF_PERCENTS * np.where(told, sure, 0))
    places = [divmod(number, len(positions)) for number in kept.sets]
    variables = {
        "said": (("set", "column", "entity"), np.where(counted_MKN, said_MKN, absent).astype(small)),
        "probability": (("set", "column", "entity"), np.where(told, halves, NOT_TOLD).astype(np.uint8)),
        "truth": (("column", "entity"), np.where(truth_KN >= 0, truth_KN, absent).astype(small)),
        "layer": ("set", np.asarray([str(layers[layer]) for layer, _ in places], object)),
        "position": ("set", np.asarray([str(positions[position]) for _, position in places], object)),
        "column_of": ("target", np.asarray([column_T[t] for t in shown], np.int32)),
        "first_name": ("target", starts.astype(np.int64)),
        "name": ("class", np.asarray([name for of in names for name in of], object)),
    }
    coords = {"entity": np.asarray(entities_N, np.int64), "target": [targets[t] for t in shown]}
    return xr.Dataset(variables, coords=coords, attrs={"seed": str(seed), "left_out": kept.left_out})
