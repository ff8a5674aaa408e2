"""From text to token ids, and from character spans to token positions.

Shapes: N entries, A attributes in the schema's order, P = A positions.
An encoded entry is the end-of-text token followed by the text's tokens; a row is a concatenation of encoded
entries, closed by one more end-of-text. Token indices count from the entry's own first (end-of-text) token. Models
that were trained elsewhere may want another start (`Start`): begin-of-text, or nothing before the text.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.tasks.questions import Question
from workbench.tokens.assembly import Assembler, make_assembler
from workbench.tokens.encoded import EncodedEntries, EncodedQuestions, EncodedTexts
from workbench.tokens.lexicon import CHUNK, IrregularError, TokenTable, Words, find_all_tokens, ragged_indices
from workbench.tokens.parted import require_parted
from workbench.tokens.piece_tokens import PieceTokens, assemble
from workbench.tokens.spans import Start, find_tokens, iterate_encodings, start_ids
from workbench.tokens.text_encoding import CHECKED, TextEncoder, begin_with
from workbench.worlds.entries import Entry
from workbench.worlds.entry_sequence import WorldEntries, entry_entities

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "EncodedEntries",
    "EncodedQuestions",
    "EncodedTexts",
    "EntryEncoder",
    "answers_ids",
    "check_values_tokenize_alike",
    "encode_entries",
    "encode_names",
    "encode_questions",
    "encode_spans",
]


def encode_entries(
    tokenizer: "PreTrainedTokenizerFast", entries: Sequence[Entry], schema: Schema, start: Start = "eos"
) -> EncodedEntries:
    """Encode entries and find the tokens of every name and value."""
    return EntryEncoder(tokenizer, schema, start).encode(entries)


class EntryEncoder:
    """Encodes entries again and again; what words and pieces of sentences give is found once.

    Entries of templates are put together from encoded pieces, without their texts, where the tokenizer allows it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", schema: Schema, start: Start = "eos") -> None:
        self.schema, self.head = schema, start_ids(tokenizer, start)
        self._texts = TextEncoder(tokenizer)
        self._assembler: Assembler | None = None
        self._pieces: PieceTokens | None = None

    def encode(self, entries: Sequence[Entry]) -> EncodedEntries:
        """The entries' ids with the tokens of names and values."""
        if self._texts.codes is not None and isinstance(entries, WorldEntries) and len(entries) > CHECKED:
            if self._assembler is None or self._assembler.world is not entries.world:
                self._assembler = make_assembler(entries, Words())
                self._pieces = PieceTokens(self._assembler, self._texts.codes) if self._assembler else None
            if self._assembler is not None and self._pieces is not None:
                # Whatever is wrong with a text or a span, reading the texts themselves says where.
                with contextlib.suppress(IrregularError):
                    parts = [self._finish(*part) for part in assemble(self._assembler, entries, self._pieces)]
                    whole = self._join(parts, entry_entities(entries))
                    if _agrees(whole, self._read(entries[:CHECKED])):
                        return whole
                self._assembler = None
        return self._read(entries)

    def _read(self, entries: Sequence[Entry]) -> EncodedEntries:
        parts, owners, worded = [], [], []
        for chunk in _chunks(entries):
            texts = [entry.text for entry in chunk]
            table = self._texts.encode(texts)
            value_start = np.full((len(chunk), len(self.schema)), -1, np.int32)
            value_end = value_start.copy()
            name_start, name_end = np.full(len(chunk), -1, np.int32), np.full(len(chunk), -1, np.int32)
            cells = [
                (n, self.schema.index(key), *span)
                for n, entry in enumerate(chunk)
                for key, span in entry.values.items()
            ]
            rows, columns, first, last = _find(table, cells, texts)
            value_start[rows, columns], value_end[rows, columns] = first, last + 1
            named = [(n, 0, *entry.names[0]) for n, entry in enumerate(chunk) if entry.names]
            rows, _, first, last = _find(table, named, texts)
            name_start[rows], name_end[rows] = first, last
            owners.append(np.array([entry.entity for entry in chunk], np.int32))
            worded.append(np.array([[key in entry.worded for key in self.schema.keys] for entry in chunk]))
            parts.append(self._finish(table, value_start, value_end, name_start, name_end))
        whole = self._join(parts, np.concatenate(owners) if owners else np.empty(0, np.int32))
        otherwise = np.concatenate(worded) if worded else np.zeros((0, len(self.schema)), bool)
        return replace(whole, worded=otherwise) if otherwise.any() else whole

    def _finish(self, table: TokenTable, *places: np.ndarray) -> tuple[np.ndarray, ...]:
        """Ids led by what starts a text, sizes, and every place in the text moved on by as much."""
        ids, offsets = begin_with(self.head, table)
        moved = [np.where(place < 0, -1, place + len(self.head)).astype(np.int32) for place in places]
        return (ids, np.diff(offsets), *moved)

    def _join(self, parts: Sequence[tuple[np.ndarray, ...]], owners: np.ndarray) -> EncodedEntries:
        cells, none = np.empty((0, len(self.schema)), np.int32), np.empty(0, np.int32)
        columns = zip(*(parts or [(none, none, cells, cells, none, none)]), strict=True)
        ids, sizes, *places = (np.concatenate(column) for column in columns)
        return EncodedEntries(ids, _offsets(sizes), owners, self.schema, *places)


