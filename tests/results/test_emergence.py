"""When a fact emerges: literal curves whose answer one sees by eye."""

import numpy as np
import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.emergence import make_emergence_grid, plot_emergence
from workbench.results.emergence import find_emergence

NAN = float("nan")
STEPS = (0, 100, 200, 400, 800)
CHANCE = 0.1
# accuracies in percent at STEPS, each ±5 points; chance 10 → state, clear (after), steadily, half (after, by)
CURVES = {
    "late": ([8, 10, 12, 50, 90], "steady", 400, 200, 400, 400, 200, 800),
    "early": ([30, 40, 80, 85, 90], "steady", 0, NAN, 0, 200, 100, 200),
    "never": ([10, 12, 9, 14, 15], "never", NAN, NAN, NAN, NAN, NAN, NAN),
    "lost": ([10, 40, 50, 20, 12], "lost", 100, 0, NAN, NAN, NAN, NAN),
    "unsteady": ([10, 20, 10, 60, 90], "unsteady", 100, 0, 400, 400, 200, 400),
    "gap": ([NAN, 10, NAN, NAN, 90], "steady", 800, 100, 800, 800, 100, 800),
    "empty": ([NAN] * 5, "empty", NAN, NAN, NAN, NAN, NAN, NAN),
}


def made(**changes) -> xr.Dataset:
    """[checkpoint, position, target]: one position, a target a curve."""
    accuracy = np.array([curve for curve, *_ in CURVES.values()], float).T[:, None] / 100
    dims = ("checkpoint", "position", "target")
    variables = {
        "accuracy": (dims, accuracy),
        "ci_low": (dims, accuracy - 0.05),
        "ci_high": (dims, accuracy + 0.05),
        "n": (dims, np.where(np.isnan(accuracy), 0, 100)),
        "chance": ("target", np.full(len(CURVES), CHANCE)),
        "converged": (dims, np.ones(accuracy.shape)),
    } | changes
    coords = {"checkpoint": list(STEPS), "position": [0], "target": [f"{name}/whole" for name in CURVES]}
    return xr.Dataset(variables, coords=coords)


def test_each_curve_emerges_where_one_sees_it() -> None:
    found = find_emergence(made()).isel(position=0)
    names = ("state", "clear", "clear_after", "clear_steady", "half", "half_after", "half_by")
    for name, (_, *expected) in CURVES.items():
        cell = found.sel(target=f"{name}/whole")
        told = [cell[variable].item() for variable in names]
        assert told[0] == expected[0], name
        np.testing.assert_equal(told[1:], expected[1:], err_msg=name)
    assert found["probed"].values.tolist() == [5, 5, 5, 5, 5, 2, 0]


def test_the_order_of_checkpoints_and_further_dimensions_change_nothing() -> None:
    whole = made()
    backwards = whole.isel(checkpoint=slice(None, None, -1))
    xr.testing.assert_equal(find_emergence(whole), find_emergence(backwards))
    layered = xr.concat([whole, whole], dim="layer").assign_coords(layer=[0, 1])
    found = find_emergence(layered)
    for layer in (0, 1):
        one, plain = found.sel(layer=layer).drop_vars("layer"), find_emergence(whole)
        xr.testing.assert_equal(one.transpose(*plain.sizes), plain)


def test_never_is_hatched_and_words_name_the_steps_between() -> None:
    grid = make_emergence_grid(made())
    assert [row[0] for row in grid.texts] == ["400", "0", "never", "(100)", "(100)", "800", ""]
    assert np.isnan(grid.places[:, 0]).tolist() == [False, False, True, False, False, False, True]
    half = make_emergence_grid(made(), what="half")
    assert [row[0] for row in half.texts] == ["400", "200", "never", "lost", "(400)", "800", ""]
    words = dict(zip(CURVES, (row[0] for row in grid.words), strict=True))
    assert words["late"] == (
        "<b>late · whole, position 0</b><br>clear of chance between step 200 and 400<br>half of its last accuracy "
        "over chance between step 200 and 800<br>at step 800: 90.0 %, chance 10.0 %"
    )
    assert "clear of chance by step 0, the untrained network" in words["early"]
    assert "never clear of chance up to step 800 (5 checkpoints probed)" in words["never"]
    assert "not clear at the last step, 800" in words["lost"]
    assert "then not clear again; at every checkpoint only from step 400 on" in words["unsteady"]
    assert words["empty"] == "<b>empty · whole, position 0</b><br>no value at any checkpoint"
    figure = plot_emergence(made())
    hatch = next(trace for trace in figure.data if trace.type == "bar")
    assert sorted(hatch.y) == [2, 6]
    assert list(figure.layout.coloraxis.colorbar.ticktext) == ["0", "100", "200", "400", "800"]


def test_what_was_so_at_the_first_checkpoint_may_have_been_so_earlier() -> None:
    grid = make_emergence_grid(made().isel(checkpoint=slice(1, None)))
    assert grid.texts[1] == ["≤100"] and "clear of chance by step 100<br>" in grid.words[1][0]


def test_probes_that_had_not_converged_are_counted() -> None:
    flags = np.ones((5, 1, len(CURVES)))
    flags[1:3] = 0
    words = make_emergence_grid(made(converged=(("checkpoint", "position", "target"), flags))).words[0][0]
    assert words.endswith("had not converged at 2 of 5 checkpoints probed: it may have read too little")


def test_refusals() -> None:
    with pytest.raises(
        WorkbenchError, match=r"^When a fact emerges needs the results of several checkpoints: `workb"
    ):
        find_emergence(made().isel(checkpoint=[0]))
    with pytest.raises(
        WorkbenchError, match=r"^The result has no ci_low, which tells when a cell is clear of chance.$"
    ):
        find_emergence(made().drop_vars("ci_low"))
    with pytest.raises(WorkbenchError, match=r"^There is no 'quarter' of an emergence; give clear or half.$"):
        plot_emergence(made(), what="quarter")
