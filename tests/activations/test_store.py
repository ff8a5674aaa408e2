"""Stores: written once, read back equal, lazily and with labels, keyed by what they hold."""

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.readings import make_reading
from tests.activations.tiny_models import CONFIGS, AnyModel, make_tiny
from workbench.activations.caching import cache_activations, cache_series
from workbench.activations.store import ActivationStore, open_store
from workbench.activations.streaming import iterate_activations
from workbench.activations.verify import find_store_faults
from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import ModelLoader
from workbench.studies.series import find_series
from workbench.tokens.reading import Column, Reading

SITES = ["resid_post", "ln_final", "q.0", "pattern.1"]


def one_by_one(model: AnyModel, reading: Reading, site: str) -> np.ndarray:
    """[N, P, D] of a residual site, each text alone, without the machinery under test; NaN if absent."""
    layer = {"resid_post.0": 1, "resid_post.1": 2, "ln_final": 3}[site]
    out = np.full((*reading.positions.shape, 32), np.nan, np.float32)
    for n in range(len(reading)):
        ids = torch.from_numpy(reading.ids[reading.offsets[n] : reading.offsets[n + 1]].astype(np.int64))[
            None
        ]
        with torch.no_grad():
            states = model.base_model(ids, output_hidden_states=True).hidden_states[layer][0]
        for column, token in enumerate(reading.positions[n]):
            if token >= 0:
                out[n, column] = states[token].numpy()
    return out


@pytest.mark.parametrize("name", CONFIGS)
def test_a_store_holds_what_the_model_computes(name: str, tmp_path: Path) -> None:
    model, reading = make_tiny(name), make_reading()
    store = cache_activations(model, reading, SITES, folder=tmp_path, batch_tokens=100, shard_bytes=40_000)
    assert len(store.manifest["shards"]) > 3
    assert list(store) == ["resid_post.0", "q.0", "resid_post.1", "pattern.1", "resid_post.2", "ln_final"]
    for site in ("resid_post.0", "resid_post.1", "ln_final"):
        np.testing.assert_allclose(
            store[site].to_numpy(), one_by_one(model, reading, site), rtol=1e-4, atol=1e-4
        )
    pattern = store["pattern.1"].to_numpy()
    assert store["pattern.1"].dims == ("text", "position", "head", "key")
    here = reading.positions >= 0
    np.testing.assert_allclose(pattern[here].sum(-1), 1.0, rtol=1e-5)
    assert np.isnan(pattern[~here]).all()


def test_the_iterator_gives_the_same_vectors_as_the_store(tmp_path: Path) -> None:
    model, reading = make_tiny("llama"), make_reading()
    store = cache_activations(model, reading, SITES, folder=tmp_path)
    seen = []
    for batch in iterate_activations(model, reading, SITES, batch_tokens=64):
        assert batch.checkpoint is None
        for site in ("resid_post.2", "q.0"):
            stored = store[site][batch.rows]
            assert np.array_equal(np.isnan(stored).any(axis=tuple(range(2, stored.ndim))), ~batch.present)
            streamed = batch.vectors[site].numpy()[batch.present]
            np.testing.assert_allclose(streamed, stored[batch.present], rtol=1e-4, atol=1e-4)
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(60))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    """Sixty texts in several shards."""
    folder = tmp_path_factory.mktemp("stores")
    return cache_activations(make_tiny("gpt2"), make_reading(), SITES, folder=folder, shard_bytes=40_000)


def test_views_are_lazy_labelled_and_alike(store: ActivationStore) -> None:
    fresh = open_store(store.path)
    view = fresh["blocks.1.hook_resid_post"]
    assert (view.shape, view.dims) == ((60, 3, 32), ("text", "position", "width"))
    assert fresh._maps == {}
    whole = view.to_numpy()
    assert whole.dtype == np.float32
    for rows in (slice(7, 31), np.array([59, 0, 30]), [2], slice(None)):
        assert np.array_equal(view[rows], whole[rows], equal_nan=True)
    assert np.array_equal(view.sel("middle").to_numpy(), whole[:, [1]])
    assert np.array_equal(view.sel(["ten", "end"])[5:9], whole[5:9, [2, 0]], equal_nan=True)
    assert np.array_equal(np.asarray(view), whole, equal_nan=True)
    assert np.array_equal(view.to_torch().numpy(), whole, equal_nan=True)
    assert np.array_equal(torch.from_dlpack(view.sel("end")).numpy(), whole[:, [0]])
    assert np.array_equal(np.from_dlpack(view.sel("end")), whole[:, [0]])
    blocks = list(view.iterate())
    assert [block.stop for block, _ in blocks][-1] == 60
    for block, parts in blocks:
        for column, (present, values) in enumerate(parts):
            assert not values.flags.writeable
            assert np.array_equal(whole[block, column][present], values)


