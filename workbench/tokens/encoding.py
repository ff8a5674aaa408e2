"""From text to token ids, and from character spans to token positions.

Shapes: N entries, A attributes in the schema's order, P = A positions.
An encoded entry is the end-of-text token followed by the text's tokens; a row is a concatenation of encoded
entries, closed by one more end-of-text. Token indices count from the entry's own first (end-of-text) token. Models
that were trained elsewhere may want another start (`Start`): begin-of-text, or nothing before the text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.tasks.questions import Question
from workbench.tokens.spans import Start, find_tokens, iterate_encodings, start_ids
from workbench.worlds.entries import Entry

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class EncodedTexts:
    """Ragged token ids: text n is `ids[offsets[n]:offsets[n + 1]]`, its first id is what starts texts.

    ids: int32 [total tokens]; offsets: int64 [N + 1]; entities: int32 [N], whom each text is about.
    """

    ids: np.ndarray
    offsets: np.ndarray
    entities: np.ndarray

    def __len__(self) -> int:
        return len(self.entities)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N]: tokens in each text, the leading end-of-text included."""
        return np.diff(self.offsets)

    def text_ids(self, n: int) -> np.ndarray:
        """int32 [T]: the ids of text n."""
        return self.ids[self.offsets[n] : self.offsets[n + 1]]


@dataclass(frozen=True)
class EncodedEntries(EncodedTexts):
    """Encoded biographies with the token positions of names and values.

    schema: the attributes behind A.
    value_start, value_end: int32 [N, A], the value's tokens are [start, end); -1 where an entry lacks it.
    name_start, name_end: int32 [N], first and last token of the first full name; -1 without a name.
    """

    schema: Schema
    value_start: np.ndarray
    value_end: np.ndarray
    name_start: np.ndarray
    name_end: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """int64 [N, A]: attribute indices by appearance; absent attributes last."""
        start = np.where(self.value_start < 0, np.iinfo(np.int32).max, self.value_start)
        return np.argsort(start, axis=1, kind="stable")

    @property
    def positions(self) -> np.ndarray:
        """int32 [N, P]: the token just before the first token of the (i+1)-th value (paper, section 5.1).

        -1 where an entry has fewer values, or where nothing stands before the value.
        """
        start = np.take_along_axis(self.value_start, self.order, axis=1)
        return np.where(start < 0, -1, start - 1).astype(np.int32)

    @property
    def rank(self) -> np.ndarray:
        """int64 [N, A]: at which position each attribute stands; P where it is absent."""
        ranks = np.argsort(self.order, axis=1, kind="stable")
        return np.where(self.value_start < 0, len(self.schema), ranks)


@dataclass(frozen=True)
class EncodedQuestions(EncodedTexts):
    """Encoded questions with their answers; the answer's tokens are [answer_start, answer_end), int32 [N]."""

    answer_start: np.ndarray
    answer_end: np.ndarray
    schema: Schema
    attribute: np.ndarray  # int16 [N], index into the schema


def encode_entries(
    tokenizer: "PreTrainedTokenizerFast", entries: Sequence[Entry], schema: Schema, start: Start = "eos"
) -> EncodedEntries:
    """Encode entries and find the tokens of every name and value."""
    n, before = len(entries), len(start_ids(tokenizer, start))
    value_start = np.full((n, len(schema)), -1, np.int32)
    value_end = value_start.copy()
    name_start, name_end = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    pieces: list[np.ndarray] = []
    for i, (ids, starts, ends) in enumerate(
        encode_spans(tokenizer, (entry.text for entry in entries), start)
    ):
        entry = entries[i]
        pieces.append(ids)
        for attribute, span in entry.values.items():
            first, last = find_tokens(span, starts, ends, entry.text)
            column = schema.index(attribute)
            value_start[i, column], value_end[i, column] = first + before, last + before + 1
        if entry.names:
            first, last = find_tokens(entry.names[0], starts, ends, entry.text)
            name_start[i], name_end[i] = first + before, last + before
    entities = np.array([entry.entity for entry in entries], np.int32)
    return EncodedEntries(*_join(pieces), entities, schema, value_start, value_end, name_start, name_end)


