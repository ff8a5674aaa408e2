"""Damaged results and manifests: the numbers that were stored, or one sentence."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from workbench_app.result_files import read_result

from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from tests.app.made_runs import add_results, make_run
from tests.fuzz.mutations import each, mutate, mutate_text, opened
from workbench.activations import cache_activations, open_store
from workbench.results.storing import load_result


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    add_results(make_run(folder, "run", steps=(0, 16)), "p", steps=(0, 16))
    return min(folder.rglob("*.nc"))


@pytest.mark.parametrize("seeds", each())
def test_a_result(seeds: range, result: Path, tmp_path: Path) -> None:
    """By the library's reader and by the app's."""
    wanted, content = load_result(result), result.read_bytes()
    path = tmp_path / result.name
    for seed in seeds:
        path.write_bytes(mutate(content, seed))
        for read in (load_result, read_result):
            found: xr.Dataset | None = opened(lambda read=read: read(path), seed)  # type: ignore[misc]
            if found is not None:
                xr.testing.assert_equal(found.load(), wanted)
                assert dict(found.attrs) == dict(wanted.attrs), seed


@pytest.mark.parametrize("seeds", each())
@pytest.mark.parametrize("file", ["manifest.json", "reading.safetensors", "shard-00000.safetensors"])
def test_a_store(file: str, seeds: range, tmp_path: Path) -> None:
    store = cache_activations(make_tiny("gpt2"), make_reading(8), ["resid_post.0"], folder=tmp_path)
    wanted, columns = store["resid_post.0"].to_numpy(), sorted(store.columns)
    path = store.path / file
    content = path.read_bytes()
    change = mutate_text if file == "manifest.json" else mutate
    for seed in seeds:
        path.write_bytes(change(content, seed))

        def read() -> bool:
            again = open_store(store.path)
            same = np.array_equal(again["resid_post.0"].to_numpy(), wanted, equal_nan=True)
            return same and sorted(again.columns) == columns

        assert opened(read, seed) is not False, seed
