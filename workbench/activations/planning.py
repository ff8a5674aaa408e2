"""What a store will hold, worked out before it is computed: its digests, the shapes of its sites, its shards.

Shapes: N texts, P positions, B batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import BLOCK_HOOKS, Site

from workbench.activations.engines import Engine
from workbench.activations.manner import read_rows
from workbench.activations.store import FORMAT, VERSION
from workbench.activations.streaming import name_dtype, resolve_sites
from workbench.files import digest_json
from workbench.studies.checkpoints import Checkpoint, config_digest_of, require_sound
from workbench.studies.loading import load_config
from workbench.studies.manner import Manner
from workbench.tokens.reading import Reading

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LIBRARIES = {"hooks": (), "transformer-lens": ("transformer-lens",), "nnsight": ("nnsight",)}


@dataclass(frozen=True)
class Job:
    """What decides a store's content, apart from the texts."""

    label: str
    step: int | None
    weights_digest: str
    config_digest: str
    sites: tuple[Site, ...]
    engine: str
    dtype: str

    @property
    def settings_digest(self) -> str:
        """Hex sha256 of config, sites, engine, precision and format."""
        names = [site.name for site in self.sites]
        return digest_json([VERSION, self.config_digest, names, self.engine, self.dtype])


def make_job(
    model: "Checkpoint | PreTrainedModel",
    reading: Reading,
    sites: str | Iterable[str | Site],
    layers: Iterable[int] | int | None,
    engine: str,
    dtype: str,
) -> Job:
    """Check a request against the model's config, before any weight is loaded."""
    config = load_config(model) if isinstance(model, Checkpoint) else model.config
    chosen = tuple(sorted(resolve_sites(sites, config, layers), key=_in_order))
    reading.check_fits(config)
    if isinstance(model, Checkpoint):
        step = None if model.counted else model.step
        digest = require_sound(model).weights_digest
        return Job(model.label, step, digest, model.config_digest, chosen, engine, dtype)
    own = str(model.dtype).removeprefix("torch.")
    name_dtype(own)
    return Job(
        "memory",
        None,
        digest_weights(model),
        config_digest_of(model.config.to_diff_dict()),
        chosen,
        engine,
        own,
    )


def digest_weights(model: "PreTrainedModel") -> str:
    """Hex sha256 over a model's weights in memory, by name."""
    import torch

    state = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()


def make_plan(
    job: Job,
    engine: Engine,
    model: "PreTrainedModel",
    reading: Reading,
    manner: Manner,
    batch_tokens: int,
    shard_bytes: int,
) -> tuple[dict[str, Any], float]:
    """The manifest without shards and the average bytes of a text; shapes come from reading the shortest."""
    shortest = np.array([int(np.argmin(reading.lengths))])
    found = read_rows(engine, model, reading, shortest, manner.whole)
    keys = int(reading.read_lengths(manner.whole).max())
    sites, bytes_per_vector = [], 0
    for site in job.sites:
        tensor = found[site.short]
        shape = [*tensor.shape[2:]]
        if site.kind == "pattern":
            shape[-1] = keys  # of shorter texts the rest is zero
        axes = _axes(site, len(shape))
        stored = str(tensor.dtype).removeprefix("torch.")
        sites.append({"name": site.name, "short": site.short, "axes": axes, "shape": shape, "dtype": stored})
        bytes_per_vector += int(np.prod(shape)) * tensor.element_size()
    vectors = int((reading.positions >= 0).sum())
    bytes_per_text = max(1.0, bytes_per_vector * vectors / len(reading))
    libraries = ("torch", "transformers", *_LIBRARIES[job.engine])
    plan = {
        "format": FORMAT,
        "version": VERSION,
        "weights_digest": job.weights_digest,
        "config_digest": job.config_digest,
        "data_digest": reading.digest,
        "made_from": {"label": job.label, "step": job.step, "architecture": type(model).__name__},
        "made_with": {
            "engine": job.engine,
            "dtype": job.dtype,
            "device": model.device.type,
            "attention": "eager"
            if any(site.kind == "pattern" for site in job.sites)
            else _attention(job, model),
            "batch_tokens": batch_tokens,
            "texts": manner.word,
            "libraries": {name: version(name) for name in libraries},
        },
        "texts": len(reading),
        "texts_per_shard": max(1, min(len(reading), int(shard_bytes / bytes_per_text))),
        "positions": list(reading.position_labels),
        "columns": {
            name: None if column.categories is None else list(column.categories)
            for name, column in reading.columns.items()
        },
        "sites": sites,
    }
    return plan, bytes_per_text


def _attention(job: Job, model: "PreTrainedModel") -> str:
    """The attention kernel an engine runs; TransformerLens always writes attention out."""
    return "eager" if job.engine == "transformer-lens" else str(model.config._attn_implementation)


def _axes(site: Site, ndim: int) -> list[str]:
    """Names of a site's axes at one token."""
    if site.kind == "module":
        return ["width"] if ndim == 1 else [f"axis {number}" for number in range(ndim)]
    if site.kind == "pattern":
        return ["head", "key"]
    if site.kind in ("q", "k", "v", "z"):
        return ["head", "head_width"]
    return ["neuron"] if site.kind in ("mlp_pre", "mlp_post") else ["width"]


def _in_order(site: Site) -> tuple[int, int, str]:
    """Sites in the order of a forward pass, so that the order they were named in does not matter."""
    block = -1 if site.kind == "embed" else 10**9 if site.block is None else site.block
    kinds = list(BLOCK_HOOKS)
    return block, kinds.index(site.kind) if site.kind in kinds else len(kinds), site.name