def test_xarray_carries_positions_and_columns(store: ActivationStore) -> None:
    array = store["q.0"].to_xarray()
    assert array.dims == ("text", "position", "head", "head_width")
    assert array.sizes == {"text": 60, "position": 3, "head": 4, "head_width": 8}
    assert array.coords["position"].values.tolist() == ["end", "middle", "ten"]
    assert array.coords["city"].values[:4].tolist() == ["Oslo", "Rome", "", "Oslo"]
    assert array.coords["entity"].values.tolist() == list(range(60))
    assert array.attrs["weights_digest"] == store.weights_digest


def test_the_reading_comes_back_from_the_store(store: ActivationStore) -> None:
    back = open_store(store.path).reading
    assert back.digest == make_reading().digest == store.manifest["data_digest"]
    assert back.columns["city"].categories == ("Oslo", "Rome")


def test_the_format_needs_no_code_of_ours(store: ActivationStore) -> None:
    """What docs/activations.md says, done with json, struct and numpy."""
    manifest = json.loads((store.path / "manifest.json").read_text())
    rows = []
    for shard in manifest["shards"]:
        raw = (store.path / shard["file"]).read_bytes()
        (size,) = struct.unpack("<Q", raw[:8])
        entry = json.loads(raw[8 : 8 + size])["blocks.2.hook_resid_post@middle"]
        assert entry["dtype"] == "F32"
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        rows.append(np.frombuffer(raw[start:end], "<f4").reshape(entry["shape"]))
    assert np.array_equal(np.concatenate(rows), store["resid_post.2"].sel("middle").to_numpy()[:, 0])


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_half_precision_is_stored_as_computed(dtype: str, bits: int, tmp_path: Path) -> None:
    make_tiny("gpt2").save_pretrained(tmp_path / "model")
    half = cache_activations(tmp_path / "model", make_reading(), "resid_post", folder=tmp_path, dtype=dtype)
    full = cache_activations(tmp_path / "model", make_reading(), "resid_post", folder=tmp_path)
    assert half.path != full.path
    assert half.bytes < 0.6 * full.bytes
    tensor = half["resid_post.0"].sel("end").to_torch()
    assert str(tensor.dtype) == f"torch.{dtype}"
    assert torch.equal(
        tensor.float(), torch.from_numpy(half["resid_post.0"].sel("end").to_numpy().astype(np.float32))
    )
    reference = full["resid_post.0"].sel("end").to_torch()
    assert (tensor.float() - reference).abs().max() <= reference.abs().max() * 2.0 ** (2 - bits)


def test_what_exists_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny("llama").save_pretrained(tmp_path / "model")
    reading = make_reading()
    first = cache_activations(tmp_path / "model", reading, "resid_post.1,q.0", folder=tmp_path)
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr("workbench.studies.loading.load_model", lambda *_, **__: pytest.fail("loaded"))
    again = cache_activations(str(tmp_path / "model"), reading, ["q.0", "resid_post.1"], folder=tmp_path)
    assert again.path == first.path
    assert (first.path / "manifest.json").stat().st_mtime_ns == stamp


def test_anything_that_changes_the_vectors_changes_the_store(tmp_path: Path) -> None:
    reading, paths = make_reading(), []

    def cache(model: AnyModel, reading: Reading = reading, **options: Any) -> None:
        paths.append(
            cache_activations(
                model, reading, options.pop("sites", "resid_post"), folder=tmp_path, **options
            ).path
        )

    cache(make_tiny("llama"))
    cache(make_tiny("llama", seed=1))
    touched = make_tiny("llama")
    touched.model.norm.weight.data[0] += 1e-3
    cache(touched)
    rotated = make_tiny("llama")
    rotated.config.rms_norm_eps = 1e-3
    cache(rotated)
    cache(make_tiny("llama"), reading.take(np.arange(59)))
    cache(make_tiny("llama"), replace(reading, columns={"entity": Column(np.zeros(60, np.int32))}))
    cache(make_tiny("llama"), sites="resid_pre")
    assert len(set(paths)) == len(paths) == 7
    cache(make_tiny("llama"))
    assert paths[-1] == paths[0]


