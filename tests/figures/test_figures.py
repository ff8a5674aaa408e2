"""Training curves, probes over training, Q-probe bars, the paper's numbers, and the heatmap in words."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.facts.schema import Attribute, Schema, schema_to_json
from workbench.figures import (
    paper_answers,
    paper_answers_beside_celebrities,
    paper_answers_by_rank,
    paper_answers_by_ratio,
    paper_augmentations,
    paper_p_probe,
    paper_q_probe,
    paper_rewritten_answers,
    paper_rewritten_answers_beside,
    plot_probe_over_training,
    plot_q_bars,
    plot_training_curves,
)
from workbench.figures.paper import TARGETS
from workbench.figures.reading import read_heatmap
from workbench.figures.training import recitation

ROWS = [
    {
        "step": step,
        "loss": None if step == 0 else 1 / (step + 1),
        "biographies": {
            "train": {"mean": step / 10, "major": 0.5},
            "test": {"mean": step / 20, "major": 0.7},
        },
        "answers": {"train": {"mean": 0.0}},
    }
    for step in range(0, 11, 5)
]


def test_training_curves_show_the_rows_and_the_checkpoints():
    figure = plot_training_curves(ROWS, checkpoints=[0, 10])
    by_name = {trace.name: trace for trace in figure.data}
    assert set(by_name) == {
        "loss",
        "biographies, train entities",
        "biographies, test entities",
        "answers, train entities",
    }
    assert list(by_name["biographies, test entities"].y) == [0, 0.25, 0.5]
    assert list(by_name["loss"].x) == [5, 10]  # no loss was measured at step 0
    assert sorted({shape.x0 for shape in figure.layout.shapes}) == [0, 10]


def test_training_curves_of_nothing_are_refused():
    with pytest.raises(WorkbenchError, match="no metrics yet"):
        plot_training_curves([])


def test_recitation_is_the_last_row_over_both_halves():
    assert recitation(ROWS) == {"mean": pytest.approx(0.75), "major": pytest.approx(0.6)}
    assert recitation([]) == {}


def test_the_probe_over_training_has_one_line_a_target(p_result):
    parts = [
        p_result("staircase", step=step, known=known) for step, known in ((0, 0.1), (64, 0.4), (512, 0.9))
    ]
    series = xr.concat(parts, "checkpoint", data_vars="all", combine_attrs="override")
    figure = plot_probe_over_training(series)
    assert len(figure.data) == 11
    month = next(trace for trace in figure.data if trace.name.startswith("birth date"))
    np.testing.assert_allclose(month.y, [0.1, 0.4, 0.9])
    assert list(figure.layout.xaxis.ticktext) == ["0", "64", "512"]
    whole = plot_probe_over_training(series, form="whole")
    assert [trace.name.split(" (")[0] for trace in whole.data][:2] == ["birth date", "birth city"]
    assert len(whole.data) == 6
    at_1 = plot_probe_over_training(series, position=1)
    assert not any(trace.name.startswith("birth date") for trace in at_1.data)  # empty at every checkpoint


def test_one_checkpoint_is_no_series(p_result):
    with pytest.raises(WorkbenchError, match="--checkpoints all"):
        plot_probe_over_training(p_result("flat"))


def test_q_bars_show_accuracy_interval_and_chance():
    ours = paper_q_probe("single").assign(
        ci_low=("target", np.full(11, 0.0)), ci_high=("target", np.full(11, 1.0))
    )
    figure = plot_q_bars({"a": ours, "b": paper_q_probe("multi5+permute")})
    a, chance, b, _ = figure.data
    np.testing.assert_array_equal(a.x, ours["accuracy"].values)
    np.testing.assert_allclose(np.asarray(a.error_x.array) + np.asarray(a.x), 1.0)
    assert b.error_x.array is None
    np.testing.assert_array_equal(chance.x, ours["chance"].values)


def test_a_q_probe_with_one_position_is_drawn_like_one_without():
    plain = paper_q_probe("single")
    (bars, _) = plot_q_bars(plain.expand_dims(position=[0], checkpoint=[512])).data
    np.testing.assert_array_equal(bars.x, plain["accuracy"].values)


def test_the_papers_numbers_are_the_printed_ones():
    single, permuted = paper_p_probe("single"), paper_p_probe("multi5+permute")
    assert single["target"].values.tolist() == list(TARGETS)
    cell = single["accuracy"].sel
    assert cell(position=0, target="birth_date/first") == 1.0
    assert cell(position=4, target="company_city/first") == 0.691
    assert cell(position=1, target="birth_city/whole") == 0.937
    assert np.isnan(cell(position=2, target="birth_city/whole"))
    assert permuted["accuracy"].sel(position=0, target="university/whole") == 0.755
    assert permuted["chance"].sel(target="university/first") == 0.37
    assert paper_q_probe("single")["accuracy"].sel(target="birth_date/first") == 0.634
    assert paper_q_probe("multi5")["accuracy"].sel(target="company_city/whole") == 0.119


def test_the_papers_answers_are_the_printed_ones():
    assert paper_answers("multi5+permute", mixed=True, gbert=True)["birth_date"] == 0.89
    assert paper_answers("single", gbert=True)["company_city"] == 0.145
    assert paper_answers_beside_celebrities("single")["university"] == 0.706
    assert paper_answers_beside_celebrities("multi5") is None
    assert paper_answers_by_ratio("multi5+permute") == {
        0.1: 0.966, 0.2: 0.963, 0.3: 0.959, 0.4: 0.962, 0.6: 0.958, 0.8: 0.952, 0.9: 0.939,
    }  # fmt: skip
    assert paper_answers_by_ratio("multi2") == {}
    assert paper_answers_by_rank("single")["full"] == (0.989, 0.075)
    assert paper_answers_by_rank("multi2+permute")["2/0"] == (0.87, 0.655)
    assert all(len(cells) == 26 for cells in map(paper_answers_by_rank, ("single", "single+permute5")))
    assert paper_q_probe("multi5", gbert=True)["accuracy"].sel(target="birth_date/first") == 0.457


def test_the_papers_rows_of_rewritten_texts_are_those_of_the_documents() -> None:
    """docs/rewriting.md shows Figures 12 and 17 as they are shipped."""
    text = (Path(__file__).parents[2] / "docs" / "rewriting.md").read_text(encoding="utf-8")
    asked, beside = text.split("Beside Wikipedia, or beside 100,000 celebrities")
    rows = [line.strip("| ").split(" | ") for line in asked.splitlines() if line.startswith("| `")]
    shown = {name.strip("`"): cells for name, *cells in rows if re.fullmatch(r"[\d.]+ \([\d.]+\)", cells[0])}
    assert list(shown) == [
        f"{one}{more}" for one in ("single", "multi3", "multi5") for more in ("", "+fullname")
    ]
    for name, (_, *cells, _) in shown.items():
        for mixed in (False, True):
            found = paper_rewritten_answers(name, mixed=mixed)
            assert found is not None
            assert [f"{100 * share:.1f}" for share in found.values()] == [
                cell.replace("(", "").replace(")", "").split()[mixed] for cell in cells
            ]
    for words, key in (("Wikipedia", "wiki"), ("celebrities", "CEL")):
        for name in ("single", "single+fullname"):
            found = paper_rewritten_answers_beside(name, key)
            assert found is not None
            (row,) = [line for line in beside.splitlines() if line.startswith(f"| `{name}` beside {words}")]
            assert row.strip("| ").split(" | ")[2:] == [f"{100 * share:.1f}" for share in found.values()]
    assert paper_rewritten_answers("multi5", llama=True, mixed=True)["company_city"] == 0.859  # type: ignore[index]
    assert paper_rewritten_answers("multi2") is None
    assert paper_rewritten_answers_beside("multi5", "CEL") is None


def test_the_paper_has_sixteen_rows_and_says_which():
    assert len(paper_augmentations()) == 16
    assert all(paper_p_probe(name)["accuracy"].notnull().any() for name in paper_augmentations())
    with pytest.raises(
        WorkbenchError, match=r"no numbers for 'multi5\+permut'; did you mean 'multi5\+permute'\?"
    ):
        paper_p_probe("multi5+permut")


def test_the_two_patterns_are_told_apart_and_agree_with_the_paper(p_result):
    assert read_heatmap(p_result("staircase")).pattern == "staircase"
    assert read_heatmap(p_result("flat")).pattern == "flat"
    assert read_heatmap(p_result("flat", known=0.25)).pattern == "between"
    assert read_heatmap(p_result("flat", known=0.12)).pattern == "nothing"
    assert read_heatmap(p_result("staircase", known=0.2)).pattern == "nothing"
    assert read_heatmap(paper_p_probe("single")).pattern == "staircase"
    assert read_heatmap(paper_p_probe("multi5+permute")).pattern == "flat"


def test_the_reading_states_the_means():
    reading = read_heatmap(paper_p_probe("single"))
    # whole values at position 0, Figure 13(c): 5.0, 0.8, 1.7, 0.6, 14.3; month 100
    assert reading.others_at_start == pytest.approx(np.mean([0.05, 0.008, 0.017, 0.006, 0.143]))
    assert reading.at_start == pytest.approx(np.mean([1, 0.05, 0.008, 0.017, 0.006, 0.143]))
    assert reading.others_chance == pytest.approx(np.mean([0.005, 0.003, 0.01, 0.004, 0.137]))
    assert reading.own_sentence == pytest.approx(np.mean([1, 0.937, 0.549, 0.836, 0.95, 1]))  # the diagonal
    assert "4 % of the time; chance is 3 %" in reading.sentences[0]
    assert np.isnan(read_heatmap(paper_p_probe("multi5+permute")).own_sentence)


def test_drawing_needs_no_torch():
    code = "import sys, workbench.figures; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def cells_of(rows: dict[str, list[float]], chance: float = 0.1) -> xr.Dataset:
    """A P-probe of facts by target: its accuracy at each position."""
    targets = list(rows)
    keys = list(dict.fromkeys(target.partition("/")[0] for target in targets))
    schema = Schema(tuple(Attribute(key) for key in keys))
    return xr.Dataset(
        {
            "accuracy": (("target", "position"), list(rows.values())),
            "chance": ("target", [chance] * len(targets)),
        },
        coords={"target": targets, "position": list(range(len(next(iter(rows.values())))))},
        attrs={"facts": json.dumps(schema_to_json(schema))},
    )


NONE = float("nan")


def test_rows_that_rise_at_the_diagonal_are_not_called_flat():
    high = cells_of(
        {"river/whole": [0.9, NONE, NONE], "craft/whole": [0.5, 0.98, NONE], "age/whole": [0.5, 0.5, 0.98]}
    )
    reading = read_heatmap(high)
    assert reading.pattern == "between"
    assert reading.sentences[1].startswith("Between the two patterns (95 % on the diagonal)")


def test_shuffled_texts_that_tell_more_further_on_are_not_called_unread():
    reading = read_heatmap(
        cells_of(
            {name: [0.12, 0.6, 0.95] for name in ("a/whole", "b/whole", "c/whole", "d/whole", "e/whole")}
        )
    )
    assert reading.pattern == "later"
    assert reading.sentences[1] == (
        "Hardly anything is read from the name, but more further on: a (12 %, later 95), b (12 %, later 95), "
        "c (12 %, later 95) and 2 more attributes. There a value hangs on what is said before it, or is the very next "
        "one."
    )


def test_rows_that_all_rise_are_not_called_flat_but_for_themselves():
    reading = read_heatmap(cells_of({"a/whole": [0.5, 0.6, 0.95], "b/whole": [0.45, 0.6, 0.95]}))
    assert reading.pattern == "between"
    assert "some only appears later: a (50 %, later 95) and b (45 %, later 95)." in reading.sentences[1]


def test_the_only_attribute_is_not_called_another():
    reading = read_heatmap(cells_of({"river/whole": [0.7]}))
    assert reading.left_out == ""
    assert (
        reading.sentences[0]
        == "With only the name read (position 0), river is told right 70 % of the time; chance is 10 %."
    )


def test_a_part_of_a_value_stands_for_its_attribute_and_foreign_targets_for_none():
    assert read_heatmap(cells_of({"day/month": [0.4], "river/whole": [0.7]})).at_start == pytest.approx(0.55)
    foreign = cells_of({"river/whole": [0.7]}).assign_coords(target=["parity of river"])
    assert read_heatmap(foreign).sentences == ["No attribute is read with only the name read (position 0)."]


def test_chance_beside_what_the_name_tells_is_that_of_position_0():
    cells = cells_of({"a/whole": [0.2, 0.4], "b/whole": [0.2, 0.4]})
    by_place = xr.DataArray([0.1, 0.3], dims="position") * xr.ones_like(cells["accuracy"])
    reading = read_heatmap(cells.assign(chance=by_place))
    assert "chance is 10 %" in reading.sentences[0]
