"""What is said about the largest classes: counted by hand, equal to the accuracy, and absent from older results."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workbench.probing.confusion import find_largest
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.results.storing import load_result, load_results, result_path, save_result, to_dataframe
from workbench.studies.runs import Run


def test_answers_are_counted_by_hand() -> None:
    """Eleven classes: 0 five times, 1 four times, 2…10 twice each; the last three share `another`."""
    labels = np.repeat(np.arange(11), [5, 4, *[2] * 9])
    largest = find_largest(labels[None], 11)
    assert largest.classes_KV.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]
    said = labels.copy()
    said[:2] = [1, 10]  # two entities of class 0: one called 1, one called 10
    counted = np.ones((1, 1, len(labels)), bool)
    counted[..., 8] = False  # one of class 1 is not in the cell
    counts = largest.count(said[None, None], labels[None, None], counted)[0, 0]
    assert counts.shape == (8, 9)
    assert counts[0].tolist() == [3, 1, 0, 0, 0, 0, 0, 0, 1]
    assert counts[1].tolist() == [0, 3, 0, 0, 0, 0, 0, 0, 0]
    assert counts[2:].tolist() == [[2 * (i == j) for j in range(9)] for i in range(2, 8)]


def test_classes_are_called_what_each_target_calls_them() -> None:
    """Two targets share a column; one names a class by its first word only."""
    column = np.array([0, 0, 0, 1, 1, 2])
    targets = np.array([[2, 2, 2, 0, 0, 1], [1, 1, 1, 2, 2, 0]])
    names = [("New", "Oslo", "Rome"), ("New York", "Rome IT", "Oslo NO")]
    found = find_largest(column[None], 3).name(column[None], targets, [0, 0], names)
    assert found[:, :3].tolist() == [["Rome", "New", "Oslo"], ["Rome IT", "Oslo NO", "New York"]]
    assert set(found[:, 3:].ravel()) == {""}


@pytest.mark.parametrize("family", ["embedding", "nearest-mean"])
def test_a_runs_result_keeps_it_and_its_values_are_the_entitiess(
    family: str, single_run: Run, tmp_path: Path
) -> None:
    run = linked(single_run, tmp_path / "run")
    (made,) = run_probes(run, run.checkpoints[-1:], ProbeRequest(family=family), device="cpu")
    path = result_path(run.path, "p", family, run.checkpoints[-1].step)
    kept = load_result(path)
    xr.testing.assert_identical(kept, made)
    assert kept["confusion"].dtype == np.uint16
    assert kept["confusion"].dims == (*kept["accuracy"].dims, "true_value", "said_value")
    test = [entity for entity in run.corpus.entities if entity.split == "test"]
    majors = [entity.values["major"] for entity in test]
    values = kept["confusion_values"].sel(target="major/whole").values
    rows = kept["confusion"].sel(target="major/whole", position=0).sum("said_value")
    for value, row in zip(values, np.moveaxis(rows.values, -1, 0), strict=True):
        assert (row == majors.count(value)).all()
    assert majors.count(values[0]) == max(map(majors.count, set(majors)))
    assert not any(name.startswith("confusion") for name in to_dataframe(kept).columns)
    cells = int(np.prod(kept["accuracy"].shape))
    without = path.with_name("without.nc")
    save_result(without, kept.drop_dims(["true_value", "said_value"]))
    assert path.stat().st_size - without.stat().st_size < 144 * cells + 16_384  # and the variables' headers


def test_results_made_without_it_are_still_joined(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    run_probes(run, run.checkpoints, ProbeRequest(), device="cpu")
    first = result_path(run.path, "p", "embedding", run.checkpoints[0].step)
    old = load_result(first).drop_dims(["true_value", "said_value"])
    save_result(first, old)
    xr.testing.assert_identical(load_result(first), old)
    joined = load_results(run.path, "p", "embedding")
    assert joined.sizes["checkpoint"] == len(run.checkpoints)
    assert bool(joined["confusion"].isel(checkpoint=0).isnull().all())
    assert bool(joined["confusion"].isel(checkpoint=-1).notnull().all())


def linked(run: Run, folder: Path) -> Run:
    """The same run with a results folder of its own."""
    folder.mkdir()
    for part in run.path.iterdir():
        if part.name != "results":
            (folder / part.name).symlink_to(part)
    return Run(folder, run.recipe)
