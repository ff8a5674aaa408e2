"""Tables as programs write them: every value is the text that the table stands for, or one sentence says why not."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import WorkbenchError
from workbench.facts.cells import cell_text, refuse_two_spellings
from workbench.facts.rows import load_rows

NAN = float("nan")


def write(path: Path, content: Any) -> Path:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, list):
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(path: Path, column: str) -> list[str | None]:
    return [cell_text(row.get(column), "here", column) for row in load_rows(path)]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([1996.0, None, 2001.0]), ["1996", None, "2001"]),  # whole numbers with a gap, as pandas keeps them
        (pa.array([1996.0, NAN, 2001.0]), ["1996", None, "2001"]),
        (pa.array([1996.0, 0.5, None]), ["1996.0", "0.5", None]),
        (pa.array([1996, None, 2001], pa.int64()), ["1996", None, "2001"]),
        (pa.array([2**60, None, 7], pa.int64()), [str(2**60), None, "7"]),
        (pa.array([0.1, 2.7, None], pa.float32()), ["0.1", "2.7", None]),
        (pa.array(np.array([0.1, 2.7, 1], np.float16)), ["0.1", "2.7", "1.0"]),
        (pa.array([True, False, None]), ["True", "False", None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (
            pa.array([datetime.datetime(1996, 10, 2), None, datetime.datetime(2001, 1, 1)]),
            ["1996-10-02", None, "2001-01-01"],
        ),
        (
            pa.array([datetime.datetime(1996, 10, 2, 7), None, datetime.datetime(2001, 1, 1)]),
            ["1996-10-02 07:00:00", None, "2001-01-01 00:00:00"],
        ),
        (pa.array([datetime.date(1996, 10, 2), None, None]), ["1996-10-02", None, None]),
    ],
)  # fmt: skip
def test_columns_of_parquet_are_what_they_were_before_a_program_kept_them(
    column: pa.Array, wanted: list[str | None], tmp_path: Path
) -> None:
    assert texts(write(tmp_path / "t.parquet", pa.table({"x": column})), "x") == wanted


def test_whole_numbers_of_json_too(tmp_path: Path) -> None:
    rows = [{"x": 1996.0, "y": 1}, {"x": None, "y": 0.5}, {"x": NAN, "y": 2}, {"y": 3}]
    table = write(tmp_path / "t.jsonl", rows)
    assert texts(table, "x") == ["1996", None, None, None]
    assert texts(table, "y") == ["1", "0.5", "2", "3"]


def test_a_csv_is_read_as_it_stands_and_said_to_be_odd(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(tmp_path / "t.csv", "name,year,size\nA,1996.0,1.0\nB,,2.5\nC,2001.0,3.0\n")
    assert texts(table, "year") == ["1996.0", "", "2001.0"]
    (told,) = caplog.messages
    assert told == (
        f"{table}: every value of 'year' ends in .0, as programs write whole numbers of which some are missing; it is "
        "read as it stands, as in '1996.0'."
    )


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_words_for_nothing_are_values_and_said_to_be(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`NA` is Namibia in a column of countries; only its owner knows."""
    rows = [{"name": "A", "x": "NA"}, {"name": "B", "x": ""}, {"name": "C", "x": "nan"}]
    lines = "".join(f"{row['name']},{row['x']}\n" for row in rows)
    table = write(tmp_path / name, f"name,x\n{lines}" if name == "t.csv" else rows)
    assert texts(table, "x") == ["NA", "", "nan"]
    (told,) = caplog.messages
    assert "2 of the cells of 'x' read 'NA', as programs write what is missing" in told


def test_any_line_ends_marks_and_scripts(tmp_path: Path) -> None:
    for ending in ("\n", "\r\n"):
        lines = ["name,x", "Łódź 🏙️,מרכז", '"a, ""b""",\t tab ', "محمد علي,東京"]
        table = write(tmp_path / "t.csv", "\ufeff" + ending.join(lines) + ending)
        assert texts(table, "name") == ["Łódź 🏙️", 'a, "b"', "محمد علي"]
        assert texts(table, "x") == ["מרכז", "\t tab ", "東京"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", "name,x\nA,1\nB\n", "row 2 has fewer cells than the header, as where a file was cut short"),
        ("t.csv", "name,x\nA,1,2\n", "row 1 has more cells than the header"),
        ("t.csv", 'name,x\nA,"1\nB,2\nC,3\n', "cannot be read as CSV"),  # the rest would be one cell
        ("t.csv", "name,x,x\nA,1,2\n", "names the column 'x' twice"),
        (
            "t.jsonl",
            '{"x": 1, "y": 2}\n{"x": 1, "y": 2, "x": 3}\n',
            "line 2, has the key 'x' twice; keep one",
        ),
        (
            "t.parquet",
            pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]),
            "names the column 'x' twice",
        ),
    ],
)
def test_cells_that_would_be_lost_are_refused(name: str, content: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=told):
        load_rows(write(tmp_path / name, content))


@pytest.mark.parametrize("cell", [["Oslo", "Rome"], {"a": 1}, b"Oslo", np.arange(2)])
def test_a_cell_of_several_values_is_no_text(cell: Any) -> None:
    with pytest.raises(WorkbenchError, match=r"here: the cell of 'x' holds (several values|bytes) \("):
        cell_text(cell, "here", "x")


