"""Runs shown as one: the mean over seeds with Student's interval, in the pictures, in a cell's detail, in curves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from workbench_app import detail
from workbench_app.drawing import draw_page
from workbench_app.folding import fold_entries
from workbench_app.view import View

from tests.app.conftest import serving
from tests.app.made_runs import add_results, make_result, make_run
from tests.app.test_analyses import texts
from tests.app.test_other_results import make_view
from tests.app.test_pages import find_faults
from workbench.results.storing import load_results, result_path, save_result

SEEDS = ("single-s0", "single-s1", "single-s2")
ALL = ",".join((*SEEDS, "multi"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of one recipe, and a run that differs in its augmentation and its seed."""
    runs = tmp_path_factory.mktemp("folds")
    for seed, name in enumerate(SEEDS):
        run = make_run(runs, name, "single", seed=seed, steps=(0, 64, 1018))
        add_results(run, "p", steps=(0, 64, 1018))
        add_results(run, "q", steps=(1018,))
    run = make_run(runs, "multi", "multi5+permute", seed=1, steps=(0, 64, 1018))
    add_results(run, "p", steps=(0, 64, 1018))
    return runs


@pytest.fixture(scope="module")
def folded(folder: Path):
    with serving(folder) as address:
        yield address


def accuracies(folder: Path, step: int = 1018, kind: str = "p") -> np.ndarray:
    """[seed, target, position] of the three seeds."""
    results = [
        load_results(folder / name, kind, "embedding")["accuracy"].sel(checkpoint=step) for name in SEEDS
    ]
    return np.stack([result.transpose("target", "position").values for result in results])


def test_seeds_are_one_heatmap_and_other_runs_stay_apart(visit, folded, folder: Path) -> None:
    seen = visit(folded)
    page = seen.open(f"p-probe?runs={ALL}&fold=seed")
    assert page.locator("#main .card h2").all_text_contents() == ["single (3 runs)", "multi"]
    expected = accuracies(folder).mean(0)
    shown = np.array(seen.shown("heat-0"), float)
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    np.testing.assert_allclose(
        np.array(seen.shown("heat-1"), float),
        load_results(folder / "multi", "p", "embedding")["accuracy"]
        .sel(checkpoint=1018)
        .transpose("target", "position"),
        atol=1e-6,
    )
    assert find_faults(page) == []
    hover = page.evaluate("document.querySelector('#heat-0 .js-plotly-plot').data[0].hovertext[1][0]")
    low, high = _students(accuracies(folder)[:, 1, 0])
    assert f"(95 %: {100 * low:.1f}–{100 * high:.1f})" in hover and "mean over 3 runs" in hover
    page = visit(folded).open(f"p-probe?runs={ALL}")
    assert page.locator("#main .card").count() == 4


def _students(values: np.ndarray) -> tuple[float, float]:
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return max(low, 0.0), min(high, 1.0)


def test_a_cell_of_several_runs_tells_each(visit, folded, folder: Path) -> None:
    seen = visit(folded)
    page = seen.open(f"p-probe?runs={ALL}&fold=seed&step=64&cell={','.join(SEEDS)}:1:birth_city/first")
    page.wait_for_selector("#detail table")
    values = accuracies(folder, 64)[:, 1, 1]
    low, high = _students(values)
    assert page.text_content("#detail .big").startswith(
        f"{100 * values.mean():.1f} %95 %: {100 * low:.1f}–{100 * high:.1f}"
    )
    rows = page.locator("#detail tbody tr").all_text_contents()
    assert [
        row.startswith(f"{name}{100 * value:.1f} %")
        for row, name, value in zip(rows, SEEDS, values, strict=True)
    ] == [True] * 3
    assert "3 runs that differ in seed" in page.text_content("#detail")
    code = page.text_content("#detail pre")
    printed = _run(code)
    np.testing.assert_allclose(printed, (values.mean(), low, high))
    assert find_faults(page) == []


def _run(code: str) -> list[float]:
    told: list[float] = []
    exec(code, {"print": lambda *numbers: told.extend(numbers)})
    return told


def test_the_difference_to_several_runs_is_that_of_their_mean(visit, folded, folder: Path) -> None:
    seen = visit(folded)
    page = seen.open(f"p-probe?runs={ALL}&fold=seed&baseline={','.join(SEEDS)}")
    assert page.locator("#main .card h2").all_text_contents() == [
        "single (3 runs)",
        "multi minus single (3 runs)",
    ]
    multi = load_results(folder / "multi", "p", "embedding")["accuracy"].sel(checkpoint=1018)
    expected = multi.transpose("target", "position").values - accuracies(folder).mean(0)
    np.testing.assert_allclose(np.array(seen.shown("heat-1"), float), expected, atol=2e-6)


def test_curves_of_several_runs_have_bands(visit, folded, folder: Path) -> None:
    page = visit(folded).open(f"training?runs={','.join(SEEDS)}&fold=seed&position=0")
    assert page.locator("#main .card h2").all_text_contents() == [
        "single (3 runs)",
        "single (3 runs): probed at position 0",
        "single (3 runs): first step clear of chance",
    ]
    bands = page.evaluate(
        "document.querySelector('#over-0 .js-plotly-plot').data"
        ".filter(t => t.fill === 'toself').map(t => Array.from(t.y))"
    )
    curve = np.stack([accuracies(folder, step)[:, 0, 0] for step in (0, 64, 1018)])
    ends = np.array([_students(values) for values in curve])
    np.testing.assert_allclose(bands[0], [*ends[:, 1], *ends[::-1, 0]], atol=1e-5)


