"""A user's table: spans come back as their words' tokens, columns as targets, mistakes as one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.tokens.reading import Reading
from workbench.tokens.table import read_table

CAPITALS = [("France", "Paris"), ("New Zealand", "Wellington"), ("Norway", "Oslo"), ("South Korea", "Seoul")]
TEMPLATE = "The capital of {country} is called {capital}."


def make_bpe(start_token: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE as GPT-2's; with `start_token` it puts <s> before every text, as Llama's does."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=["<|end|>", "<s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    texts = [TEMPLATE.format(country=country, capital=capital) for country, capital in CAPITALS]
    backend.train_from_iterator(texts * 20, trainer)
    if start_token:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", bos_token="<s>")


BPE = make_bpe()
ROWS: list[dict[str, Any]] = [{"country": country, "capital": capital} for country, capital in CAPITALS]


def words_at(reading: Reading, tokenizer: PreTrainedTokenizerFast, label: str) -> list[str]:
    """The text up to and with the token read, for each text."""
    column = reading.position_labels.index(label)
    return [
        str(tokenizer.decode(reading.ids[start : start + token + 1], skip_special_tokens=True))
        for start, token in zip(reading.offsets[:-1], reading.positions[:, column], strict=True)
    ]


@pytest.mark.parametrize("start", ["tokenizer", "eos", "none"])
@pytest.mark.parametrize("start_token", [False, True])
def test_template_fields_are_spans(start: Any, start_token: bool) -> None:
    tokenizer = make_bpe(start_token)
    at = ["end:country", "before:capital", "end:capital", "last"]
    reading = read_table(ROWS, tokenizer, template=TEMPLATE, at=at, start=start)
    assert reading.position_labels == tuple(at)
    for n, (country, capital) in enumerate(CAPITALS):
        assert words_at(reading, tokenizer, "end:country")[n] == f"The capital of {country}"
        assert words_at(reading, tokenizer, "before:capital")[n] == f"The capital of {country} is called"
        assert (
            words_at(reading, tokenizer, "end:capital")[n] == f"The capital of {country} is called {capital}"
        )
        assert words_at(reading, tokenizer, "last")[n] == TEMPLATE.format(country=country, capital=capital)
    first = {"tokenizer": "<s>" if start_token else "The", "eos": "<|end|>", "none": "The"}[start]
    tokens = tokenizer.convert_ids_to_tokens(int(reading.ids[0]))
    assert first.startswith(tokens) if first == "The" else tokens == first


def test_columns_become_targets_and_identities() -> None:
    rows = [
        {**row, "rank": 3 - n, "note": None if n else "big", "share": 0.5 * n} for n, row in enumerate(ROWS)
    ]
    columns = read_table(rows, BPE, template=TEMPLATE).columns
    assert list(columns) == ["country", "capital", "rank", "note", "share"]
    assert columns["capital"].categories == ("Oslo", "Paris", "Seoul", "Wellington")
    assert columns["capital"].values.tolist() == [1, 3, 0, 2]
    assert (columns["rank"].values.tolist(), columns["rank"].categories) == ([3, 2, 1, 0], None)
    assert columns["note"].values.tolist() == [0, -1, -1, -1]
    assert columns["share"].categories == ("0.0", "0.5", "1.0", "1.5")
    chosen = read_table(rows, BPE, template=TEMPLATE, targets=["capital"]).columns
    assert list(chosen) == ["capital"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_every_kind_of_file_reads_alike(suffix: str, tmp_path: Path) -> None:
    texts = [TEMPLATE.format(**row) for row in ROWS]
    spans = [
        (text.index(row["capital"]), text.index(row["capital"]) + len(row["capital"]))
        for text, row in zip(texts, ROWS, strict=True)
    ]
    flat = [
        {"text": text, "country": row["country"], "capital_start": start, "capital_end": end}
        for text, row, (start, end) in zip(texts, ROWS, spans, strict=True)
    ]
    path = tmp_path / f"table.{suffix}"
    if suffix == "jsonl":
        lines = [
            {"text": text, "country": row["country"], "spans": {"capital": span}}
            for text, row, span in zip(texts, ROWS, spans, strict=True)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    elif suffix == "csv":
        head = ",".join(flat[0])
        path.write_text(
            "\n".join([head, *(",".join(f'"{value}"' for value in row.values()) for row in flat)])
        )
    else:
        pytest.importorskip("pyarrow")
        from pyarrow import Table, parquet

        parquet.write_table(Table.from_pylist(flat), path)
    reading = read_table(path, BPE, at=["before:capital", "end:capital"])
    from_template = read_table(
        ROWS, BPE, template=TEMPLATE, at=["before:capital", "end:capital"], targets=["country"]
    )
    assert reading.digest == from_template.digest


def test_a_column_is_found_where_its_value_stands_once() -> None:
    rows = [{"text": "Oslo lies in Norway.", "city": "Oslo", "country": "Norway"}]
    reading = read_table(rows, BPE, at=["end:city", "end:country"])
    assert words_at(reading, BPE, "end:city") == ["Oslo"]
    assert words_at(reading, BPE, "end:country") == ["Oslo lies in Norway"]


def test_all_tokens_of_each_text() -> None:
    reading = read_table(ROWS, BPE, template="{country}", at=["all"])
    for n in range(4):
        length = reading.lengths[n]
        assert reading.positions[n, :length].tolist() == list(range(length))
        assert (reading.positions[n, length:] == -1).all()


def test_a_word_of_several_tokens_starts_and_ends_where_it_should() -> None:
    reading = read_table(ROWS, BPE, template=TEMPLATE, at=["start:country", "end:country"])
    starts = words_at(reading, BPE, "start:country")
    for n, (country, _) in enumerate(CAPITALS):
        assert f"The capital of {country}".startswith(starts[n]) and len(starts[n]) > len("The capital of ")


TEXT = {"text": "Oslo lies in Norway, and Oslo is large."}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "row table holds no rows"),
        ([{"txt": "a"}], {}, "row 1: there is no value in a column 'text'; did you mean 'txt'"),
        ([{"text": " "}], {}, "row 1: the text is ' '; expected words"),
        ([{"text": 5}], {}, "row 1: the text is 5; expected words"),
        ([TEXT], {"template": "{town}"}, "no value in a column 'town'"),
        ([TEXT], {"template": "{town"}, "The template '{town' cannot be read"),
        ([TEXT], {"at": ["lst"]}, "'lst' is no place to read; did you mean 'last'"),
        ([TEXT], {"at": ["end"]}, "'end' is no place to read"),
        ([TEXT], {"at": ["end:country"]}, "no value in a column 'country'"),
        ([{**TEXT, "city": "Oslo"}], {"at": ["end:city"]}, "(city) stands 2 times in the text"),
        ([{**TEXT, "city": "Nor"}], {"at": ["end:city"]}, "(city) stands 0 times in the text"),  # in Norway
        ([TEXT], {"template": "{text!r}"}, "asks for a form of {text} (r), but columns are written as they stand"),
        ([{**TEXT, "city": ["Oslo"]}], {"targets": ["city"]}, "row 1: the cell of 'city' holds several values"),
        ([{**TEXT, "spans": {"city": [0, 99]}}], {}, "the span [0, 99] of 'city' does not lie in its text"),
        ([{**TEXT, "spans": {"city": [4, 4]}}], {}, "the span [4, 4] of 'city' does not lie"),
        ([{**TEXT, "spans": {"city": "Oslo"}}], {}, "the span 'Oslo' of 'city'"),
        ([{**TEXT, "spans": [0, 4]}], {}, "spans is [0, 4]; expected name"),
        ([{**TEXT, "spans": {"city": [1, 4]}}], {"at": ["end:city"]}, "the span [1, 4] ('slo') falls"),
        ([{**TEXT, "spans": {"city": [4, 5]}}], {"at": ["end:city"]}, "falls between tokens"),
        ([{**TEXT, "spans": {"city": [0, 4]}}], {"at": ["before:city"]}, "no token comes before 'Oslo'"),
        ([TEXT], {"at": []}, "There is no place to read"),
        ([TEXT], {"targets": ["country"]}, "has no column 'country'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(rows: list[dict[str, Any]], options: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkbenchError) as error:
        read_table(rows, BPE, **options)
    assert message in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"is not a file; expected a table ending in \.csv, \.tsv, \.jsonl or \.parquet"
    ):
        read_table(tmp_path / "none.csv", BPE)
    (tmp_path / "table.xlsx").write_text("x")
    with pytest.raises(WorkbenchError, match=r"ends in '\.xlsx'; expected a table"):
        read_table(tmp_path / "table.xlsx", BPE)
    (tmp_path / "table.jsonl").write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(WorkbenchError, match=r"table\.jsonl, line 2, is not valid JSON"):
        read_table(tmp_path / "table.jsonl", BPE)
    (tmp_path / "table.csv").write_text("text\nOslo, in Norway\n")
    with pytest.raises(WorkbenchError, match="row 1 has more cells than the header; quote texts with commas"):
        read_table(tmp_path / "table.csv", BPE)
    (tmp_path / "table.csv").write_bytes("text\nÅlesund\n".encode("latin-1"))
    with pytest.raises(WorkbenchError, match=r"is not UTF-8 \(byte"):
        read_table(tmp_path / "table.csv", BPE)
    (tmp_path / "table.parquet").write_text("no parquet")
    pytest.importorskip("pyarrow")
    with pytest.raises(WorkbenchError, match="cannot be read as Parquet"):
        read_table(tmp_path / "table.parquet", BPE)


def test_a_word_outside_a_closed_vocabulary_is_named() -> None:
    backend = Tokenizer(models.WordLevel({"<|end|>": 0, "Oslo": 1, "lies": 2}))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    closed = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")
    rows = [{"text": "Oslo lies"}] * 5 + [{"text": "Oslo lies somewhere"}] + [{"text": "Oslo"}] * 3
    with pytest.raises(WorkbenchError, match="row 6: 'Oslo lies somewhere' holds the word 'somewhere'"):
        read_table(rows, closed)


def test_columns_that_look_like_spans_are_data_unless_they_are_asked_for() -> None:
    tokenizer = make_bpe()
    rows = [
        {"text": "Oslo lies here", "reign_start": "1837", "reign_end": "1901", "city_start": 0, "city_end": 4}
    ]
    found = read_table(rows, tokenizer, at=["end:city"])
    assert set(found.columns) == {"reign_start", "reign_end"}
    assert set(read_table(rows, tokenizer).columns) == {"reign_start", "reign_end", "city_start", "city_end"}


def test_rows_of_a_data_frame_say_what_its_file_would(caplog: pytest.LogCaptureFixture) -> None:
    """pandas keeps whole numbers with a gap as floats, and its NA is nothing."""
    import pandas as pd

    frame = pd.DataFrame(
        {"town": ["Oslo", "Rome", "Bern"], "year": [1996, None, 2001], "size": [1.5, 2.0, None]}
    )
    frame["sea"], frame["near"] = pd.array(["North", pd.NA, "Black"]), [["a"], ["b"], ["c"]]
    reading = read_table(frame.to_dict("records"), BPE, template="In {town}")
    found = {
        name: [None if value < 0 else column.categories[value] for value in column.values]
        for name, column in reading.columns.items()
        if column.categories is not None
    }
    assert found == {
        "town": ["Oslo", "Rome", "Bern"],
        "year": ["1996", None, "2001"],
        "size": ["1.5", "2.0", None],
        "sea": ["North", None, "Black"],
    }
    assert caplog.messages == ["row table: the column 'near' holds several values a cell, and is left out."]


def test_a_null_span_is_none(tmp_path: Path) -> None:
    rows = [{"text": "Oslo lies here", "spans": {"city": [0, 4], "verb": None}}]
    assert len(read_table(rows, make_bpe(), at=["end:city"])) == 1


def test_a_long_cell_is_read_and_a_header_twice_refused(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text('text,label\n"' + "Oslo " * 40_000 + '",a\n', encoding="utf-8")
    assert len(read_table(tmp_path / "long.csv", make_bpe())) == 1
    (tmp_path / "twice.csv").write_text("text,label,label\nOslo,a,b\n", encoding="utf-8")
    with pytest.raises(
        WorkbenchError, match=r"twice\.csv names the column 'label' twice; give each its own name"
    ):
        read_table(tmp_path / "twice.csv", make_bpe())


@pytest.mark.parametrize("cell", ["²", "9" * 5000, "1.0", "-1"])
def test_a_place_that_is_no_number_is_refused(cell: str) -> None:
    from tests.tokens.test_spans import make_bytes

    rows = [{"text": "Oslo lies here", "town_start": cell, "town_end": "4"}]
    with pytest.raises(
        WorkbenchError, match=r"row 1: the span .* of 'town' does not lie in its text of 14 characters"
    ):
        read_table(rows, make_bytes(), at=["end:town"])
