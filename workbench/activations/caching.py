"""Cache activations on disk: what is already there is checked and kept, what is missing is computed.

A store lives at `<folder>/<weights>/<data>/<settings>`, each a digest: of the weight bytes, of the texts with
their positions and columns, of config, sites, engine and precision. No model is ever looked up by its name.

Shapes: N texts, P positions, B batch, H heads, T tokens.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench_models import Site

from workbench.activations.engines import Engine, open_engine
from workbench.activations.manner import find_manner, read_rows
from workbench.activations.planning import Job, make_job, make_plan
from workbench.activations.store import JOURNAL_FILE, ActivationStore, open_store
from workbench.activations.streaming import (
    as_model,
    batch_size,
    list_layers,
    name_dtype,
    require_device,
    require_reading,
    set_training,
)
from workbench.activations.writing import StoreWriter
from workbench.errors import WorkbenchError
from workbench.field_checks import fit_value
from workbench.files import require_free_space
from workbench.locks import hold
from workbench.minutes import Show
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import ModelLoader
from workbench.studies.runs import RUN_FILE
from workbench.tokens.reading import Ints, Reading, plan_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from workbench.activations.streaming import Model

SHARD_BYTES = 64 * 2**20


def cache_activations(
    model: "Model",
    reading: Reading,
    sites: str | Iterable[str | Site] = "resid_post",
    *,
    folder: Path | str | None = None,
    layers: Iterable[int] | int | None = None,
    engine: str = "hooks",
    dtype: "str | torch.dtype" = "float32",
    device: str = "cpu",
    batch_tokens: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    show: Show | None = None,
    loader: ModelLoader | None = None,
) -> ActivationStore:
    """The store with a model's activations, computed where it does not exist yet.

    model:        a run or a study (its last checkpoint), its folder, a model folder, a hub name, a checkpoint found by
                  `find_series`; or a model in memory, keyed by its weights as they are now and read in their own
                  precision.
    reading:      the texts and positions, see `read_entries`, `read_names`, `read_table`.
    sites:        names; a bare kind such as `resid_post` means all blocks, `layers` all residual states.
    folder:       where stores are kept; by default `<run>/activations` for a run's checkpoint.
    layers:       restricts bare kinds to these blocks.
    dtype:        `float32`, `bfloat16` or `float16`, of weights, computation and store; recorded.
    batch_tokens: most tokens of a batch with its padding; by default what suits the device.
    shard_bytes:  size of a shard; about four of them are in memory at a time, whatever the number of texts.
    show:         called with the model's label, texts done and texts in all.
    loader:       shared by the calls of a series: loads the next checkpoint into the same module.

    A process killed at any moment loses at most the shards it was working on: the same call completes the
    store to the same bytes. Of two processes asked for the same store the second waits, then finds it.
    Raises WorkbenchError where the disk is too small (before anything is computed), for vectors that are not
    numbers, and for what `iterate_activations` refuses.
    """
    dtype, device = name_dtype(dtype), require_device(device)
    kept_in: Path | None = fit_value("folder", folder, Path | None)
    fit_value("batch_tokens", batch_tokens, int | None, 1)  # before a model is loaded
    shard_bytes = fit_value("shard_bytes", shard_bytes, int, 1)
    require_reading(reading)
    if loader is not None and (loader.dtype, loader.device) != (dtype, device):
        raise WorkbenchError(
            f"The loader makes {loader.dtype} models on {loader.device}, but {dtype} on {device} was asked for."
        )
    found = as_model(model)
    kept_in = _default_folder(found) if kept_in is None else kept_in
    job = make_job(found, reading, sites, layers, engine, dtype)
    path = kept_in / job.weights_digest[:16] / reading.digest[:16] / job.settings_digest[:16]
    with hold(path.parent, path.name, "cached", wait=True):
        if _is_sound(path):
            (path / JOURNAL_FILE).unlink(missing_ok=True)  # of one that was killed right after the manifest
        else:
            if isinstance(found, Checkpoint):
                loaded = (loader or ModelLoader(device=device, dtype=dtype)).load(found)
            else:
                loaded = found
            _fill(path, job, loaded, reading, batch_size(batch_tokens, loaded), shard_bytes, show)
    return open_store(path, check=False)


def cache_series(
    checkpoints: Sequence[Checkpoint],
    reading: Reading,
    sites: str | Iterable[str | Site] = "resid_post",
    *,
    devices: Sequence[str] = ("cpu",),
    **options: Any,
) -> list[ActivationStore]:
    """`cache_activations` for a series of checkpoints, in the memory of one model a device.

    devices: with several, checkpoints are dealt out to them and computed side by side, each device with a thread and a
    model of its own. Whichever device makes a store, it has the same name.
    """
    sites = sites if isinstance(sites, str) else list(sites)
    if options.get("layers") is not None:
        options["layers"] = list_layers(options["layers"])

    def cache_share(number: int) -> list[ActivationStore]:
        device = devices[number]
        loader = ModelLoader(device=device, dtype=options.get("dtype", "float32"))
        return [
            cache_activations(one, reading, sites, device=device, loader=loader, **options)
            for one in checkpoints[number :: len(devices)]
        ]

    with ThreadPoolExecutor(len(devices), thread_name_prefix="caching") as pool:
        shares = list(pool.map(cache_share, range(len(devices))))
    return [shares[n % len(devices)][n // len(devices)] for n in range(len(checkpoints))]


def _default_folder(model: "Checkpoint | PreTrainedModel") -> Path:
    """`<run>/activations` for a run's own checkpoint; anything else needs a folder."""
    if (
        isinstance(model, Checkpoint)
        and (run := model.path.absolute().parent.parent)
        and (run / RUN_FILE).is_file()
    ):
        return run / "activations"
    label = model.label if isinstance(model, Checkpoint) else "a model in memory"
    raise WorkbenchError(
        f"{label} belongs to no run, so its activations have no folder; name one (--out, folder=)."
    )


