"""The user's own texts and entities: a CSV, JSONL or Parquet table becomes a `Reading`.

A row holds a text, or the columns a template is filled from; every other column is something known about the
text, so a target a probe may predict.

Shapes: N texts, P positions.
"""

import logging
import string
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models.errors import nearest_names

from workbench.errors import WorkbenchError
from workbench.facts.cells import cell_text, holds_several, is_missing, restore_columns
from workbench.facts.finding import find_words
from workbench.facts.rows import load_rows
from workbench.tokens.positions import every_token
from workbench.tokens.reading import Column, Ints, Reading
from workbench.tokens.spans import Encoded, Start, encode_texts, token_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger("workbench")
Row = Mapping[str, Any]
PLACES = ("end", "start", "before")
_INT32_MAX = np.iinfo(np.int32).max


def read_table(
    table: Path | str | Sequence[Row],
    tokenizer: "PreTrainedTokenizerFast",
    *,
    template: str | None = None,
    text: str = "text",
    at: Sequence[str] = ("last",),
    targets: Sequence[str] | None = None,
    start: Start = "tokenizer",
) -> Reading:
    """Read the texts of a table at the tokens a user names.

    table:    a .csv, .tsv, .jsonl or .parquet file, or rows.
    template: such as `The capital of {country} is`: makes the texts from the columns, each a span of its
              name.
    text:     the column of the texts where there is no template.
    at:       `last` token, `all` tokens, or a token of a span: `end:country` (its last token),
              `start:country` (its first), `before:country` (the one before it, as in P-probing). A span comes
              from the template, from a row's `spans` ({"country": [start, end]}, characters, end excluded),
              from columns `country_start` and `country_end`, or is the only place in the text where the
              column `country`'s value stands.
    targets:  columns to keep; by default all but text and spans.
    start:    what precedes a text: what the `tokenizer` puts there itself, end-of-text (`eos`: how this
              project's models read), or nothing (`none`).

    Raises WorkbenchError naming the row for a missing column, an empty text, a span outside its text or
    falling between tokens, and a position no token has.
    """
    if isinstance(table, Path | str):
        rows, where = load_rows(Path(table)), str(table)
    else:
        rows, where = [dict(row) for row in table], "row table"
        restore_columns(rows)
    if not rows:
        raise WorkbenchError(f"{where} holds no rows; expected one text a row.")
    asked = {place.partition(":")[2] for place in at}
    texts, spans = _make_texts(rows, template, text, asked, where)
    encoded = encode_texts(tokenizer, texts, start, where)
    if not at:
        raise WorkbenchError("There is no place to read; name at least one, such as 'last'.")
    parts = [_positions(place, encoded, texts, spans, rows, where) for place in at]
    labels = tuple(label for names, _ in parts for label in names)
    positions = np.concatenate([columns for _, columns in parts], axis=1).astype(np.int32)
    columns = _columns(rows, text if template is None else None, targets, asked, where)
    return Reading(encoded.ids, encoded.offsets, positions, labels, columns)


def _make_texts(
    rows: Sequence[Row], template: str | None, text: str, asked: Collection[str], where: str
) -> tuple[list[str], list[dict[str, tuple[int, int]]]]:
    """The text of each row, and the character spans known of it."""
    texts: list[str] = []
    spans: list[dict[str, tuple[int, int]]] = []
    for number, row in enumerate(rows, 1):
        if template is None:
            made, found = _cell(row, text, where, number), dict[str, tuple[int, int]]()
        else:
            made, found = _fill(template, row, where, number)
        if not isinstance(made, str) or not made.strip():
            raise WorkbenchError(f"{where}, row {number}: the text is {made!r}; expected words.")
        given = row.get("spans") or {}
        if not isinstance(given, Mapping):
            raise WorkbenchError(f"{where}, row {number}: spans is {given!r}; expected name → [start, end].")
        for name, span in given.items():
            if span is not None:  # how Parquet writes the fields a row does not have
                found[name] = _check_span(span, name, made, where, number)
        for name in asked:  # columns such as reign_start are data unless a place of that name is read
            if f"{name}_start" in row and f"{name}_end" in row:
                span = [_whole(row[f"{name}_start"]), _whole(row[f"{name}_end"])]
                found[name] = _check_span(span, name, made, where, number)
        texts.append(made)
        spans.append(found)
    return texts, spans


