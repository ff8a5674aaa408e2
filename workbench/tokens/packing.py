"""Rows of a training step as a pure function of (seed, step): there is no loader state to save or lose.

Packing is a recorded choice. `entry-per-row`: every row is one entry. `resampled` (the paper's): whole entries
in random order, joined by end-of-text into rows of a fixed length, drawn anew every epoch, and two entries of one
entity are never neighbours.

Two more are known faults that have broken replications, and are here to be measured: `packed-once` keeps the first
epoch's rows and only shuffles them, so that entries are tied to fixed neighbours; `side-by-side` puts an entity's
entries next to one another, so that the model can copy the second from the first instead of recalling it.

Shapes: B rows, T tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Packing
from workbench.seeds import make_rng
from workbench.tokens.encoding import EncodedQuestions, EncodedTexts

IGNORED = -100
WINDOW_STEPS = 8


@dataclass(frozen=True)
class Rows:
    """One batch. ids: int64 [B, T], padded on the right; targets: int64 [B, T], the next id or -100.

    answers: bool [B, T], the tokens of answers; None where no row holds questions.
    """

    ids_BT: np.ndarray
    targets_BT: np.ndarray
    answers_BT: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids_BT)


class RowSource(Protocol):
    """Rows of training as a pure function of their number."""

    def rows(self, start: int, number: int) -> Rows:
        """Rows start, start + 1, …"""
        ...


class RowStream:
    """An endless sequence of rows over the texts; `rows(start, number)` gives any stretch of it.

    Every epoch goes through all texts once in a new order drawn from (seed, epoch), so all texts are seen
    equally often. With `fresh` an epoch's texts are what it gives for the epoch's number (`multi∞`: a new entry at
    every exposure); `texts` are the first epoch's. With `row_length`, rows hold as many whole texts as fit; otherwise
    one text each, and texts of like length are put into the same step of `rows_per_step` rows, so that little is
    padding. A text longer than a row, or without rows' length than `longest`, is refused. What meets in a row of
    several texts follows from `packing`.
    """

    def __init__(
        self,
        texts: EncodedTexts,
        *,
        end_id: int,
        pad_id: int,
        seed: int,
        purpose: str,
        row_length: int | None = None,
        packing: Packing = "resampled",
        rows_per_step: int = 1,
        longest: int | None = None,
        fresh: Callable[[int], EncodedTexts] | None = None,
    ) -> None:
        self._longest = row_length if row_length is not None else longest
        self._texts_of_epoch = lru_cache(maxsize=2)(self._make_texts)
        self._fresh = fresh
        self.packing = packing
        self.texts, self.end_id, self.pad_id = texts, end_id, pad_id
        self.seed, self.purpose, self.row_length, self.rows_per_step = (
            seed,
            purpose,
            row_length,
            rows_per_step,
        )
        self._first_row = [0]  # first row of each epoch, found as far as it was asked for
        self._epoch_rows = lru_cache(maxsize=2)(self._make_epoch)
        self._texts_of_epoch(0)  # a text that fits no row is refused before the first step

    def _make_texts(self, epoch: int) -> EncodedTexts:
        """The texts of an epoch; one longer than a row may be is refused."""
        texts = self.texts if self._fresh is None or epoch == 0 else self._fresh(epoch)
        longest = int(texts.lengths.max())
        if self._longest is not None and longest > self._longest:
            raise WorkbenchError(
                f"Text {int(texts.lengths.argmax())} has {longest} tokens but a row holds {self._longest}; "
                "raise tokens.row_length and model.max_length, or shorten the text."
            )
        return texts

    def rows(self, start: int, number: int) -> Rows:
        """Rows start, start + 1, …, padded to the longest of them."""
        return self._assemble([self._texts_of_row(row) for row in range(start, start + number)])

    @property
    def rows_a_text(self) -> float:
        """How many rows a text takes, by the rows of the first epoch; 1 where a row is a text."""
        return (len(self._epoch_rows(0)[1]) - 1) / len(self._texts_of_epoch(0))

    def epoch_of(self, row: int) -> int:
        """The epoch that row belongs to."""
        while self._first_row[-1] <= row:
            epoch = len(self._first_row) - 1
            self._first_row.append(self._first_row[-1] + len(self._epoch_rows(epoch)[1]) - 1)
        return int(np.searchsorted(self._first_row, row, side="right")) - 1

    def _texts_of_row(self, row: int) -> tuple[EncodedTexts, np.ndarray]:
        """The epoch's texts, and which of them the row holds."""
        epoch = self.epoch_of(row)
        order, bounds = self._epoch_rows(epoch)
        within = row - self._first_row[epoch]
        return self._texts_of_epoch(epoch), order[bounds[within] : bounds[within + 1]]

    def _make_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of the texts, and where each row begins in it (one more bound than rows)."""
        texts = self._texts_of_epoch(epoch)
        rng = make_rng(self.seed, self.purpose, "epoch", epoch)
        order = rng.permutation(len(texts))
        if self.row_length is None:
            lead = -epoch * len(order) % self.rows_per_step  # rows that complete the last epoch's step
            order[lead:] = group_by_length(order[lead:], texts.lengths, self.rows_per_step, rng)
            return order, np.arange(len(order) + 1)
        if self.packing == "packed-once" and epoch > 0:
            return shuffle_rows(*self._epoch_rows(0), rng)
        arrange = put_side_by_side if self.packing == "side-by-side" else part_neighbours
        order = arrange(order, texts.entities)
        ends = np.cumsum(texts.lengths[order])
        bounds = [0]
        while bounds[-1] < len(order):
            used = ends[bounds[-1] - 1] if bounds[-1] else 0
            bounds.append(int(np.searchsorted(ends, used + self.row_length, side="right")))
        return order, np.array(bounds)

    def _assemble(self, rows: list[tuple[EncodedTexts, np.ndarray]]) -> Rows:
        lengths = [int(texts.lengths[chosen].sum()) for texts, chosen in rows]
        width = self.row_length if self.row_length is not None else row_width(max(lengths))
        ids_BT = np.full((len(rows), width), self.pad_id, np.int64)
        targets_BT = np.full((len(rows), width), IGNORED, np.int64)
        for b, ((texts, chosen), length) in enumerate(zip(rows, lengths, strict=True)):
            flat = np.concatenate([texts.text_ids(n) for n in chosen])
            ids_BT[b, :length] = flat
            targets_BT[b, : length - 1] = flat[1:]
            targets_BT[b, length - 1] = self.end_id
        return Rows(ids_BT, targets_BT, self._find_answers([chosen for _, chosen in rows], width))

    def _find_answers(self, rows: list[np.ndarray], width: int) -> np.ndarray | None:
        if not isinstance(self.texts, EncodedQuestions):
            return None
        answers_BT = np.zeros((len(rows), width), bool)
        for b, texts in enumerate(rows):
            begins = np.cumsum(self.texts.lengths[texts]) - self.texts.lengths[texts]
            for begin, n in zip(begins, texts, strict=True):
                answers_BT[b, begin + self.texts.answer_start[n] : begin + self.texts.answer_end[n]] = True
        return answers_BT


def group_by_length(
    order: np.ndarray, lengths: np.ndarray, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """Bring texts of like length into the same step of `rows` rows.

    Each window of WINDOW_STEPS steps is sorted by length, and its steps are shuffled; which texts meet in a
    window stays random.
    """
    grouped = []
    for window in np.split(order, np.arange(rows * WINDOW_STEPS, len(order), rows * WINDOW_STEPS)):
        by_length = window[np.argsort(lengths[window], kind="stable")]
        steps = np.split(by_length, np.arange(rows, len(window), rows))
        last_short = len(steps[-1]) < rows  # an incomplete step stays last, so that the others stay whole
        places = [*rng.permutation(len(steps) - last_short), *([len(steps) - 1] if last_short else [])]
        grouped += [steps[place] for place in places]
    return np.concatenate(grouped) if grouped else order


def shuffle_rows(
    order: np.ndarray, bounds: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same rows in another order: texts row by row, and where each row begins."""
    rows = np.split(order, bounds[1:-1])
    drawn = [rows[row] for row in rng.permutation(len(rows))]
    return np.concatenate(drawn), np.r_[0, np.cumsum([len(row) for row in drawn])]


