"""Results on disk: what is written is read back, empty cells stay empty, and damage is refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.paper import POSITIONS, TARGETS
from workbench.recipes.recipe import load_recipe
from workbench.results.provenance import make_attrs
from workbench.results.storing import (
    export,
    list_results,
    load_result,
    load_results,
    require_same_weights,
    result_path,
    save_result,
    to_dataframe,
    to_rows,
    weights_digests,
)
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.runs import Run
from workbench.studies.weight_files import SINGLE_FILE


def make_result(step=512, run="single", **attrs):
    """Made-up accuracies of one checkpoint, with three empty cells."""
    rng = np.random.default_rng(step)
    accuracy = rng.uniform(0.05, 1, (6, 11))
    n = np.full((6, 11), 1000)
    n[5, :3] = 0
    accuracy[n == 0] = np.nan
    given = {
        "kind": "p",
        "family": "embedding",
        "run": Run(Path("runs") / run, load_recipe("tiny")),
        "checkpoint": Checkpoint(
            Path("unused"), "unused", step, info={"sha256": {SINGLE_FILE: f"{step:064x}"}}
        ),
        "settings": {"rank": 2, "steps": 150},
    }
    return xr.Dataset(
        {
            "accuracy": (("position", "target"), accuracy),
            "n": (("position", "target"), n),
            "chance": ("target", np.linspace(0.05, 0.2, 11)),
            "converged": (("position", "target"), n > 0),
        },
        coords={"position": list(POSITIONS), "target": list(TARGETS), "checkpoint": step},
        attrs=make_attrs(**(given | attrs)),
    )


def save(run_path, step, **attrs):
    path = result_path(run_path, "p", "embedding", step, attrs.get("variant", ""))
    save_result(path, make_result(step, **attrs))
    return path


def test_targets_are_the_papers_eleven():
    assert len(TARGETS) == 11
    assert TARGETS[:3] == ("birth_date/first", "birth_city/first", "birth_city/whole")
    assert TARGETS[-1] == "company_city/whole"
    assert "birth_date/whole" not in TARGETS


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    path = save(tmp_path, 512)
    assert path == tmp_path / "results/p-embedding/step-00000512.nc"
    read, made = load_result(path), make_result(512)
    xr.testing.assert_identical(read.drop_attrs(), made.drop_attrs())
    assert {**read.attrs, "created": ""} == {**made.attrs, "created": ""}
    assert read["converged"].dtype == bool
    assert json.loads(read.attrs["settings"]) == {"rank": 2, "steps": 150}
    assert json.loads(read.attrs["versions"])["numpy"] == np.__version__


def test_an_empty_cell_stays_empty(tmp_path):
    read = load_result(save(tmp_path, 512))
    empty = read.sel(position=5, target="birth_city/whole")
    assert np.isnan(empty["accuracy"]) and empty["n"] == 0


def test_saving_a_loaded_result_again_changes_nothing(tmp_path):
    first = load_result(save(tmp_path, 512))
    save_result(tmp_path / "again.nc", first)
    xr.testing.assert_identical(load_result(tmp_path / "again.nc"), first)


def test_checkpoints_join_in_order_of_steps(tmp_path):
    for step in (100000000, 0, 512):
        save(tmp_path, step)
    joined = load_results(tmp_path, "p", "embedding")
    assert joined["checkpoint"].values.tolist() == [0, 512, 100000000]
    at_512 = joined["accuracy"].sel(checkpoint=512).drop_vars("weights_digest")
    xr.testing.assert_equal(at_512, make_result(512)["accuracy"])
    assert joined["n"].dtype.kind == "i"
    assert weights_digests(joined) == {step: f"{step:064x}" for step in (0, 512, 100000000)}
    assert joined.sel(position=0, target="company/whole")["accuracy"].shape == (3,)


def test_a_joined_result_can_itself_be_saved(tmp_path):
    save(tmp_path, 0)
    save(tmp_path, 512)
    joined = load_results(tmp_path, "p", "embedding")
    save_result(tmp_path / "joined.nc", joined)
    xr.testing.assert_identical(load_result(tmp_path / "joined.nc"), joined)


def test_results_with_seeds_join_where_a_checkpoint_lacks_one(tmp_path):
    for step, seeds in ((0, [0]), (512, [0, 1])):
        parts = [make_result(step + seed) for seed in seeds]
        stacked = xr.concat(parts, pd.Index(seeds, name="seed"), combine_attrs="override")
        save_result(result_path(tmp_path, "p", "embedding", step), stacked.assign_coords(checkpoint=step))
    joined = load_results(tmp_path, "p", "embedding")
    assert dict(joined.sizes) == {"checkpoint": 2, "seed": 2, "position": 6, "target": 11}
    assert joined["accuracy"].sel(checkpoint=0, seed=1).isnull().all()


def test_results_are_listed_by_kind_family_and_variant(tmp_path):
    save(tmp_path, 0)
    save(tmp_path, 512)
    save(tmp_path, 512, variant="rank4")
    assert list_results(tmp_path) == [("p", "embedding", [0, 512]), ("p", "embedding+rank4", [512])]
    assert load_results(tmp_path, "p", "embedding+rank4").attrs["variant"] == "rank4"
    assert load_results(tmp_path, "p", "embedding", "rank4").attrs["family"] == "embedding"
    assert list_results(tmp_path / "nothing") == []


def test_a_file_that_is_no_result_is_named_not_skipped(tmp_path):
    path = save(tmp_path, 512)
    (path.parent / "notes.txt").write_text("mine")
    with pytest.raises(WorkbenchError, match=r"notes\.txt is not a result"):
        list_results(tmp_path)
    (path.parent / "notes.txt").unlink()
    (path.parent.parent / "stray").mkdir()
    with pytest.raises(WorkbenchError, match="stray is not a folder of results"):
        list_results(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(tmp_path, share):
    path = save(tmp_path, 512)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WorkbenchError, match=r"step-00000512\.nc .*truncated or damaged"):
        load_result(path)


def test_a_flipped_bit_is_refused_or_without_consequence(tmp_path):
    path = save(tmp_path, 512)
    sound, content = load_result(path), path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(content), 150):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(flipped))
        try:
            read = load_result(path)
        except WorkbenchError as error:
            assert "step-00000512.nc" in str(error)
            refused += 1
        else:  # a byte that holds nothing
            xr.testing.assert_identical(read, sound)
    assert refused > 10


def test_an_altered_value_is_refused(tmp_path):
    path = save(tmp_path, 512)
    content = path.read_bytes()
    value = make_result(512)["accuracy"].values[0, 0].tobytes()
    assert content.count(value) == 1
    path.write_bytes(content.replace(value, np.float64(0.99).tobytes()))
    with pytest.raises(WorkbenchError, match="was altered after it was written"):
        load_result(path)


def test_results_of_other_weights_are_refused(tmp_path):
    save(tmp_path, 0)
    save(tmp_path, 512)
    one = load_result(result_path(tmp_path, "p", "embedding", 512))
    require_same_weights(one, f"{512:064x}")
    with pytest.raises(WorkbenchError, match=r"p-embedding result of step 512 .* run's are aaaaaaaaaaaa…"):
        require_same_weights(one, "a" * 64)
    joined = load_results(tmp_path, "p", "embedding")
    require_same_weights(joined, {0: f"{0:064x}", 512: f"{512:064x}"})
    with pytest.raises(WorkbenchError, match=r"result of step 0 .* run's are absent"):
        require_same_weights(joined, {512: f"{512:064x}"})


def test_results_made_differently_are_not_joined(tmp_path):
    save(tmp_path, 0, settings={"rank": 4, "steps": 150})
    save(tmp_path, 512)
    with pytest.raises(WorkbenchError, match=r"step-00000000\.nc .*rank is 4 there and 2 here"):
        load_results(tmp_path, "p", "embedding")


def test_what_a_fit_reports_does_not_keep_results_apart(tmp_path):
    save(tmp_path, 0, notes={"final_loss": 2.7})
    save(tmp_path, 512, notes={"final_loss": 0.1})
    assert load_results(tmp_path, "p", "embedding").sizes["checkpoint"] == 2


def test_a_missing_result_names_the_command_and_what_there_is(tmp_path):
    save(tmp_path, 512)
    with pytest.raises(WorkbenchError, match=r"no result 'q-embedding'.*p-embedding.* --kind q"):
        load_results(tmp_path, "q", "embedding")
    with pytest.raises(WorkbenchError, match="There is no result"):
        load_result(tmp_path / "absent.nc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.drop_vars("chance"), "lacks chance"),
        (lambda ds: ds.drop_attrs(), "attribute kind"),
        (lambda ds: ds.assign(accuracy=ds["accuracy"].fillna(0.0)), "NaN exactly where n is 0"),
        (lambda ds: ds.assign(accuracy=ds["accuracy"].where(ds["position"] > 0)), "NaN exactly where n is 0"),
        (lambda ds: ds.assign(accuracy=ds["accuracy"] * 100), "not percentages"),
    ],
)
def test_a_result_that_does_not_say_what_it_is_is_not_written(tmp_path, change, message):
    with pytest.raises(WorkbenchError, match=message):
        save_result(tmp_path / "bad.nc", change(make_result()))
    assert not any(tmp_path.iterdir())


def test_the_table_has_one_row_a_cell(tmp_path):
    frame = to_dataframe(make_result())
    assert len(frame) == 66
    assert list(frame.columns[:5]) == ["run", "kind", "family", "position", "target"]
    row = frame[(frame["position"] == 2) & (frame["target"] == "major/whole")].iloc[0]
    assert row["accuracy"] == make_result()["accuracy"].sel(position=2, target="major/whole").item()
    assert row["chance"] == make_result()["chance"].sel(target="major/whole").item()


def test_exports_read_back_with_empty_cells_empty(tmp_path):
    made = make_result()
    for suffix in (".csv", ".json", ".parquet"):
        export(made, tmp_path / f"table{suffix}")
    expected = to_dataframe(made)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), expected, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), expected, check_dtype=False)
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["attrs"]["run"] == "single"
    assert content["rows"] == to_rows(made)
    assert sum(row["accuracy"] is None for row in content["rows"]) == 3
    with pytest.raises(WorkbenchError, match=r"'\.xlsx' is not"):
        export(made, tmp_path / "table.xlsx")


def test_parquet_without_pyarrow_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(WorkbenchError, match="pip install pyarrow"):
        export(make_result(), tmp_path / "table.parquet")


def test_importing_results_does_not_import_torch():
    code = "import sys, workbench.results.storing; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
