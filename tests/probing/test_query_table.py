"""Tables of queries as they come from elsewhere: read, or refused by file and line."""

import json
from pathlib import Path

import pytest

from tests.tokens.test_spans import make_bytes
from workbench.errors import WorkbenchError
from workbench.probing.query_table import load_queries

ROWS: list[dict[str, object]] = [
    {
        "prefix": f"Anna{n} lives in Oslo",
        "query": "Anna",
        "label": "north" if n % 2 else "south",
        "split": split,
    }
    for n in range(4)
    for split in ("train" if n < 2 else "test",)
]


def lines(rows: list[dict[str, object]] = ROWS) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def load(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    return len(load_queries(path, make_bytes(), 258, None))


@pytest.mark.parametrize(
    "content",
    [
        lines().encode(),
        b"\xef\xbb\xbf" + lines().encode(),
        lines().replace("\n", "\r\n").encode(),
        lines([ROWS[0] | {"prefix": "Anna\u2028lives"}, *ROWS[1:]]).encode(),
        lines().encode() + b"\n\n",
    ],
)
def test_every_row_is_a_query(content: bytes, tmp_path: Path) -> None:
    assert load(tmp_path / "queries.jsonl", content) == len(ROWS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b'{"prefix": "Jos\xe9", "query": "a", "label": "b"}\n',
            r"queries\.jsonl is not UTF-8 \(byte 15, line 1\)",
        ),
        (lines().encode() + b"\0\0\0\n", r"queries\.jsonl, line 5, holds NUL bytes"),
        (lines().encode("utf-16"), r"queries\.jsonl is UTF-16, not UTF-8"),
        (lines([ROWS[0] | {"other": 0}]).encode(), r"line 1: other is a text, not 0\."),
        (lines([ROWS[0] | {"property": False}]).encode(), r"line 1: property is a text, not False\."),
        (lines().encode() + b'{"prefix": "a", "prefix": "b"}\n', r"line 5, has the key 'prefix' twice"),
        (
            lines().encode() + b'{"prefix": "\\ud83d", "query": "a", "label": "b"}\n',
            r"line 5, holds half a character",
        ),
        (lines().encode() + b"{\n", r"queries\.jsonl, line 5, is not valid JSON"),
        (lines().encode() + b"[1]\n", r"queries\.jsonl, line 5 needs the texts prefix, query, label"),
    ],
)
def test_what_is_no_table_is_refused_by_its_line(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=told):
        load(tmp_path / "queries.jsonl", content)


@pytest.mark.parametrize("layer", ["²", "9", "-1", "1.0", ""])
def test_what_is_no_layer_is_refused(layer: str) -> None:
    from workbench.probing.layer_features import _layer_sites

    with pytest.raises(
        WorkbenchError, match=r"There is no layer .*; the layers are 0 \(the embedding\) to 4"
    ):
        _layer_sites(["0", layer, "final"], 4)
