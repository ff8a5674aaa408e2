"""Figures of tasks: every bar and tick is the table's number, and names keep all their letters."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.extraction.task_tables import choose_checkpoint
from workbench.figures.tasks import choose_task_figures, plot_directions, plot_hints, plot_tasks

LONG = "inverse:birth_date,birth_city,university,major,company,company_city"


def rows(step: int = 64) -> pd.DataFrame:
    made = []
    for finetune, hints, shift in (("plain", False, 0.0), ("hinted", True, 0.1)):
        for n, task in enumerate(("classification:birth_date.month%2", LONG)):
            direct = 0.2 + 0.3 * n + shift
            made.append(
                {
                    "run": "a", "augmentation": "single", "step": step, "finetune": finetune, "hints": hints,
                    "train_entities": 50, "split": "test", "task": task, "chance": 0.5 - 0.4 * n, "n": 40,
                    "direct": direct, "ci_low": direct - 0.05, "ci_high": direct + 0.1,
                    "with_hint": 0.7 if hints else np.nan, "predicted": 0.8 if hints else np.nan,
                    "hint_accuracy": 0.6 if hints else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(made)


def test_bars_and_ticks_are_the_tables_numbers() -> None:
    table = rows()
    *bars, chance = plot_tasks(table).data
    assert [bar.name for bar in bars] == ["a, plain, step 64", "a, hinted, step 64"]
    for bar, hints in zip(bars, (False, True), strict=True):
        wanted = table[table["hints"] == hints]
        assert list(bar.x) == wanted["direct"].tolist()
        assert list(bar.y) == wanted["task"].tolist()
        np.testing.assert_allclose(bar.error_x.array, 0.1)
        np.testing.assert_allclose(bar.error_x.arrayminus, 0.05)
    assert dict(zip(chance.y, chance.x, strict=True)) == dict(
        zip(table["task"], table["chance"], strict=True)
    )


def test_hints_are_drawn_beside_what_they_predict() -> None:
    *bars, _ = plot_hints(rows()).data
    assert {bar.name: list(bar.x) for bar in bars} == {
        "taught without hints": [0.2, 0.5],
        "taught with hints, asked directly": [0.30000000000000004, 0.6],
        "asked with hint": [0.7, 0.7],
        "predicted from the hints": [0.8, 0.8],
    }


def test_names_are_broken_and_whole() -> None:
    for figure in (plot_tasks(rows()), plot_hints(rows())):
        shown = figure.layout.yaxis.ticktext
        assert [text.replace("<br>", "") for text in shown] == list(figure.layout.yaxis.tickvals)
        assert max(len(line) for text in shown for line in text.split("<br>")) <= 24
        assert figure.layout.margin.t >= 20 * len(figure.data)  # room for the legend
    assert list(choose_task_figures(rows())) == [
        "Tasks, asked directly", "With hints and without", "Forward against backward",
    ]  # fmt: skip


def test_directions_lie_beside_names_of_runs_that_are_broken_and_whole() -> None:
    table = rows()
    table.loc[table["task"].str.startswith("class"), "task"] = "retrieval:birth_date.month"
    table["run"] = "multi5+permute+fullname-seed1"
    forward, backward = plot_directions(table).data
    assert (list(forward.y), list(forward.x)) == (["multi5+permute+fullname-seed1"], [pytest.approx(0.25)])
    assert list(backward.x) == [pytest.approx(0.55)]
    (shown,) = plot_directions(table).layout.yaxis.ticktext
    assert shown == "multi5+permute+fullname-<br>seed1"


def test_finetunes_of_an_earlier_checkpoint_are_never_mixed_with_those_of_the_last() -> None:
    early, late = rows(16), rows(64)
    early["direct"] -= 0.1
    both = pd.concat([early, late, rows(32).assign(run="b")])
    for step, wanted in (
        (None, {("a", 64), ("b", 32)}),
        (63, {("a", 16), ("b", 32)}),
        (1, {("a", 16), ("b", 32)}),
    ):
        kept = choose_checkpoint(both, step)
        assert set(zip(kept["run"], kept["step"], strict=True)) == wanted
    figures = choose_task_figures(pd.concat([early, late]))
    assert "<br>test entities, step 64" in figures["With hints and without"].layout.xaxis.title.text
    assert figures["With hints and without"].data[0].x[0] == 0.2  # of step 64 alone, not the mean with 0.1
    line, chance, *_ = figures["Over training"].data
    assert list(line.x) == [16, 64] and list(line.y) == pytest.approx([0.1, 0.2])
    assert line.customdata[0] == "plain, step 16, n = 40" and list(chance.y) == [0.5, 0.5]
    message = "^These rows of a are of steps 16, 64; keep those of one checkpoint with `choose_checkpoint`.$"
    for plot in (plot_hints, plot_directions):
        with pytest.raises(WorkbenchError, match=message):
            plot(pd.concat([early, late]))
