"""`workbench attention` in process: every analysis on a small run, kept results, and each mistake in one sentence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from workbench.attention import tables
from workbench.attention.examples import choose_entries, make_examples
from workbench.attention.runner import ANALYSES, TITLES, AttentionRequest, analyse, run_attention
from workbench.attention.tables import _few, make_attention_tables
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.report import write_report
from workbench.results.storing import load_results
from workbench.studies.loading import load_model
from workbench.studies.runs import Run


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["attention", *arguments, "-q"])


@pytest.mark.parametrize("what", ANALYSES)
def test_every_analysis_prints_a_table_and_is_kept(run: Run, what: str) -> None:
    result = invoke(str(run.path), "--what", what, "--entries", "4")
    assert result.exit_code == 0, result.output
    assert f"small · attention, {what} · step 0" in result.output  # the control
    assert f"small · attention, {what} · step 5" in result.output
    kept = load_results(run.path, "attention", what)
    assert kept["checkpoint"].values.tolist() == [0, 5]
    assert json.loads(kept.attrs["settings"])["entries"] == 4


def test_the_report_shows_every_analysis(run: Run, tmp_path: Path) -> None:
    for what in ANALYSES:
        run_attention(run, run.checkpoints, AttentionRequest(what, entries=4))
    page = write_report([run.path], tmp_path / "report.html").read_text(encoding="utf-8")
    inside = page[page.index("Inside the network") :]
    for what in ANALYSES:
        assert f"small: {TITLES[what]}, step 5 · " in inside


def test_rows_as_json_and_nothing_made_twice(run: Run) -> None:
    arguments = (str(run.path), "--what", "lens", "--entries", "3", "--no-control", "--json")
    first = json.loads(invoke(*arguments).stdout)
    file = run.path / "results" / "attention-lens" / "step-00000005.nc"
    written = file.stat().st_mtime_ns
    assert json.loads(invoke(*arguments).stdout) == first
    assert file.stat().st_mtime_ns == written
    assert len(first) == 3 * 6 * 6  # layers · positions · attributes
    assert {row["checkpoint"] for row in first} == {5}
    invoke(*arguments, "--again")
    assert file.stat().st_mtime_ns > written


def test_options_of_the_knockout_have_their_own_folder(run: Run) -> None:
    result = invoke(
        str(run.path), "--what", "knockout", "--entries", "3", "--roles", "name,value:major", "--window", "2",
        "--heads", "1", "--no-control",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    kept = load_results(run.path, "attention", "knockout", "window2+heads1+roles-name-value=major")
    assert kept["role"].values.tolist() == ["name", "value:major"]
    assert kept["window"].values.tolist() == ["all"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--what", "knockout", "--roles", "nmae"], "There is no role 'nmae'; did you mean 'name'"),
        (["--what", "knockout", "--roles", "other_entry"], "No entry has the role 'other_entry'"),
        (["--what", "knockout", "--window", "3"], "window of 3 blocks does not fit; the model has 2"),
        (["--what", "knockout", "--heads", "7"], "head 7 does not exist; each block has 2"),
        (
            ["--what", "knockout", "--heads", "a"],
            "--heads 'a' is not a list of numbers; expected such as `0,1,2`",
        ),
        (["--what", "shares", "--window", "1"], "--window belongs to knockout, not to shares"),
        (["--what", "interchange", "--entries", "1"], "entries of at least two entities"),
        (["--group", "nobody"], "has no group 'nobody'; its groups are everyone"),
        (["--checkpoints", "7"], "has no checkpoint '7'"),
    ],
)
def test_mistakes(run: Run, arguments: list[str], message: str) -> None:
    result = invoke(str(run.path), *arguments, "--no-control", "--again")
    assert isinstance(result.exception, WorkbenchError)
    assert message in str(result.exception)


def test_a_missing_result_names_the_command_that_makes_it(run: Run) -> None:
    with pytest.raises(WorkbenchError, match=r"make it with `workbench attention .*small --what lenses`"):
        load_results(run.path, "attention", "lenses")


def test_one_result_of_all_checkpoints_is_read_as_one(run: Run) -> None:
    result = invoke(str(run.path), "--what", "steering", "--entries", "3", "--checkpoints", "all", "--again")
    assert result.exit_code == 0, result.output
    kept = load_results(run.path, "attention", "steering")
    assert kept["checkpoint"].values.tolist() == [0, 5]
    assert set(kept["accuracy"].dims) == {
        "checkpoint",
        "place",
        "direction",
        "layer",
        "strength",
        "attribute",
    }
    assert (kept["entities"].sel(place="position") == 3).all()


def test_requests_are_checked() -> None:
    with pytest.raises(WorkbenchError, match="no analysis 'share'; did you mean 'shares'"):
        AttentionRequest("share")
    with pytest.raises(WorkbenchError, match="entries is 0"):
        AttentionRequest(entries=0)


def test_packed_rows_from_python(run: Run) -> None:
    (result,) = run_attention(run, run.checkpoints[-1:], AttentionRequest(entries=3, packed=1), device="cpu")
    assert (result["share"].sel(role="other_entry") > 0).all()
    assert result.attrs["variant"] == "packed1"


@pytest.mark.parametrize(("what", "more"), [("shares", 1), ("heads", 0), ("ablation", 3)])
def test_of_many_heads_the_foremost_are_printed(
    run: Run, what: str, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the network's order; the caption says how many there are. An ablation has two rows a part."""
    request = AttentionRequest(what, entries=3)
    (dataset,) = run_attention(run, [run.checkpoint("last")], request, device="cpu")
    everything = make_attention_tables(dataset)[0]
    monkeypatch.setattr(tables, "MOST_HEADS", 3)
    table = make_attention_tables(dataset)[0]
    assert table.row_count == 3 + more < everything.row_count
    assert "shown (--json has all)" not in str(everything.caption)
    assert "the 3 of " in str(table.caption) and "shown (--json has all)" in str(table.caption)
    names = list(table.columns[0].cells)
    assert names == [name for name in everything.columns[0].cells if name in names]