def _fill(template: str, row: Row, where: str, number: int) -> tuple[str, dict[str, tuple[int, int]]]:
    """A template filled from a row, and the span of each field."""
    made, spans = "", {}
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise WorkbenchError(
            f"The template {template!r} cannot be read ({error}); write columns as {{name}}."
        ) from error
    for literal, field, form, conversion in parsed:
        made += literal
        if form or conversion:
            raise WorkbenchError(
                f"The template {template!r} asks for a form of {{{field}}} ({conversion or form}), but columns are "
                "written as they stand; write {name}, and the form into the table."
            )
        if field is not None:
            value = _cell_as_text(row, field, where, number)
            spans[field] = (len(made), len(made) + len(value))
            made += value
    return made, spans


def _positions(
    place: str,
    encoded: Encoded,
    texts: Sequence[str],
    spans: Sequence[Mapping[str, tuple[int, int]]],
    rows: Sequence[Row],
    where: str,
) -> tuple[tuple[str, ...], Ints]:
    """Labels and token positions [N, …] of one thing to read."""
    lengths = np.diff(encoded.offsets)
    if place == "last":
        return ("last",), (lengths - 1)[:, None]
    if place == "all":
        return every_token(lengths)
    kind, _, name = place.partition(":")
    if kind not in PLACES or not name:
        raise WorkbenchError(
            f"{place!r} is no place to read; {nearest_names(kind, ('last', 'all', *PLACES))} "
            "A token of a span is written end:NAME, start:NAME or before:NAME."
        )
    found = np.empty((len(texts), 1), np.int64)
    for n, text in enumerate(texts):
        span = spans[n].get(name) or _search(name, text, rows[n], where, n + 1)
        found[n] = token_of(kind, span, encoded, n, text, f"{where}, row {n + 1}")
    return (place,), found


def _search(name: str, text: str, row: Row, where: str, number: int) -> tuple[int, int]:
    """Where a column's value stands in its text as words of its own, if it stands there exactly once."""
    value = _cell_as_text(row, name, where, number)
    found = find_words(value, text)
    if len(found) != 1:
        raise WorkbenchError(
            f"{where}, row {number}: {value!r} ({name}) stands {len(found)} times in the text, so its place "
            f"is not clear; give its characters as spans {{{name!r}: [start, end]}}."
        )
    return found[0]


def _columns(
    rows: Sequence[Row], text: str | None, targets: Sequence[str] | None, asked: Collection[str], where: str
) -> dict[str, Column]:
    """The columns of a table as numbers: whole numbers as they are, everything else as categories."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if targets is None:
        paired = {name for name in asked if f"{name}_start" in names and f"{name}_end" in names}
        spans = {f"{name}{end}" for name in paired for end in ("_start", "_end")}
        chosen = [name for name in names if name not in (text, "spans") and name not in spans]
    else:
        chosen = list(targets)
    columns = {}
    for name in chosen:
        if name not in names:
            raise WorkbenchError(f"{where} has no column {name!r}; {nearest_names(name, names)}")
        values = [row.get(name) for row in rows]
        if targets is None and any(map(holds_several, values)):
            log.warning("%s: the column %r holds several values a cell, and is left out.", where, name)
            continue
        whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        if len(whole) == len(values) and all(0 <= value <= _INT32_MAX for value in whole):
            columns[name] = Column(np.array(whole, np.int32))
        else:
            texts = [cell_text(value, f"{where}, row {n}", name) for n, value in enumerate(values, 1)]
            columns[name] = Column.from_texts([text or None for text in texts])
    return columns


def _cell(row: Row, name: str, where: str, number: int) -> Any:
    """A row's value, or a refusal that names the columns there are."""
    if is_missing(row.get(name)):
        near = nearest_names(name, [str(key) for key in row])
        raise WorkbenchError(f"{where}, row {number}: there is no value in a column {name!r}; {near}")
    return row[name]


def _cell_as_text(row: Row, name: str, where: str, number: int) -> str:
    return cell_text(_cell(row, name, where, number), f"{where}, row {number}", name) or ""


def _whole(value: Any) -> Any:
    """A whole number written as text, as in CSV files, or the value itself."""
    whole = isinstance(value, str) and value.strip().isdecimal() and len(value) < 20
    return int(value) if whole else value


def _check_span(span: Any, name: str, text: str, where: str, number: int) -> tuple[int, int]:
    """A span within its text, or a refusal."""
    match span:
        case [int(start), int(end)] if 0 <= start < end <= len(text):
            return start, end
    raise WorkbenchError(
        f"{where}, row {number}: the span {span!r} of {name!r} does not lie in its text of {len(text)} "
        "characters; expected [start, end] with 0 <= start < end."
    )