def test_a_series_is_read_with_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.studies import loading

    loads: list[str] = []
    original = loading.load_model

    def load_model(source: Checkpoint, **options: Any) -> AnyModel:
        loads.append(source.label)
        return original(source, **options)

    monkeypatch.setattr(loading, "load_model", load_model)
    models = {step: make_tiny("gpt_neox-parallel", seed=step) for step in (0, 100, 20)}
    for step, model in models.items():
        model.save_pretrained(tmp_path / "series" / f"step{step}")
    make_tiny("gpt2").save_pretrained(tmp_path / "series" / "step300")
    sources = find_series(tmp_path / "series", "all")
    assert [source.step for source in sources] == [0, 20, 100, 300]
    reading = make_reading()
    stores = cache_series(sources, reading, "ln_final", folder=tmp_path)
    assert loads == ["step0", "step300"]  # the others went into the module of step 0
    for store, step in zip(stores, (0, 20, 100), strict=False):
        assert (store.manifest["made_from"]["label"], store.manifest["made_from"]["step"]) == (
            f"step{step}",
            step,
        )
        np.testing.assert_allclose(
            store["ln_final"].to_numpy(), one_by_one(models[step], reading, "ln_final"), rtol=1e-4, atol=1e-4
        )
    batches = list(iterate_activations(sources[:3], reading, "ln_final"))
    assert [batch.checkpoint.step for batch in batches if batch.checkpoint] == [0, 20, 100]
    np.testing.assert_allclose(
        batches[1].vectors["ln_final"].numpy()[batches[1].present],
        stores[1]["ln_final"][batches[1].rows][batches[1].present], rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_a_position_no_text_of_a_shard_has_is_no_trouble(tmp_path: Path) -> None:
    reading = make_reading(12, longest=6)
    assert (reading.positions[:, 2] == -1).all()
    store = cache_activations(make_tiny("qwen3"), reading, "resid_post.0", folder=tmp_path, shard_bytes=2000)
    assert np.isnan(store["resid_post.0"].sel("ten").to_numpy()).all()
    assert not np.isnan(store["resid_post.0"].sel("end").to_numpy()).any()
    assert find_store_faults(store.path) == []


def test_dropout_is_off_while_reading_and_back_afterwards(tmp_path: Path) -> None:
    model = make_tiny("gpt2").train()
    first = cache_activations(model, make_reading(), "resid_post", folder=tmp_path / "a")
    second = cache_activations(model, make_reading(), "resid_post", folder=tmp_path / "b")
    assert model.training
    assert np.array_equal(first["resid_post.2"].to_numpy(), second["resid_post.2"].to_numpy(), equal_nan=True)


def test_vectors_that_are_not_numbers_are_refused_with_layer_and_text(tmp_path: Path) -> None:
    model, reading = make_tiny("gpt2"), make_reading()
    model.transformer.wpe.weight.data[17] = torch.nan
    where = int(np.argmax(reading.lengths > 17))
    with pytest.raises(
        WorkbenchError,
        match=rf"'resid_pre\.0' \(layer 0\) is NaN or infinite for text {where} at position 'end'",
    ):
        cache_activations(model, reading, "resid_pre.0", folder=tmp_path)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("resid_post.2", "does not hold site 'resid_post.2'; did you mean 'resid_post.1'"),
        ("resid_pots.2", "'resid_pots.2' does not exist; did you mean 'resid_post.2'"),
    ],
)
def test_a_site_not_stored_is_refused(site: str, message: str, tmp_path: Path) -> None:
    store = cache_activations(make_tiny("gpt2"), make_reading(), "resid_post.1", folder=tmp_path)
    with pytest.raises(WorkbenchError) as error:
        store[site]
    assert message in str(error.value)
    with pytest.raises(
        WorkbenchError, match="position 'start' is not in this store; it holds end, middle, ten"
    ):
        store["resid_post.1"].sel("start")


def test_folders_that_are_no_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"no finished store of activations \(it has no manifest\.json\)"
    ):
        open_store(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "workbench-activations", "version": 99}')
    with pytest.raises(
        WorkbenchError, match="format version 99, this program reads version 1; cache it again"
    ):
        open_store(tmp_path)
    with pytest.raises(
        WorkbenchError, match="The loader makes float16 models on cpu, but float32 on cpu was asked for"
    ):
        cache_activations(
            make_tiny("gpt2"), make_reading(), folder=tmp_path, loader=ModelLoader(dtype="float16")
        )
    (tmp_path / "manifest.json").write_text('{"format": "something"}')
    with pytest.raises(WorkbenchError, match="is not the manifest of a store"):
        open_store(tmp_path)


def test_a_model_of_no_run_needs_a_folder() -> None:
    with pytest.raises(
        WorkbenchError, match="a model in memory belongs to no run, so its activations have no folder"
    ):
        cache_activations(make_tiny("gpt2"), make_reading(), "resid_post")
    with pytest.raises(WorkbenchError, match=r"layers \[7\] go beyond the model's 3 blocks"):
        cache_activations(make_tiny("gpt2"), make_reading(), "resid_post", folder=Path("unused"), layers=[7])
    with pytest.raises(WorkbenchError, match="dtype 'float8' does not exist here"):
        cache_activations(
            make_tiny("gpt2"), make_reading(), "resid_post", folder=Path("unused"), dtype="float8"
        )