def test_bars_of_several_runs_reach_as_far_as_their_interval(visit, folded, folder: Path) -> None:
    page = visit(folded).open(f"q-probe?runs={','.join(SEEDS)}&fold=seed")
    bar = page.evaluate("(() => { const t = document.querySelector('#bars .js-plotly-plot')._fullData[0];"
                        "return [Array.from(t.x), Array.from(t.error_x.array)]; })()")  # fmt: skip
    values = accuracies(folder, kind="q")[:, :, 0]
    np.testing.assert_allclose(bar[0], values.mean(0), atol=1e-6)
    np.testing.assert_allclose(bar[1][0], _students(values[:, 0])[1] - values[:, 0].mean(), atol=1e-5)


def test_any_key_folds_and_one_that_is_none_is_told(visit, folded) -> None:
    page = visit(folded).open(f"p-probe?runs={ALL}&fold=people.number")
    assert page.locator("#main .card h2").all_text_contents() == ["number 40 (4 runs)"]
    assert "differ in seed, biographies.augmentation" in page.text_content("#main .card .sub")
    page = visit(folded).open(f"p-probe?runs={ALL}&fold=nonsense")
    assert page.locator("#main .card").count() == 4
    assert "There is no key to fold by 'nonsense' here" in page.text_content("#main .faults")


def test_a_run_that_lacks_the_probe_is_named_with_its_command(visit, folded) -> None:
    page = visit(folded).open(f"q-probe?runs={ALL}&fold=people.number")
    assert "The mean needs all 4 runs; not probed with “embedding”: multi." in page.text_content(
        "#main .empty"
    )
    assert "--kind q" in page.text_content("#main .empty .command")


def test_the_control_folds_and_a_figure_of_it_is_the_mean(visit, folded) -> None:
    page = visit(folded).open(f"p-probe?runs={ALL}")
    page.get_by_label("Fold", exact=True).first.click()
    page.get_by_role("option", name="seeds as one").click()
    page.wait_for_function("() => document.querySelectorAll('#main .card').length === 2")
    assert "fold=seed" in page.url
    page.click("#share-open")
    page.wait_for_selector("#share .caption:not(:empty)")
    assert "single: mean over 3 runs that differ in seed" in page.text_content("#share .caption")
    assert "--fold seed" in page.text_content("#share .caption")


def test_overview_and_compare_show_runs_as_one(visit, folded, folder: Path) -> None:
    page = visit(folded).open(f"overview?runs={ALL}&fold=seed")
    titles = page.locator("#main .card h2").all_text_contents()
    assert titles[1:3] == ["single (3 runs)", "multi"]
    first = page.locator(".card", has=page.locator("h2", has_text="single (3 runs)"))
    assert "read from the bare name" in first.text_content() and "mean over 3 runs" in first.text_content()
    page = visit(folded).open(f"compare?runs={ALL}&fold=seed")
    assert page.locator("#main .card h2").all_text_contents() == [
        "A minus B",
        "A: single (3 runs)",
        "B: multi",
    ]
    assert "cells differ clear of zero" in page.text_content("#summary")
    assert find_faults(page) == []


def folded_view(folder: Path, address: str, by: str) -> View:
    """The view of an address with its runs as one."""
    view = make_view(folder, address)
    return replace(view, runs=fold_entries(view.runs, by), fold=by)


def test_of_runs_that_have_nothing_in_common_only_what_lacks_is_named(tmp_path: Path) -> None:
    """Two seeds were probed on activations and one not at all: the page said that none was, and the overview that
    nothing had been measured."""
    for seed in range(3):
        run = make_run(tmp_path, f"s{seed}", "single", seed=seed, steps=(64,))
        if seed < 2:
            add_results(run, "p", steps=(64,), family="linear", layers=2)
    for page in ("p-probe", "overview"):
        told = texts(draw_page(folded_view(tmp_path, f"/{page}?runs=s0,s1,s2", "seed"), "k").children)
        assert "The mean needs all 3 runs; not probed with “linear”: s2." in told
        assert "probe " + str(tmp_path / "s2") in told and str(tmp_path / "s0") not in told
        assert "Nothing has been measured" not in told


def test_an_empty_cell_of_one_run_does_not_doubt_the_others_probe(tmp_path: Path) -> None:
    for name, augmentation in (("fixed", "single"), ("shuffled", "multi5+permute")):
        run = make_run(tmp_path, name, augmentation, steps=(64,))
        made = make_result(run, "p", 64, last=64, family="linear")
        flags = made[
            "accuracy"
        ].notnull()  # as probes on activations keep it: an empty cell has not converged
        save_result(result_path(run.path, "p", "linear", 64), made.assign(converged=flags))
    view = folded_view(tmp_path, "/p-probe?runs=fixed,shuffled", "people.number")
    told = texts(draw_page(view, "k").children)
    assert (
        "mean over 2 runs that differ in biographies.augmentation" in told and "had not converged" not in told
    )
    words = texts(detail.render(view, "fixed,shuffled:5:birth_date/first"))
    assert "fixed no value" in words and "1 of 2, " in words and "nan" not in words