def test_what_no_text_has_takes_no_room(run: Run) -> None:
    """Without its pronouns, with names of one word and one value a text: no row or column is empty from end to end."""
    corpus = run.corpus
    value = next(iter(corpus.entries[0].values))
    entries = []
    for entry in choose_entries(run, 3):
        name, said, (start, end) = *entry.text.split()[:1], entry.text.split()[4], entry.values[value]
        front = f"{name} {said} "
        text = front + entry.text[start:end]
        spans = {"names": ((0, len(name)),), "pronouns": (), "values": {value: (len(front), len(text))}}
        entries.append(replace(entry, text=text, sentences={value: (0, len(text))}, **spans))
    examples = make_examples(run.tokenizer, entries, run.schema)
    assert examples.positions.shape == (3, 1)
    model = load_model(run.checkpoint("last"))
    for what in ("shares", "knockout", "lens", "ablation"):
        dataset = analyse(model, examples, AttentionRequest(what, entries=3), run)
        table = make_attention_tables(dataset.assign_attrs(family=what, run="small"))[0]
        cells = np.array([list(column.cells) for column in table.columns]).T
        assert not (cells == tables.EMPTY).all(0).any() and not (cells[:, 1:] == tables.EMPTY).all(1).any()
        headings = [str(column.header) for column in table.columns]
        assert "pronoun" not in headings and "company" not in headings
        assert "positions 0" not in str(table.caption)


def test_the_foremost_have_the_highest_scores() -> None:
    rows = [f"0.{number}" for number in range(60)]
    shown, words = tables.foremost(rows, np.array([*range(30), *([np.nan] * 10), *range(100, 120)]))
    assert shown == [*rows[2:30], *rows[40:]]
    assert words == "the 48 of 60 shown (--json has all)"


def test_of_a_large_set_of_heads_three_are_named() -> None:
    """67 heads in a cell broke the table over six lines."""
    assert _few(["0.1", "2.3"]) == "0.1 2.3"
    assert _few([f"{n}.0" for n in range(67)]) == "67: 0.0 1.0 2.0 …"
