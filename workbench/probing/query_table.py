"""Queries of the user's own: a table of prefix, query and label, for any model with a tokenizer.

One JSON object a line: `{"prefix": "…", "query": "…", "label": "…"}`, with `other` for a second name, `property` for
the name of what is asked, where a table asks several things, and `split` (`train` or `test`); without a split, a text
is in the half that its prefix's hash decides, so it is never in both.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.probing.query_probe import Queries, join_names
from workbench.seeds import hash_to_int
from workbench.text_files import iterate_lines, parse_json
from workbench.tokens.spans import Start, encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

KEYS = ("prefix", "query", "label")
OPTIONAL = ("other", "property", "split")


def load_queries(
    path: Path,
    tokenizer: "PreTrainedTokenizerFast",
    vocabulary: int,
    longest: int | None,
    start: Start = "none",
) -> Queries:
    """Read a table of queries. longest: tokens a row may have, None for any; start: what the model reads before a text.

    Raises WorkbenchError, naming the line, for what is no such row, words the tokenizer lacks, and rows too long.
    """
    rows = [read_row(path, number, line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    if not rows:
        raise WorkbenchError(
            f"The table of queries {path} has no row; write one JSON object a line, as docs/reasoning.md says."
        )
    properties = [row.get("property") for row in rows]
    if any(properties) and not all(properties):
        number = next(number for number, property in enumerate(properties, 1) if not property)
        raise WorkbenchError(f"{path}, row {number} has no property; give every query one, or none.")
    prefixes = list(dict.fromkeys(row["prefix"] for row in rows))
    names = list(dict.fromkeys(name for row in rows for name in (row["query"], row.get("other")) if name))
    ids_of_prefix = dict(
        zip(prefixes, encode_all(tokenizer, prefixes, f"{path}, prefixes", start), strict=True)
    )
    ids_of_name = dict(zip(names, encode_all(tokenizer, names, f"{path}, queries", "none"), strict=True))
    number_of = {prefix: number for number, prefix in enumerate(prefixes)}
    classes = tuple(sorted({row["label"] for row in rows}))
    asked = []
    for number, row in enumerate(rows, 1):
        told = [ids_of_name[name].tolist() for name in (row["query"], row.get("other")) if name]
        asked.append(join_names(told, vocabulary))
        length = len(ids_of_prefix[row["prefix"]]) + len(asked[-1])
        if longest is not None and length > longest:
            raise WorkbenchError(
                f"{path}, row {number}: prefix and query have {length} tokens but the model "
                f"reads {longest}; shorten it."
            )
    split_of: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        split = row.get("split") or ("train" if hash_to_int(0, "query table", row["prefix"]) % 2 else "test")
        if split_of.setdefault(row["prefix"], split) != split:
            raise WorkbenchError(
                f"{path}, row {number}: its prefix is in the other half already; give all queries of a text one split."
            )
    return Queries(
        [ids_of_prefix[prefix] for prefix in prefixes],
        np.array([number_of[row["prefix"]] for row in rows]),
        np.array([len(ids_of_prefix[row["prefix"]]) for row in rows]),
        asked,
        np.array([classes.index(row["label"]) for row in rows]),
        np.array([split_of[row["prefix"]] == "train" for row in rows]),
        classes,
        np.array(properties) if any(properties) else None,
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a table; a missing file is refused."""
    if not path.is_file():
        raise WorkbenchError(f"There is no table of queries {path}; see docs/reasoning.md for its format.")
    return list(iterate_lines(path))


def read_row(path: Path, number: int, line: str) -> dict[str, str]:
    """One row, checked."""
    row = parse_json(line, f"{path}, line {number},", keys_once=True)
    if not isinstance(row, dict) or any(not isinstance(row.get(key), str) or not row[key] for key in KEYS):
        raise WorkbenchError(f"{path}, line {number} needs the texts {', '.join(KEYS)}.")
    if unknown := [key for key in row if key not in (*KEYS, *OPTIONAL)]:
        raise WorkbenchError(
            f"{path}, line {number} has the unknown key {unknown[0]!r} (known: {', '.join((*KEYS, *OPTIONAL))})."
        )
    if wrong := [key for key in ("other", "property") if not isinstance(row.get(key, ""), str | None)]:
        raise WorkbenchError(f"{path}, line {number}: {wrong[0]} is a text, not {row[wrong[0]]!r}.")
    if row.get("split") not in (None, "train", "test"):
        raise WorkbenchError(f"{path}, line {number}: the split is `train` or `test`, not {row['split']!r}.")
    return row


def encode_all(
    tokenizer: "PreTrainedTokenizerFast", texts: list[str], where: str, start: Start
) -> list[np.ndarray]:
    """The ids of each text."""
    encoded = encode_texts(tokenizer, texts, start, where)
    return [
        encoded.ids[first:last].astype(np.int64)
        for first, last in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)
    ]
