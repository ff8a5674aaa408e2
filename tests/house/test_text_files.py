"""One reader for every text file that comes from elsewhere: the value, or a sentence with file, line and byte."""

import json

import pytest

from workbench.errors import WorkbenchError
from workbench.files import read_jsonl
from workbench.recipes.recipe import load_recipe, recipe_to_toml
from workbench.text_files import read_text
from workbench.tokens.table import load_rows

NAME = '{"name": "José"}\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"Ann\nZ\xfcrich\n", "FILE is not UTF-8 (byte 5, line 2); save it as UTF-8."),
        ("Zü".encode()[:2], "FILE ends in half a character (byte 1, line 1): it was cut short; save or fetch it again."),  # noqa: E501
        (b"a\n\0\0\n", "FILE, line 2, holds NUL bytes, which no text has (a power cut leaves them); restore the file."),
        ("Ann".encode("utf-16"), "FILE is UTF-16, not UTF-8; save it as UTF-8."),
        ("Ann".encode("utf-16-le").join([b"\xff\xfe", b""]), "FILE is UTF-16, not UTF-8; save it as UTF-8."),
        ("Ann".encode("utf-32"), "FILE is UTF-32, not UTF-8; save it as UTF-8."),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_by_file_line_and_byte(content, sentence, tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(WorkbenchError) as told:
        read_text(file)
    assert str(told.value) == sentence.replace("FILE", str(file))


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    recipe, rows, table = tmp_path / "r.toml", tmp_path / "rows.jsonl", tmp_path / "t.csv"
    recipe.write_text(recipe_to_toml(load_recipe("tiny")), encoding="utf-8-sig")
    assert load_recipe(recipe) == load_recipe("tiny")
    rows.write_text(NAME, encoding="utf-8-sig")
    assert list(read_jsonl(rows)) == [{"name": "José"}]
    table.write_text("text\nJosé\n", encoding="utf-8-sig")
    assert load_rows(table) == [{"text": "José"}]


def test_a_recipe_that_is_not_utf8_is_one_sentence(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(
        WorkbenchError, match=r"latin\.toml is not UTF-8 \(byte 11, line 1\); save it as UTF-8\.$"
    ):
        load_recipe(tmp_path / "latin.toml")


def test_half_a_character_in_an_escape_is_refused(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(NAME + json.dumps({"name": "smile \U0001f600"}) + "\n" + '{"name": "half \\ud83d"}\n')
    rows = read_jsonl(file)
    assert [next(rows)["name"], next(rows)["name"]] == ["José", "smile \U0001f600"]
    with pytest.raises(
        WorkbenchError, match=r"rows\.jsonl, line 3, holds half a character \(\\ud83d without its"
    ):
        next(rows)


def test_line_ends_of_every_system_are_lines(tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes(b"a\r\nb\rc\nd")
    assert read_text(file) == "a\nb\nc\nd"
    (tmp_path / "t.csv").write_bytes(b'text\r\n"two\r\nlines"\r\n')
    assert load_rows(tmp_path / "t.csv") == [{"text": "two\r\nlines"}]