def _agrees(whole: EncodedEntries, few: EncodedEntries) -> bool:
    n, tokens = len(few), int(few.offsets[-1])
    return bool(
        np.array_equal(whole.ids[:tokens], few.ids)
        and np.array_equal(whole.offsets[: n + 1], few.offsets)
        and np.array_equal(whole.value_start[:n], few.value_start)
        and np.array_equal(whole.value_end[:n], few.value_end)
        and np.array_equal(whole.name_start[:n], few.name_start)
        and np.array_equal(whole.name_end[:n], few.name_end)
    )


def encode_questions(
    tokenizer: "PreTrainedTokenizerFast",
    questions: Sequence[Question],
    schema: Schema,
    start: Start = "eos",
    full_stop: bool = True,
    space: bool = True,
) -> EncodedQuestions:
    """Encode questions with their answers, and a full stop or none behind them, and find the answers' tokens.

    space: whether one stands before an answer; where none does, a prompt that an answer would run into is refused.
    """
    encoder, head = TextEncoder(tokenizer), start_ids(tokenizer, start)
    ids, sizes, firsts, ends, owners, attributes = [], [], [], [], [], []
    for chunk in _chunks(questions):
        texts = [question.told(full_stop, space) for question in chunk]
        table = encoder.encode(texts)
        if not space:
            require_parted(encoder, chunk, table, full_stop)
        cells = [(n, 0, *question.answer_span(space)) for n, question in enumerate(chunk)]
        _, _, first, last = _find(table, cells, texts)
        led, offsets = begin_with(head, table)
        ids.append(led)
        sizes.append(np.diff(offsets))
        firsts.append(first + len(head))
        ends.append(last + len(head) + 1)
        owners.append(np.array([question.entity for question in chunk], np.int32))
        attributes.append(np.array([schema.index(question.attribute) for question in chunk], np.int16))
    if not ids:
        none = np.empty(0, np.int32)
        return EncodedQuestions(none, _offsets(none), none, none, none, schema, np.empty(0, np.int16))
    return EncodedQuestions(
        np.concatenate(ids),
        _offsets(np.concatenate(sizes)),
        np.concatenate(owners),
        np.concatenate(firsts).astype(np.int32),
        np.concatenate(ends).astype(np.int32),
        schema,
        np.concatenate(attributes),
    )


def encode_names(
    tokenizer: "PreTrainedTokenizerFast", names: Sequence[str], start: Start = "eos"
) -> EncodedTexts:
    """Encode bare full names as the Q-probe reads them: end-of-text, name, end-of-text (paper, section 5.2).

    Where texts do not start with end-of-text none follows the name either: its own last token is the last.
    """
    encoder, head = TextEncoder(tokenizer), start_ids(tokenizer, start)
    end = head if start == "eos" else []
    ids, sizes = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for chunk in _chunks(names):
        table = encoder.encode(chunk)
        for first, last in zip(table.bounds[:-1], table.bounds[1:], strict=True):
            ids.append(np.array([*head, *table.ids[first:last], *end], np.int32))
        sizes.append(table.sizes + len(head) + len(end))
    entities = np.arange(len(names), dtype=np.int32)
    return EncodedTexts(np.concatenate(ids), _offsets(np.concatenate(sizes)), entities)