def test_what_looks_alike_is_written_alike() -> None:
    refuse_two_spellings(["Zürich", "Zurich", "Paris", "paris", "👩‍🔬", "👩"], "the values", "here")
    for one, other in (("Z\u00fcrich", "Zu\u0308rich"), ("Paris", "Paris\u200b"), ("Paris", "\ufeffParis")):
        with pytest.raises(
            WorkbenchError, match=r"here: the values 'Z?.*' and '.*' look alike and are written in two"
        ):
            refuse_two_spellings([one, "Rome", other], "the values", "here")


SEPARATED = {
    "semicolons": ("t.csv", "name;x\nA;1,5\nB;2\n", "semicolons between its cells, not commas"),
    "tabs": ("t.csv", "name\tx\nA\t1,5\nB\t2\n", "tabs between its cells, not commas"),
    "bars": ("t.csv", "name|x\nA|1,5\nB|2\n", "bars between its cells, not commas"),
    "commas in a tsv": ("t.tsv", 'name,x\nA,"1,5"\nB,2\n', "commas between its cells, not tabs"),
    "commas in one cell": ("t.csv", "name;x\nA, Inc.;1,5\nB;2\n", "semicolons between its cells, not commas"),
    "quoted": ("t.csv", '"name";"x"\n"A";"1,5"\n"B";"2"\n', "semicolons between its cells, not commas"),
    "a tsv": ("t.tsv", "name\tx\nA\t1,5\nB\t2\n", None),
    "declared": ("t.csv", "sep=;\nname;x\nA;1,5\nB;2\n", None),
    "declared with quotes": ("t.CSV", '\ufeff"sep=|"\r\nname|x\r\nA|1,5\r\nB|2\r\n', None),
    "old line ends": ("t.CSV", 'name,x\rA,"1,5"\rB,2\r', None),
    "what a sheet leaves": ("t.csv", 'name,x,,\nA,"1,5",,\nB,2,,\n,,,\n,,,\n', None),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_what_stands_between_cells_is_found_and_said(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, content, said = SEPARATED[name]
    rows = load_rows(write(tmp_path / file, content))
    assert [(row["name"][0], row["x"]) for row in rows] == [("A", "1,5"), ("B", "2")]
    assert [list(row) for row in rows] == [["name", "x"]] * 2
    assert len(caplog.messages) == (said is not None)
    for message in caplog.messages:
        assert str(said) in message
        assert message.endswith("is read so; its columns are 'name', 'x'.")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name;area, km2\nA;1,5\nB;2,5\n", "can be read with commas and with semicolons between its cells; save it"),
        ("name,note;s\nA,x;y\nB,z;w\n", "can be read with commas and with semicolons between its cells; save it"),
        ("name;x\nA;1\nB;2;3\n", r"row 2 has more cells than the header.*\(its header has semicolons between cells"),
        ("name;x;x\nA;1;2\n", r"names the column 'x' twice.*\(its header has semicolons between cells, so it is"),
        ("PAR1", "is a Parquet file; name it .parquet"),
        ("PK\3\4xl/workbook.xml", "is an Excel workbook, or another archive; save its sheet as CSV"),
        ('{"name": "A"}\n', "is JSON; write one object a line, and name it .jsonl"),
        ('[{"name": "A"}]', "is one JSON list; write one object a line, as .jsonl"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "is a git LFS pointer, not the file itself"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=told):
        load_rows(write(tmp_path / "t.csv", content))


def test_cells_with_other_separators_in_them_are_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(tmp_path / "t.csv", 'name,note\nA,"x; y; z"\nB,z;w\nC,|\n')
    assert texts(table, "note") == ["x; y; z", "z;w", "|"]
    single = write(tmp_path / "t.csv", 'text\n"one; two, three"\nfour\tfive\n')
    assert texts(single, "text") == ["one; two, three", "four\tfive"]
    assert caplog.messages == []


def test_a_column_without_a_name_is_left_out_and_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = load_rows(write(tmp_path / "t.csv", ",name,x\n0,A,1\n1,B,2\n"))
    assert rows == [{"name": "A", "x": "1"}, {"name": "B", "x": "2"}]
    assert (
        "column 1 has no name, as an index that a program wrote has none; it is left out"
        in caplog.messages[0]
    )


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1,5", "-2,25"], "every value of 'x' is a number with a decimal comma; it is read as it stands, as in '1,5'"),
        (["1.23E+11", "4E-05"], "every value of 'x' is a number in powers of ten, as spreadsheets shorten long ones"),
        (["#REF!", "Oslo"], "1 of the cells of 'x' read '#REF!', as programs write what is missing"),
    ],
)  # fmt: skip
def test_numbers_that_a_program_wrote_otherwise_are_said_to_be(
    cells: list[str], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(tmp_path / "t.tsv", "name\tx\n" + "".join(f"{n}\t{cell}\n" for n, cell in enumerate(cells)))
    assert texts(table, "x") == cells
    (said,) = caplog.messages
    assert told in said
