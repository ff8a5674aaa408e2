"""Vector panels of attention, sets, capacity, reasoning, training and cases: what their cells and captions say."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.app.made_analyses import add_sets, add_shares, attrs_of
from tests.app.made_cases import LAST, add_cases
from tests.app.made_runs import STEPS, make_run
from tests.app.test_overview import add_capacity
from tests.figures.test_publication import cells_of
from workbench.errors import WorkbenchError
from workbench.figures.publication import make_figure
from workbench.figures.publication.measured_panels import order_operations
from workbench.figures.publication.panels import Graph
from workbench.figures.theme import DIVERGING_LIGHT, SCALE_LIGHT, colour_at
from workbench.report.reasoning import read_results
from workbench.results.cases import find_cases
from workbench.results.storing import load_results, result_path, save_result
from workbench.studies.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path, "one", "multi5+permute", steps=STEPS)


def add_knockout(run: Run, step: int) -> xr.Dataset:
    """Two roles, one attribute each with a loss of its own; the second is never before the first attribute."""
    loss = np.array([[0.5, 0.25], [np.nan, -0.125]])
    dims = ("role", "window", "position", "attribute")
    variables = {
        "loss": (dims, loss[:, None, None]),
        "n": (dims, np.where(np.isnan(loss), 0, 40)[:, None, None]),
        "pooled_loss": (("role", "window"), [[0.375], [-0.125]]),
        "pooled_loss_se": (("role", "window"), [[0.01], [0.02]]),
        "pooled_loss_control": (("role", "window"), [[0.03], [0.0]]),
    }
    coords = {
        "role": ["name", "value:major"],
        "window": ["all"],
        "position": [0],
        "attribute": ["major", "company"],
    }
    data = xr.Dataset(
        variables, coords={**coords, "checkpoint": step}, attrs=attrs_of(run, "attention", "knockout", step)
    )
    save_result(result_path(run.path, "attention", "knockout", step), data)
    return data


def add_reasoning(run: Run, step: int) -> None:
    """One property known after the first sentence, and problems of one and two operations."""
    probed = xr.Dataset(
        {
            "accuracy": 0.8, "n": 30, "chance": 0.5,
            "by_step": ("step", [0.6, np.nan, 0.9]), "n_by_step": ("step", [10, 0, 20]),
        },
        coords={"step": [-1, 0, 1], "checkpoint": step},
        attrs=attrs_of(run, "v", "embedding", step, "nece"),
    )  # fmt: skip
    save_result(result_path(run.path, "v", "embedding", step, "nece"), probed)
    ends = {name: ("operations", [0.5, 0.1]) for name in ("ci_low", "ci_high")}
    solved = xr.Dataset(
        {"accuracy": ("operations", [0.75, 0.25]), "n": ("operations", [64, 64]), "chance": 0.0, **ends},
        coords={"operations": ["1", "2"], "checkpoint": step},
        attrs=attrs_of(run, "solving", "greedy", step),
    )
    save_result(result_path(run.path, "solving", "greedy", step), solved)


def test_attention_has_the_shares_of_its_role(run: Run) -> None:
    add_shares(run, LAST)
    made = make_figure([run.path], "attention", role="values")
    share = load_results(run.path, "attention", "shares")["group_share"].sel(checkpoint=LAST, group="values")
    mean = share.mean("position")  # as many texts at each position
    cells = cells_of(made.render("svg"))
    assert len(cells) == 8
    for (row, head), colour in cells.items():
        value = float(mean.sel(block=int(row.removeprefix("block ")), head=int(head)))
        assert colour == colour_at(SCALE_LIGHT, value)
    assert made.panels[0].content.rows == ["block 1", "block 0"]
    assert "n = 240 texts × positions" in made.caption and made.line.endswith(
        "--role values --out figure.pdf"
    )
    with pytest.raises(WorkbenchError, match=r"^one has no group 'nobody'; it has name, values, start\.$"):
        make_figure([run.path], "attention", role="nobody")


def test_a_knockout_is_told_in_points_with_its_random_control(run: Run) -> None:
    add_knockout(run, LAST)
    made = make_figure([run.path], "knockout")
    grid, evidence = made.panels[0].content, made.panels[0].evidence[0]
    assert grid.texts == [["+38", "+50", "+25"], ["−12", "", "−12"]] and grid.notes == [
        "(random +3)",
        "(random 0)",
    ]
    assert cells_of(made.render("svg"))["value:major", "company"] == colour_at(
        DIVERGING_LIGHT, (1 - 0.125) / 2
    )
    np.testing.assert_allclose(evidence.high[:, 0] - evidence.values[:, 0], [0.0196, 0.0392], atol=1e-5)
    assert np.isnan(evidence.low[:, 1:]).all() and "95 % intervals reach at most ±3.9 points" in made.caption


def test_sets_are_named_by_letters_that_the_caption_explains(run: Run) -> None:
    add_sets(run, LAST)
    made = make_figure([run.path], "seen")
    assert made.panels[0].content.columns == ["–", "d", "b", "db", "dbu"]
    assert cells_of(made.render("svg"))["birth_city/whole", "d"] == colour_at(SCALE_LIGHT, 0.9)
    assert "d birth date, b birth city" in made.caption and "n = 50 texts a cell" in made.caption


def test_bits_are_a_share_of_what_there_is(run: Run) -> None:
    for step, bits in ((0, -50.0), (64, 1000.0)):
        add_capacity(run, step, bits)
    panel = make_figure([run.path], "bits").panels[0]
    series = panel.content.series[0]
    np.testing.assert_allclose(series.values, [0, 0.25])  # −50 bits stand on the axis
    np.testing.assert_allclose(panel.evidence[0].values, [-0.0125, 0.25])
    np.testing.assert_allclose(series.high[1], 0.25 + 1.959964 * 10 / 4000)
    assert panel.sub == "of 4,000 bits; at the end 0.50 a parameter"


def test_reasoning_by_sentences_and_by_operations(run: Run) -> None:
    add_reasoning(run, LAST)
    made = make_figure([run.path], "v,solved")
    grid, graph = (panel.content for panel in made.panels)
    assert grid.rows == ["nece"] and grid.columns == ["problem", "1"] and grid.texts == [["60", "90"]]
    assert grid.notes == ["(.50)"] and graph.ticks == ["1", "2"]
    np.testing.assert_allclose(graph.series[0].values, [0.75, 0.25])
    assert "n = 10 to 20 queries a cell" in made.caption and "n = 64 problems a point" in made.caption


def test_operations_stand_in_order_whatever_run_has_which() -> None:
    assert order_operations(["reask", "4", "10", "1", "4"]) == ["1", "4", "10", "reask"]


def test_learning_curves_leave_out_what_was_never_right(run: Run) -> None:
    made = make_figure([run.path], "learning")
    rows, graph = run.metrics(), made.panels[0].content
    assert [series.name for series in graph.series][:2] == [
        "biographies, train entities",
        "biographies, test entities",
    ]
    np.testing.assert_allclose(graph.series[1].values, [row["biographies"]["test"]["mean"] for row in rows])
    assert re.search(r"SHA-256: one recipe [0-9a-f]{12}, step 1,018 weights [0-9a-f]{12}\.", made.caption)


def test_cases_are_two_by_two(run: Run) -> None:
    add_cases(run)
    made = make_figure([run.path], "cases")
    table = find_cases(run.path).table
    expected = [
        [table.count("both-right"), table.count("probe-only")],
        [table.count("answer-only"), table.count("both-wrong")],
    ]
    np.testing.assert_allclose(made.panels[0].evidence[0].values, np.array(expected) / np.sum(expected))
    assert f"n = {np.sum(expected)} cases" in made.caption
    assert "one: probe p-embedding at position 0, answers qa-lora+lora" in made.caption
    early = make_figure([run.path], "cases@5")  # as other panels, the first there is where all are later
    assert early.panels[0].sub == "step 1,018"


def test_what_is_not_there_names_the_command(run: Run) -> None:
    for panel, command in (
        ("attention", f"workbench attention {run.path} --what shares"),
        ("knockout", f"workbench attention {run.path} --what knockout"),
        ("seen", f"workbench probe {run.path} --kind seen"),
        ("bits", f"workbench capacity {run.path} --checkpoints all"),
        ("v", f"workbench probe {run.path} --kind v"),
        ("solved", f"workbench solve {run.path}"),
    ):
        with pytest.raises(WorkbenchError, match=re.escape(f"make them with `{command}`.")):
            make_figure([run.path], panel)


def test_a_curve_over_numbers_ends_before_the_words() -> None:
    pieces = Graph([], ["1", "2", "", "reask"], "operations").pieces
    assert [piece.tolist() for piece in pieces] == [[True, True, False, False], [False, False, False, True]]
    (whole,) = Graph([], ["0", "64"], "step").pieces
    assert whole.all()


def test_a_v_probe_of_an_earlier_checkpoint_is_not_drawn_as_of_this_one(run: Run) -> None:
    for step in STEPS:
        add_reasoning(run, step)
    early = load_results(run.path, "v", "embedding", "nece").sel(checkpoint=STEPS[0])
    digest = str(early["weights_digest"].values)
    early = early.drop_vars("weights_digest").assign_attrs(variant="dep", weights_digest=digest)
    early = early.isel(step=[0])  # asked before the solution alone
    save_result(result_path(run.path, "v", "embedding", STEPS[0], "dep"), early)
    newest, first = (make_figure([run.path], panels).panels[0] for panels in ("v", f"v@{STEPS[0]}"))
    assert (newest.content.rows, newest.sub) == (["nece"], f"step {STEPS[-1]:,}")
    by_row = dict(zip(first.content.rows, first.content.texts, strict=True))
    assert by_row == {"dep": ["60", ""], "nece": ["60", "90"]} and first.content.columns == ["problem", "1"]
    assert [one.attrs["variant"] for one in read_results(run)["v"]] == ["nece"]
