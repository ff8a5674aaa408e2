"""P- and Q-probing on activations, without the network in the loop: every layer of a checkpoint in seconds.

Layer 0 is the output of the embedding, layer ℓ the residual stream after block ℓ, `final` what the embedding
probe reads: the state after the final norm.

Shapes: L layers, P positions, N texts, D width, T targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from workbench.activations import read_names
from workbench.probing.layer_features import find_features
from workbench.probing.linear.custom import name_probe, source_digest
from workbench.probing.linear.fit import fit_probes
from workbench.probing.linear.identity import describe_probe
from workbench.probing.linear.inputs import Features
from workbench.probing.linear.learning_curve import learning_curve
from workbench.probing.name_tokens import NAME_PLACES, find_name_places
from workbench.probing.p_probe import PProbeData
from workbench.probing.q_probe import QProbeData
from workbench.probing.scoring import name_places
from workbench.results.case_files import KeepCases
from workbench.results.provenance import make_attrs
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.study import Study
from workbench.tokens.reading import Column, Reading
from workbench.training.devices import choose_device


@dataclass(frozen=True)
class CachedProbeTask:
    """What probes on activations read and predict, for biographies (kind `p`) or bare names (kind `q`).

    reading: the texts of train and test entities. positions: what results call its places: 0…5, or the tokens of a
    name (`NAME_PLACES`). labels_NT: int [N, T], all targets, which class_names name. present, next_value:
    bool [P, N, T], the cells a text belongs to, and those where the attribute is the very next value. places: what the
    numbered positions of texts are called.
    """

    kind: Literal["p", "q"]
    reading: Reading
    positions: list[int] | list[str]
    targets: list[str]
    class_names: list[tuple[str, ...]]
    labels_NT: np.ndarray
    entities_N: np.ndarray
    train_N: np.ndarray
    present: np.ndarray
    next_value: np.ndarray
    places: tuple[str, ...] = ()

    def problem(self, features: Features) -> tuple[Any, ...]:
        """Features, labels, entities and train texts, as `fit_probes` takes them."""
        return features, self.labels_NT, self.entities_N, self.train_N

    def cells(self, layers: list[str]) -> dict[str, Any]:
        """The names of cells and targets, and which texts are in which, as `fit_probes` takes them."""
        return {
            "cells": {"layer": layers, "position": self.positions},
            "targets": self.targets,
            "present": self.present[None],
            "next_value": self.next_value[None],
        }


def make_cached_task(run: Study, data: PProbeData | QProbeData) -> CachedProbeTask:
    """The same texts, entities, targets and cells as the embedding probe's, for probes on activations."""
    chosen = np.sort(np.concatenate([data.train, data.test]))
    in_train = np.isin(chosen, data.train)
    entities = run.corpus.entities
    names = [target.name for target in data.targets]
    classes = [target.classes for target in data.targets]
    if isinstance(data, QProbeData):
        places_NP = find_name_places(
            run.tokenizer, [entity.name for entity in entities], data.names, run.start
        )
        reading = replace(
            read_names(data.names, entities, run.corpus.schema),
            positions=places_NP,
            position_labels=NAME_PLACES,
        ).take(chosen)
        labels_NT = np.stack([target.labels_N[chosen] for target in data.targets], axis=1)
        present = np.repeat((places_NP[chosen] >= 0).T[:, :, None], len(names), axis=2)
        return CachedProbeTask(
            "q", reading, list(NAME_PLACES), names, classes, labels_NT, chosen, in_train, present,
            np.zeros_like(present),
        )  # fmt: skip
    entries = data.entries
    columns = {"entity": Column(entries.entities)}
    places = data.places_NP
    reading = Reading(entries.ids, entries.offsets, places, data.place_labels, columns).take(chosen)
    who = entries.entities[chosen]
    labels_NT = np.stack([target.labels_N[who] for target in data.targets], axis=1)
    every = list(range(len(data.targets)))
    present, next_value = data.not_yet_KNP(every)[:, chosen], data.next_value_KNP(every)[:, chosen]
    return CachedProbeTask(
        "p", reading, list(range(places.shape[1])), names, classes, labels_NT, who, in_train,
        present.transpose(2, 1, 0), next_value.transpose(2, 1, 0), data.place_labels,
    )  # fmt: skip