def _find(
    table: TokenTable, cells: Sequence[tuple[int, int, int, int]], texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of (text, column, start, end): texts, columns, first and last token; a span between tokens is refused."""
    columns = np.array(cells, np.int64).reshape(-1, 4)
    first, last, faulty = find_all_tokens(table, columns[:, 0], columns[:, 2:])
    if faulty.any():
        n, _, start, end = columns[int(np.argmax(faulty))]
        own = slice(int(table.bounds[n]), int(table.bounds[n + 1]))
        find_tokens((int(start), int(end)), table.starts[own], table.ends[own], texts[n])
    return columns[:, 0], columns[:, 1], first, last


def check_values_tokenize_alike(
    tokenizer: "PreTrainedTokenizerFast", entries: EncodedEntries, values: Sequence[Mapping[str, str]]
) -> None:
    """Refuse a tokenizer that gives a value other ids in a text than in an answer.

    `values[p]` are the values of entity p. What a model learns of ` Princeton` it cannot say as `Princeton`. A value
    that is stated in other words is another text on purpose.
    """
    for column, attribute in enumerate(entries.schema.keys):
        distinct = list(dict.fromkeys(one[attribute] for one in values if attribute in one))
        number = {value: n for n, value in enumerate(distinct)}
        of_entity = np.array([number.get(one.get(attribute, ""), -1) for one in values], np.int64)
        wanted = [np.array(ids, np.int32) for ids in answers_ids(tokenizer, distinct)]
        stated = entries.value_start[:, column] >= 0
        rows = np.flatnonzero(stated if entries.worded is None else stated & ~entries.worded[:, column])
        value = of_entity[entries.entities[rows]]
        begin = entries.offsets[rows] + entries.value_start[rows, column]
        sizes = entries.value_end[rows, column] - entries.value_start[rows, column]
        wanted_sizes = np.array([len(ids) for ids in wanted], np.int64)
        differs = sizes != wanted_sizes[value]
        alike = np.flatnonzero(~differs)
        if len(alike):
            found = entries.ids[ragged_indices(begin[alike], sizes[alike])]
            bounds = _offsets(wanted_sizes)
            expected = np.concatenate(wanted)[
                ragged_indices(bounds[value[alike]], wanted_sizes[value[alike]])
            ]
            differs[np.repeat(alike, sizes[alike])[found != expected]] = True
        if differs.any():
            at = int(np.argmax(differs))
            said = entries.ids[begin[at] : begin[at] + sizes[at]].tolist()
            raise WorkbenchError(
                f"The value {distinct[value[at]]!r} tokenizes as "
                f"{tokenizer.convert_ids_to_tokens(said)} in a text "
                f"but as {tokenizer.convert_ids_to_tokens(wanted[value[at]].tolist())} in an answer; "
                "choose another tokenizer or change the value."
            )


def answers_ids(tokenizer: "PreTrainedTokenizerFast", values: Sequence[str]) -> list[tuple[int, ...]]:
    """The ids of each value as an answer, that is after `Answer: `."""
    found: list[tuple[int, ...]] = []
    encoder = TextEncoder(tokenizer)
    for chunk in _chunks(values):
        texts = [f"Answer: {value}" for value in chunk]
        table = encoder.encode(texts)
        _, _, first, last = _find(table, [(n, 0, 8, 8 + len(value)) for n, value in enumerate(chunk)], texts)
        starts, ends = table.bounds[:-1] + first, table.bounds[:-1] + last + 1
        found += [tuple(table.ids[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]
    return found


def encode_spans(
    tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str], start: Start = "eos"
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per text: ids with what starts it [T + 1], and the tokens' character starts and ends [T]."""
    head = start_ids(tokenizer, start)
    for ids, starts, ends in iterate_encodings(tokenizer, texts):
        yield np.array([*head, *ids], np.int32), starts, ends


T = TypeVar("T")


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _offsets(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
