"""Any two of run × probe × checkpoint: both sides, the difference, what is clear of zero."""

import csv
import io

import numpy as np
import pytest
from workbench_app.drawing import draw_page
from workbench_app.findings import keep_units
from workbench_app.frames import make_frames
from workbench_app.pages.compare import sum_up

from tests.app.made_runs import add_results, make_run
from tests.app.test_analyses import texts
from tests.app.test_heatmaps import download
from tests.app.test_other_results import make_view
from tests.app.test_said_is_so import graph_of, panel_of
from workbench.figures import plot_difference
from workbench.results.statistics import difference_interval
from workbench.results.storing import load_result, result_path


def stored(folder, run, step, family="embedding"):
    return load_result(result_path(folder / run, "p", family, step))


def test_two_runs_follow_the_slider_and_are_summed_up(runs_folder):
    page = draw_page(make_view(runs_folder, "/compare?runs=multi5%2Bpermute,single", 1018), "k")
    a, b = (stored(runs_folder, run, 1018)["accuracy"] for run in ("multi5+permute", "single"))
    expected = (a - b).transpose("target", "position").values
    np.testing.assert_allclose(np.array(graph_of(page, "difference").data[0].z, float), expected, atol=1e-6)
    told = panel_of(page, "summary")
    assert told["steps"] == [0, 16, 64, 256, 1018]
    summed = sum_up(stored(runs_folder, "multi5+permute", 1018), stored(runs_folder, "single", 1018))
    assert told["texts"][-1] == [keep_units(summed)]
    assert page.resolved["at-a-run"] == "multi5+permute" and page.resolved["at-b-step"] == "slider"


def test_what_is_clear_of_zero_is_counted(runs_folder):
    ours, theirs = stored(runs_folder, "multi5+permute", 1018), stored(runs_folder, "single", 1018)
    names = ("accuracy", "ci_low", "ci_high")
    a, b = ([one[name].values for name in names] for one in (ours, theirs))
    low, high = difference_interval((a[0], a[1], a[2]), (b[0], b[1], b[2]))
    clear, known = int(np.sum((low > 0) | (high < 0))), int(np.sum(~np.isnan(a[0] - b[0])))
    assert sum_up(ours, theirs).startswith(
        f"{clear} of {known} cells differ clear of zero; the mean difference is +"
    )
    assert sum_up(ours, ours).startswith(
        "0 of 66 cells differ clear of zero; the mean difference is 0 points."
    )


def test_the_other_arm_of_a_seed_stands_beside_a_run_before_another_seed(tmp_path):
    for name, augmentation, seed in (
        ("a-1", "single", 1),
        ("a-2", "single", 2),
        ("b-1", "multi5+permute", 1),
    ):
        run = make_run(tmp_path, name, augmentation, steps=(0,), seed=seed)
        add_results(run, "p", steps=(0,), family="embedding" if name == "a-2" else "linear")
        if name != "a-2":
            add_results(run, "p", steps=(0,))

    def sides(asked: str) -> list[str]:
        chosen = draw_page(make_view(tmp_path, f"/compare?{asked}"), "k").resolved
        return [chosen[f"at-{side}-{what}"] for what in ("run", "set") for side in "ab"]

    assert sides("") == ["a-1", "b-1", "p-embedding", "p-embedding"]
    assert sides("at-a-run=b-1&at-a-set=p-linear") == ["b-1", "a-1", "p-linear", "p-linear"]
    assert sides("at-a-run=a-2")[:2] == ["a-2", "a-1"]


def test_one_run_at_two_checkpoints_and_two_probes(runs_folder):
    page = draw_page(
        make_view(runs_folder, "/compare?runs=single&at-a-step=1018&at-b-set=p-linear&at-b-step=16"), "k"
    )
    part = panel_of(page, "difference")["parts"][0]
    assert part["steps"] == [1018] and part["minus"]["steps"] == [16]
    assert (part["name"], part["minus"]["name"]) == ("A: single, step 1,018", "B: single, step 16")
    assert "step 1,018 − step 16" in texts(page.children)
    assert "linear probe on activations" in texts(page.children)
    alone = draw_page(make_view(runs_folder, "/compare?runs=single"), "k")
    assert alone.resolved["at-b-step"] == "0"  # the untrained network


@pytest.mark.parametrize("runs", ["single,young", "young,single"])
def test_runs_of_other_checkpoints_say_both(runs_folder, runs):
    page = draw_page(make_view(runs_folder, f"/compare?runs={runs}", 1018), "k")
    assert "step 0" in texts(page.children) and "step 1,018" in texts(page.children)


def test_the_difference_is_what_is_taken_away(visit, runs_folder):
    page = visit().open("compare?runs=multi5%2Bpermute,single&step=1018")
    rows = list(csv.DictReader(io.StringIO(download(page, "difference", "CSV"))))
    row = next(row for row in rows if row["target"] == "major · whole" and row["column"] == "position 0")
    a, b = (
        float(stored(runs_folder, run, 1018)["accuracy"].sel(position=0, target="major/whole"))
        for run in ("multi5+permute", "single")
    )
    assert float(row["value"]) == pytest.approx(a - b, abs=1e-6)
    assert float(row["A: multi5+permute"]) == pytest.approx(a, abs=1e-6)
    assert float(row["low"]) < a - b < float(row["high"])


def at_places(result, *names, values):
    """The result at places that a study names, with one accuracy each, and a narrow interval."""
    shape = result.isel(position=slice(len(names)))
    accuracy = np.asarray(values, float)[:, None] + 0 * shape["accuracy"].fillna(0)
    ends = {"ci_low": accuracy - 0.01, "ci_high": accuracy + 0.01}
    return shape.assign(accuracy=accuracy, **ends).assign_coords(place=("position", list(names)))


def test_places_are_laid_side_by_side_by_their_names(runs_folder):
    """Two studies read other places under the same number; a run's positions are no study's places."""
    result = stored(runs_folder, "single", 1018)
    ours = at_places(result, "end:city", "before:country", values=[0.6, 0.9])
    theirs = at_places(result, "start:city", "end:city", "before:mayor", values=[0.1, 0.5, 0.7])
    assert sum_up(ours, theirs) == (
        "11 of 11 cells differ clear of zero; the mean difference is +10 points. Most at end:city of birth date · "
        "first: +10 points (95 %: +9 points to +11 points)."
    )
    drawn = np.array(plot_difference(ours, theirs).data[0].z, float)
    np.testing.assert_allclose(drawn[:, 0], 0.1)
    assert np.isnan(drawn[:, 1]).all()
    frames = make_frames(
        ours.expand_dims("checkpoint"), "accuracy", run="a", name="a", minus=theirs.expand_dims("checkpoint")
    )
    assert frames["minus"]["shown"][0][:2] == [500000, None]
    assert sum_up(ours, result) == "No cell has a value on both sides."
