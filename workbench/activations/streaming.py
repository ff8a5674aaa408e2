"""Activations batch by batch, checkpoint after checkpoint, without touching the disk.

Shapes: B batch, T tokens, P positions, N texts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import ModelError, Site, parse_sites, text_config

from workbench.activations.engines import open_engine
from workbench.activations.manner import find_manner, read_rows
from workbench.errors import WorkbenchError, as_sentence
from workbench.field_checks import fit_value, several
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import ModelLoader
from workbench.studies.series import as_checkpoint
from workbench.tokens.reading import Ints, Reading, plan_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from workbench.studies.study import Study

    Model = Checkpoint | Study | Path | str | PreTrainedModel

DTYPES = ("float32", "bfloat16", "float16")
# A CPU is fastest while a batch fits its caches (benchmarks/caching.py), an accelerator when it is filled.
BATCH_TOKENS = {"cpu": 2048, "other": 32768}


@dataclass(frozen=True, eq=False)
class ActivationBatch:
    """The vectors of one batch of texts.

    checkpoint: which model, or None for one handed over in memory.
    rows:       int64 [B], which texts of the reading.
    present:    bool [B, P], False where a text has no such position (its vectors there mean nothing).
    vectors:    short form of a site → [B, P, …] on the model's device; a `pattern` is [B, P, H, T].
    """

    checkpoint: Checkpoint | None
    rows: Ints
    present: "np.ndarray[Any, np.dtype[np.bool_]]"
    vectors: "dict[str, torch.Tensor]"


def iterate_activations(
    models: "Model | Sequence[Checkpoint | Study | Path | str]",
    reading: Reading,
    sites: str | Iterable[str | Site] = "resid_post",
    *,
    layers: Iterable[int] | int | None = None,
    engine: str = "hooks",
    dtype: "str | torch.dtype" = "float32",
    device: str = "cpu",
    batch_tokens: int | None = None,
) -> Iterator[ActivationBatch]:
    """Read texts with one model after another; each batch is handed out as soon as it is computed.

    models:       a checkpoint or several; a run, a study, a folder or a hub name (its last checkpoint); or a model in
                  memory.
    sites:        names as for `parse_sites`: a bare kind means all blocks, `layers` all residual states.
    layers:       restricts bare kinds to these blocks.
    engine:       `hooks`, `transformer-lens` or `nnsight`.
    dtype:        of weights and computation (a model in memory keeps its own).
    batch_tokens: most tokens of a batch with its padding, by default what suits the device; texts of like
                  length share a batch.

    The models of a series share one module: the weights of the next are loaded into it, so whoever keeps a
    batch keeps no model. Vectors carry no gradient. All rows of one model come before the next, longest first.
    """
    dtype, device, layers = name_dtype(dtype), require_device(device), list_layers(layers)
    require_reading(reading)
    sites = sites if isinstance(sites, str) else list(sites)
    for checkpoint, model in iterate_models(models, device=device, dtype=dtype):
        chosen = resolve_sites(sites, model.config, layers)
        reading.check_fits(model.config)
        with open_engine(engine, model, chosen) as opened:
            manner = find_manner(opened, model, reading)
            lengths = reading.read_lengths(manner.whole)
            for rows in plan_batches(lengths, 1 if manner.alone else batch_size(batch_tokens, model)):
                vectors = read_rows(opened, model, reading, rows, manner.whole)
                yield ActivationBatch(checkpoint, rows, reading.positions[rows] >= 0, vectors)


def iterate_models(
    models: "Model | Sequence[Checkpoint | Study | Path | str]", *, device: str, dtype: str
) -> "Iterator[tuple[Checkpoint | None, PreTrainedModel]]":
    """Load checkpoints one after another, into the same module where that is proven to be the same."""
    several = isinstance(models, Sequence) and not isinstance(models, str)
    given: Any = models if several else [models]
    loader = ModelLoader(device=device, dtype=dtype)
    for model in map(as_model, given):
        if isinstance(model, Checkpoint):
            yield model, loader.load(model)
            continue
        was_training = model.training
        set_training(model, False)
        try:
            yield None, model
        finally:
            set_training(model, was_training)


def as_model(model: "Model") -> "Checkpoint | PreTrainedModel":
    """A model in memory as it is; of anything else its checkpoint."""
    untyped: Any = model
    return untyped if hasattr(model, "forward") else as_checkpoint(untyped)


def resolve_sites(
    sites: str | Iterable[str | Site], config: Any, layers: Iterable[int] | int | None
) -> list[Site]:
    """The sites a user names, in a model of this config; a mistake is a WorkbenchError."""
    n_layers = int(getattr(text_config(config), "num_hidden_layers", 0) or 0)
    layers = list_layers(layers)
    if layers is not None and any(not 0 <= layer <= n_layers for layer in layers):
        raise WorkbenchError(
            f"layers {sorted(layers)} go beyond the model's {n_layers} blocks; the first is 0."
        )
    try:
        return parse_sites(sites, n_layers, layers)
    except ModelError as error:
        raise WorkbenchError(as_sentence(error)) from error


def set_training(model: "PreTrainedModel", on: bool) -> None:
    """Switch dropout on or off."""
    untyped: Any = model
    untyped.train(on)


def batch_size(batch_tokens: int | None, model: "PreTrainedModel") -> int:
    """Tokens of a batch: what was asked for, or what suits the model's device."""
    fitted: int | None = fit_value("batch_tokens", batch_tokens, int | None, 1)
    return fitted or BATCH_TOKENS.get(model.device.type, BATCH_TOKENS["other"])


def name_dtype(dtype: "str | torch.dtype") -> str:
    """The name of a precision, which may be torch's own; one that is not among `DTYPES` is refused."""
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise WorkbenchError(f"dtype {name!r} does not exist here; expected one of {', '.join(DTYPES)}.")
    return name


def list_layers(layers: Iterable[int] | int | None) -> list[int] | None:
    """One layer or several as a list; what is no whole number is refused."""
    return None if layers is None else list(fit_value("layers", several(layers), tuple[int, ...]))


def require_device(device: str) -> str:
    """The device itself; one that this machine or this build of torch lacks is refused."""
    from workbench.training.devices import choose_device

    return choose_device(device)


def require_reading(reading: Any) -> None:
    """Refuse texts that have not been made a reading yet."""
    if not isinstance(reading, Reading):
        raise WorkbenchError(
            f"The reading is a {type(reading).__name__}; make one of texts with read_table(rows, tokenizer), or of "
            "a run's or study's own with read_study(study)."
        )