def run_cached_probe(
    run: Study,
    checkpoint: Checkpoint,
    task: CachedProbeTask,
    *,
    probe: Any = "logistic",
    family: str | None = None,
    layers: Sequence[int | str] | None = None,
    seeds: Sequence[int] = (0,),
    device: str | None = None,
    memory: int | None = None,
    source: str | None = None,
    keep_cases: KeepCases | None = None,
) -> xr.Dataset:
    """Probe a checkpoint's activations; dims (layer, position, target[, seed]).

    probe: a built-in name (`logistic`, `ridge`, `lda`, `nearest-mean`, `mlp`), anything with `fit` and
    `predict`, or `package.module:factory`. family: its name in results; default: the probe's own.
    layers: 0, 1, …, `final`; default: all. memory: bytes this may take, by default half of what is free; activations
    that need more go to the run's store of activations once and are read from it cell by cell. source: the digest of a
    probe of the user's own where it was taken before (`source_digest`). keep_cases: called with what was said about
    each test entity. For the variables see docs/probing-linear.md.
    """
    device, source = choose_device(device), source or source_digest(probe)
    found = find_features(run, checkpoint, task.reading, layers, device, memory)
    result = fit_probes(
        *task.problem(found.features),
        **task.cells(found.layers),
        probe=probe,
        seeds=list(seeds),
        class_names=task.class_names,
        device=device,
        memory=found.left,
        keep_cases=keep_cases,
    )
    settings = {"seeds": list(seeds), "layers": found.layers}
    return _seal(result, task.kind, run, checkpoint, task, probe, family, settings, found.read_from, source)


def run_cached_curve(
    run: Study,
    checkpoint: Checkpoint,
    task: CachedProbeTask,
    *,
    probe: Any = "logistic",
    family: str | None = None,
    layers: Sequence[int | str] | None = None,
    numbers: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    device: str | None = None,
    memory: int | None = None,
    source: str | None = None,
) -> xr.Dataset:
    """The probes of `run_cached_probe` on growing numbers of train entities; dims (train_entities, layer, position, …).

    numbers: how many train entities; default: an eighth, a quarter, half and all. Each seed draws its own. Its kind
    in results is `p_curve` or `q_curve`.
    """
    device, source = choose_device(device), source or source_digest(probe)
    found = find_features(run, checkpoint, task.reading, layers, device, memory)
    result = learning_curve(
        *task.problem(found.features),
        **task.cells(found.layers),
        numbers=numbers,
        probe=probe,
        seeds=list(seeds),
        controls=True,
        device=device,
        memory=found.left,
    )
    settings = {
        "seeds": list(seeds),
        "layers": found.layers,
        "numbers": result["train_entities"].values.tolist(),
    }
    return _seal(
        result, f"{task.kind}_curve", run, checkpoint, task, probe, family, settings, found.read_from, source
    )


def _seal(
    result: xr.Dataset,
    kind: str,
    run: Study,
    checkpoint: Checkpoint,
    task: CachedProbeTask,
    probe: Any,
    family: str | None,
    settings: dict[str, Any],
    read_from: str,
    source: str | None,
) -> xr.Dataset:
    """The result with its provenance; of a probe of the user's own, by name, with the digest of its file."""
    attrs = make_attrs(
        kind=kind,
        family=family or name_probe(probe),
        run=run,
        checkpoint=checkpoint,
        settings={
            "probe": probe if isinstance(probe, str) else describe_probe(probe),
            **settings,
            **({} if source is None else {"source": source}),
        },
        notes={
            "train_texts": int(task.train_N.sum()),
            "test_texts": int((~task.train_N).sum()),
            "read_from": read_from,
        },
    )
    result = name_places(result.assign_coords(checkpoint=checkpoint.step), task.places)
    result.attrs = {**attrs, "warnings": result.attrs.get("warnings", "[]")}
    return result