def encode_questions(
    tokenizer: "PreTrainedTokenizerFast", questions: Sequence[Question], schema: Schema, start: Start = "eos"
) -> EncodedQuestions:
    """Encode questions with their answers and find the answers' tokens."""
    before = len(start_ids(tokenizer, start))
    pieces: list[np.ndarray] = []
    spans = np.empty((len(questions), 2), np.int32)
    for i, (ids, starts, ends) in enumerate(
        encode_spans(tokenizer, (question.text for question in questions), start)
    ):
        first, last = find_tokens(questions[i].answer_span, starts, ends, questions[i].text)
        spans[i] = first + before, last + before + 1
        pieces.append(ids)
    entities = np.array([question.entity for question in questions], np.int32)
    attribute = np.array([schema.index(question.attribute) for question in questions], np.int16)
    return EncodedQuestions(*_join(pieces), entities, spans[:, 0], spans[:, 1], schema, attribute)


def encode_names(
    tokenizer: "PreTrainedTokenizerFast", names: Sequence[str], start: Start = "eos"
) -> EncodedTexts:
    """Encode bare full names as the Q-probe reads them: end-of-text, name, end-of-text (paper, section 5.2).

    Where texts do not start with end-of-text none follows the name either: its own last token is the last.
    """
    end = np.array([tokenizer.eos_token_id] if start == "eos" else [], np.int32)
    pieces = [np.concatenate([ids, end]) for ids, _, _ in encode_spans(tokenizer, names, start)]
    return EncodedTexts(*_join(pieces), np.arange(len(names), dtype=np.int32))


def check_values_tokenize_alike(
    tokenizer: "PreTrainedTokenizerFast", entries: EncodedEntries, values: Sequence[Mapping[str, str]]
) -> None:
    """Refuse a tokenizer that gives a value other ids in a biography than in an answer.

    `values[p]` are the values of entity p. What a model learns of ` Princeton` it cannot say as `Princeton`.
    """
    answers: dict[str, tuple[int, ...]] = {}
    for entity_id, row_start, starts, ends in zip(
        entries.entities, entries.offsets[:-1], entries.value_start, entries.value_end, strict=True
    ):
        for column, attribute in enumerate(entries.schema.keys):
            if starts[column] < 0:
                continue
            value = values[entity_id][attribute]
            if value not in answers:
                answers[value] = answer_ids(tokenizer, value)
            found = tuple(entries.ids[row_start + starts[column] : row_start + ends[column]].tolist())
            if found != answers[value]:
                raise WorkbenchError(
                    f"The value {value!r} tokenizes as {tokenizer.convert_ids_to_tokens(list(found))} in a biography "
                    f"but as {tokenizer.convert_ids_to_tokens(list(answers[value]))} in an answer; "
                    "choose another tokenizer or change the value."
                )


def answer_ids(tokenizer: "PreTrainedTokenizerFast", value: str) -> tuple[int, ...]:
    """The ids of a value as an answer, that is after `Answer: `."""
    text = f"Answer: {value}".removesuffix(".") + "."
    ((ids, starts, ends),) = encode_spans(tokenizer, [text], "none")
    first, last = find_tokens((8, 8 + len(value)), starts, ends, text)
    return tuple(ids[first : last + 1].tolist())


def encode_spans(
    tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str], start: Start = "eos"
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per text: ids with what starts it [T + 1], and the tokens' character starts and ends [T]."""
    head = start_ids(tokenizer, start)
    for ids, starts, ends in iterate_encodings(tokenizer, texts):
        yield np.array([*head, *ids], np.int32), starts, ends


def _join(pieces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if not pieces:
        return np.empty(0, np.int32), np.zeros(1, np.int64)
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.concatenate(pieces), offsets
