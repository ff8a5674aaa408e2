"""A checkpoint's activations at every layer, as features of probes: in memory where they fit, else in a store.

Shapes: L layers, P positions, N texts, D width.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from workbench_models import text_config

from workbench.activations import cache_activations, iterate_activations
from workbench.errors import WorkbenchError
from workbench.files import format_bytes
from workbench.memory import free_memory
from workbench.minutes import Minutes
from workbench.probing.linear.inputs import Features
from workbench.probing.stored_features import StoredFeatures
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_config
from workbench.studies.study import Study
from workbench.tokens.reading import Reading

log = logging.getLogger("workbench.probing")
HELD_SHARE = 0.5  # of the memory, for activations; fitting needs the rest


@dataclass(frozen=True)
class FoundFeatures:
    """Features [L, P, N, D] and their layers' names. read_from: `memory` or `store`. left: bytes left for fitting."""

    features: Features
    layers: list[str]
    read_from: Literal["memory", "store"]
    left: int


def find_features(
    run: Study,
    checkpoint: Checkpoint,
    reading: Reading,
    layers: Sequence[int | str] | None,
    device: str,
    memory: int | None = None,
) -> FoundFeatures:
    """A checkpoint's activations in memory where half of what is given holds them, else in the run's store."""
    memory = free_memory() // 2 if memory is None else memory
    config = text_config(load_config(checkpoint))
    sites, names = _layer_sites(layers, int(config.num_hidden_layers))
    n_positions, width = reading.positions.shape[1], int(config.hidden_size)
    held = 4 * len(sites) * n_positions * len(reading) * width
    if held <= HELD_SHARE * memory:
        features, names = capture_layers(checkpoint, reading, layers, device)
        return FoundFeatures(features, names, "memory", memory - held)
    log.info(
        "The activations need %s, more than %s (--memory): they go to %s.",
        format_bytes(held),
        format_bytes(memory),
        run.path / "activations",
    )
    store = cache_activations(checkpoint, reading, sites, folder=run.path / "activations", device=device)
    return FoundFeatures(StoredFeatures(store, sites), names, "store", memory)


def capture_layers(
    checkpoint: Checkpoint, reading: Reading, layers: Sequence[int | str] | None, device: str
) -> tuple[np.ndarray, list[str]]:
    """Activations [L, P, N, D] in memory, float32, and the names of their layers; states a text lacks are 0."""
    config = text_config(load_config(checkpoint))
    sites, names = _layer_sites(layers, int(config.num_hidden_layers))
    shape = (len(sites), reading.positions.shape[1], len(reading), int(config.hidden_size))
    features = np.zeros(shape, np.float32)
    minutes = Minutes(f"Reading {len(reading):,} texts at {len(sites)} layers", "a smaller table takes less")
    batches = iterate_activations(checkpoint, reading, sites, device=device)
    for batch in minutes.over(batches, lambda batch: len(batch.rows), len(reading)):
        for layer, site in enumerate(sites):
            vectors_PBD = batch.vectors[site].transpose(0, 1).float().cpu().numpy()
            features[layer][:, batch.rows] = vectors_PBD
    return features, names


def _layer_sites(layers: Sequence[int | str] | None, n_layers: int) -> tuple[list[str], list[str]]:
    """Site names in short form for chosen layers (None: all of them), and the layers' names.

    Raises WorkbenchError for a layer that the model does not have.
    """
    known = [*map(str, range(n_layers + 1)), "final"]
    names = known if layers is None else [str(layer) for layer in layers]
    if wrong := [name for name in names if name not in known]:
        raise WorkbenchError(
            f"There is no layer {wrong[0]!r}; the layers are 0 (the embedding) to {n_layers}, behind the last block, "
            "and final, behind the last norm."
        )
    return ["ln_final" if name == "final" else _residual(int(name)) for name in names], names


def _residual(layer: int) -> str:
    return "resid_pre.0" if layer == 0 else f"resid_post.{layer - 1}"