def _is_sound(path: Path) -> bool:
    """Whether a finished store is there whose every byte is as it was written."""
    from workbench.activations.verify import find_store_faults

    return path.is_dir() and not find_store_faults(path)


def _fill(
    path: Path,
    job: Job,
    model: "PreTrainedModel",
    reading: Reading,
    batch_tokens: int,
    shard_bytes: int,
    show: Show | None,
) -> None:
    """Compute the shards a store lacks and write them."""
    was_training = model.training
    set_training(model, False)
    try:
        with open_engine(job.engine, model, job.sites) as engine:
            manner = find_manner(engine, model, reading)
            plan, bytes_per_text = make_plan(job, engine, model, reading, manner, batch_tokens, shard_bytes)
            writer = StoreWriter(path, plan, reading)
            try:
                missing = writer.missing
                texts = sum(len(part) for part in missing)
                require_free_space(path, int(texts * bytes_per_text), f"Caching {texts} texts of {job.label}")
                done = len(reading) - texts
                for part in missing:
                    vectors = _shard_buffers(plan, job.sites, len(part), len(reading.position_labels), model)
                    lengths = reading.read_lengths(manner.whole)[part.start : part.stop]
                    for rows in plan_batches(lengths, 1 if manner.alone else batch_tokens):
                        _read_into(vectors, engine, model, reading, part.start, rows, manner.whole)
                        done += len(rows)
                        if show:
                            show(job.label, done, len(reading))
                    writer.submit(part, {site: values.cpu() for site, values in vectors.items()})
                writer.finish()
            finally:
                writer.close()
    finally:
        set_training(model, was_training)


def _shard_buffers(
    plan: dict[str, Any], sites: Sequence[Site], n: int, n_positions: int, model: "PreTrainedModel"
) -> "dict[Site, torch.Tensor]":
    """Room for one shard on the model's device: [P, n, …] by site, each position one block of memory."""
    import torch

    return {
        site: torch.zeros(
            (n_positions, n, *entry["shape"]), dtype=getattr(torch, entry["dtype"]), device=model.device
        )
        for site, entry in zip(sites, plan["sites"], strict=True)
    }


def _read_into(
    vectors: "dict[Site, torch.Tensor]",
    engine: Engine,
    model: "PreTrainedModel",
    reading: Reading,
    first: int,
    rows: Ints,
    whole: bool,
) -> None:
    """Read one batch, `rows` counted from the shard's first text, into the shard's buffers."""
    import torch

    found = read_rows(engine, model, reading, first + rows, whole)
    where = torch.from_numpy(rows).to(model.device)
    for site, buffer in vectors.items():
        values = found[site.short].transpose(0, 1)  # [P, B, …]
        if site.kind == "pattern":
            buffer[:, where, :, : values.shape[-1]] = values
        else:
            buffer[:, where] = values