def put_side_by_side(order: np.ndarray, entities: np.ndarray) -> np.ndarray:
    """Reorder so that an entity's texts follow one another, entities in the order of their first text."""
    _, first, entity = np.unique(entities[order], return_index=True, return_inverse=True)
    return order[np.argsort(first[entity], kind="stable")]


def row_width(length: int) -> int:
    """How wide a batch is whose longest row has `length` tokens: few widths mean few shapes to prepare for."""
    return -(-length // 8) * 8


def part_neighbours(order: np.ndarray, entities: np.ndarray) -> np.ndarray:
    """Reorder so that no two neighbours are about one entity, moving as few texts as possible.

    Each clash swaps with the nearest later text that fits both places. Where few entities have most of the texts
    that may not suffice; then the entities are dealt out in turn. A clash stays only where it must: when one
    entity has more than half of the texts.
    """
    order = order.copy()
    who = entities[order]
    for i in (np.flatnonzero(who[1:] == who[:-1]) + 1).tolist():
        if who[i] != who[i - 1]:  # an earlier swap has mended it
            continue
        for j in [*range(i + 1, len(order)), *range(i - 1)]:
            if _fits(who, i, who[j], j) and _fits(who, j, who[i], i):
                order[[i, j]] = order[[j, i]]
                who[[i, j]] = who[[j, i]]
                break
    return _deal_out(order, entities) if (who[1:] == who[:-1]).any() else order


def _deal_out(order: np.ndarray, entities: np.ndarray) -> np.ndarray:
    """Texts entity by entity, the most frequent first, onto the even places and then onto the odd ones."""
    _, entity, counts = np.unique(entities[order], return_inverse=True, return_counts=True)
    dealt = np.empty_like(order)
    dealt[np.r_[0 : len(order) : 2, 1 : len(order) : 2]] = order[np.lexsort((entity, -counts[entity]))]
    return dealt


def _fits(who: np.ndarray, place: int, entity: int, other: int) -> bool:
    """Whether `entity` may stand at `place` once the texts at `place` and `other` have changed places."""
    for neighbour in (place - 1, place + 1):
        if 0 <= neighbour < len(who):
            beside = who[place] if neighbour == other else who[neighbour]
            if beside == entity:
                return False
    return True


class MixedStream:
    """Rows that are all biographies or all questions, question rows with probability `qa_ratio` (section 3).

    Which kind row r is, and how many of each kind came before it, follows from (seed, r) alone.
    """

    def __init__(self, biographies: RowStream, questions: RowStream, qa_ratio: float, seed: int) -> None:
        self.biographies, self.questions, self.qa_ratio, self.seed = biographies, questions, qa_ratio, seed
        self._kinds = np.empty(0, bool)
        self._questions_before = np.zeros(1, np.int64)

    def rows(self, start: int, number: int) -> Rows:
        """Rows start, start + 1, …: biographies first, then questions, padded to the longest of all."""
        self._extend(start + number)
        first, last = self._questions_before[start], self._questions_before[start + number]
        n_questions = int(last - first)
        parts: list[Rows] = []
        if n_questions < number:
            parts.append(self.biographies.rows(int(start - first), number - n_questions))
        if n_questions:
            parts.append(self.questions.rows(int(first), n_questions))
        return _stack(parts, self.biographies.pad_id)

    def _extend(self, number: int) -> None:
        while len(self._kinds) < number:
            block = len(self._kinds) // _BLOCK
            kinds = make_rng(self.seed, "mixed rows", block).random(_BLOCK) < self.qa_ratio
            self._kinds = np.concatenate([self._kinds, kinds])
            self._questions_before = np.concatenate([[0], np.cumsum(self._kinds)])


_BLOCK = 65_536


def _stack(parts: list[Rows], pad_id: int) -> Rows:
    if len(parts) == 1:
        return parts[0]
    width = max(part.ids_BT.shape[1] for part in parts)

    def widen(array: np.ndarray, fill: int | bool) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=fill)

    return Rows(
        np.concatenate([widen(part.ids_BT, pad_id) for part in parts]),
        np.concatenate([widen(part.targets_BT, IGNORED) for part in parts]),
        np.concatenate([widen(_answers_in(part), False) for part in parts]),
    )


def _answers_in(rows: Rows) -> np.ndarray:
    return np.zeros(rows.ids_BT.shape, bool) if rows.answers_BT is None else rows.answers_BT
