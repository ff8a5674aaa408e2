"""Label columns: every target for every seed, once with its labels and once with labels shuffled by entity.

Shapes: N texts, T targets, S seeds, K distinct columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.probing.linear.batch import ABSENT
from workbench.seeds import make_rng

VALIDATION_SHARE = 0.15  # of the train entities
PAD_FROM = 0.7  # a column with at least this share of its neighbour's classes is padded to as many


@dataclass(frozen=True)
class Columns:
    """The distinct label columns of a problem.

    labels_NK: int64, -1 = no label; classes without a train text come after all others. target_K: the target whose
    presence holds for the column. n_classes: room for each column's train classes. place_TS2: the column of each
    target and seed, [..., 0] with its labels and [..., 1] shuffled (-1 without controls).
    """

    labels_NK: np.ndarray
    target_K: np.ndarray
    n_classes: tuple[int, ...]
    seeds: tuple[int, ...]
    validation_NK: np.ndarray
    place_TS2: np.ndarray

    @property
    def n_labels(self) -> int:
        """One more than the largest label or answer there can be."""
        return max(int(self.labels_NK.max()) + 1, *self.n_classes)


def make_columns(
    labels_NT: np.ndarray,
    presence_T: Sequence[object],
    entities_N: np.ndarray,
    train_N: np.ndarray,
    seeds: Sequence[int],
    *,
    controls: bool,
    depends_on_seed: bool,
    test_N: np.ndarray | None = None,
) -> Columns:
    """Lay out the columns; equal ones are kept once.

    Two columns are equal when they cut the texts into the same classes, whatever those are called: a value whose
    first token determines it makes `first` and `whole` one column. `presence_T` says by equality which targets are
    present in the same texts. Columns are sorted by their number of classes, and padded where that joins them.
    """
    found: dict[object, int] = {}
    labels: list[np.ndarray] = []
    targets: list[int] = []
    column_seeds: list[int] = []
    place_TS2 = np.full((labels_NT.shape[1], len(seeds), 2), -1)
    for s, seed in enumerate(seeds):
        shuffled_NT = shuffle_by_entity(labels_NT, entities_N, train_N, seed, test_N) if controls else None
        for t in range(labels_NT.shape[1]):
            for kind, source_NT in enumerate((labels_NT, shuffled_NT)):
                if source_NT is None:
                    continue
                codes_N = name_by_first_text(source_NT[:, t], train_N)
                key = (codes_N.tobytes(), presence_T[t], seed if depends_on_seed else None)
                if key not in found:
                    found[key] = len(labels)
                    labels.append(codes_N)
                    targets.append(t)
                    column_seeds.append(seed)
                place_TS2[t, s, kind] = found[key]
    sizes = np.array([codes[train_N].max() + 1 for codes in labels])
    order = np.argsort(sizes, kind="stable")
    labels_NK, sizes = np.stack(labels, 1)[:, order], sizes[order]
    new_place = np.empty_like(order)
    new_place[order] = np.arange(len(order))
    held_out = {seed: validation_texts(entities_N, train_N, seed) for seed in seeds}
    return Columns(
        labels_NK=np.where(labels_NK < sizes, labels_NK, labels_NK - sizes + sizes.max()),
        target_K=np.array(targets)[order],
        n_classes=pad_sizes(sizes.tolist()),
        seeds=tuple(column_seeds[k] for k in order),
        validation_NK=np.stack([held_out[column_seeds[k]] for k in order], 1),
        place_TS2=np.where(place_TS2 < 0, -1, new_place[place_TS2]),
    )


def name_by_first_text(labels_N: np.ndarray, train_N: np.ndarray) -> np.ndarray:
    """Rename labels to 0, 1, … in the order of their first train text, then of their first other text.

    int64 [N]; negative labels become -1. The names of train labels do not depend on any other text.
    """
    order = np.argsort(~train_N, kind="stable")
    values, first, code_N = np.unique(labels_N[order], return_index=True, return_inverse=True)
    rank = np.full(len(values), ABSENT, np.int64)
    kept = values >= 0
    rank[kept] = np.argsort(np.argsort(first[kept]))
    named_N = np.empty(len(labels_N), np.int64)
    named_N[order] = rank[code_N]
    return named_N


def shuffle_by_entity(
    labels_NT: np.ndarray,
    entities_N: np.ndarray,
    train_N: np.ndarray,
    seed: int,
    test_N: np.ndarray | None = None,
) -> np.ndarray:
    """Give every entity another entity's labels, within each half of the split (Hewitt & Liang 2019, by entity).

    Texts of neither half get no label: those of a half come from its own texts alone.
    The same entities change places for every target they share. The j-th text of an entity gets the label of the
    donor's j-th text (counted round and round), so labels that belong to entities stay labels of entities.
    """
    shuffled_NT = np.full_like(labels_NT, ABSENT)
    for name, half_N in (("train", train_N), ("test", ~train_N if test_N is None else test_N)):
        ids, entity_n = np.unique(entities_N[half_N], return_inverse=True)
        key_of_entity = make_rng(seed, "control", name).random(len(ids))
        entity_N = np.zeros(len(entities_N), np.int64)
        entity_N[half_N] = entity_n
        for t in range(labels_NT.shape[1]):
            texts = np.flatnonzero(half_N & (labels_NT[:, t] >= 0))
            texts = texts[np.argsort(entity_N[texts], kind="stable")]
            entities, start, count = np.unique(entity_N[texts], return_index=True, return_counts=True)
            donor = np.argsort(key_of_entity[entities], kind="stable")
            owner = np.repeat(np.arange(len(entities)), count)
            nth = np.arange(len(texts)) - start[owner]
            source = start[donor[owner]] + nth % count[donor[owner]]
            shuffled_NT[texts, t] = labels_NT[texts[source], t]
    return shuffled_NT


def validation_texts(entities_N: np.ndarray, train_N: np.ndarray, seed: int) -> np.ndarray:
    """bool [N]: the texts of the train entities to leave out for choosing and stopping (at least one entity)."""
    ids = np.unique(entities_N[train_N])
    number = max(1, round(VALIDATION_SHARE * len(ids)))
    chosen = make_rng(seed, "validation").permutation(ids)[:number]
    return np.asarray(np.isin(entities_N, chosen) & train_N)


def pad_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Room for the classes of columns sorted by size: near ones get the same room, so they are read as one block."""
    padded: list[int] = []
    for size in reversed(sizes):
        room = padded[-1] if padded else size
        padded.append(room if size >= PAD_FROM * room else size)
    return tuple(reversed(padded))
