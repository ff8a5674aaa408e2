"""Compute and keep the entity view of several checkpoints; nothing that exists is made twice."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import text_config

from workbench.attention.parts import open_parts, spread_layers
from workbench.entity_view.answers import ask_entities, choose_adapter
from workbench.entity_view.tokens import TokenTexts, choose_entities, read_shown, sample_tokens
from workbench.extraction.finetunes import Finetune
from workbench.field_checks import check_fields
from workbench.minutes import Minutes, Show
from workbench.results.making import making
from workbench.results.provenance import make_attrs
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_config, load_model
from workbench.studies.study import Study
from workbench.tokens.targets import Target, distinct_targets, make_targets

if TYPE_CHECKING:
    import xarray as xr

KIND, FAMILY = "entity", "logistic"
ENTITIES = 20
FIT_ENTITIES, TEST_ENTITIES = 1500, 500


@dataclass(frozen=True)
class EntityRequest:
    """Who is shown and how. entities: so many, drawn by the seed, half of them test entities; or the ids of `entity`.

    layers: 0, 1, …, `final`; None is all. adapter: the finetune that answers the questions, by name, in its
    state `which` (`last` or `best`); None: each checkpoint for itself.
    """

    entities: int = ENTITIES
    entity: tuple[int, ...] = ()
    layers: tuple[str, ...] | None = None
    adapter: str | None = None
    which: str = "last"
    seed: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"entities": 1, "seed": 0}, numbered=("layers",))

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one."""
        parts = ["id" + "-".join(map(str, self.entity))] if self.entity else []
        parts += [Path(self.adapter).name] if self.adapter else []
        parts += ["best"] if self.adapter and self.which == "best" else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "+".join(parts)


def choose_layers(checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """The layers shown by default: all (None), and in a deep network some of them, the last and `final`."""
    blocks = int(text_config(load_config(checkpoint)).num_hidden_layers)
    layers = spread_layers(blocks)
    return None if len(layers) == blocks + 1 else (*map(str, layers), "final")


@dataclass(frozen=True, eq=False)
class _Material:
    """What is the same at every checkpoint."""

    entities: list[int]
    targets: list[Target]
    stands_for: dict[str, str]
    texts: dict[str, TokenTexts]


def run_entity_view(
    run: Study,
    checkpoints: Sequence[Checkpoint],
    request: EntityRequest,
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """The entity view of each checkpoint, or its result where one of the same weights and settings exists.

    For what it holds see `workbench.entity_view.dataset`; how its probes are fitted, `token_probe`.
    `show(what, done, all)` follows the work. Raises WorkbenchError for entities or a finetune the run does not
    have, a finetune of other weights, a bidirectional model.
    """
    entities = choose_entities(run, request.entities, request.entity, request.seed)
    tuned = choose_adapter(run, request.adapter, checkpoints)
    settings = _settings(request, entities, tuned)
    material: _Material | None = None
    datasets = []
    for number, checkpoint in enumerate(checkpoints):
        if show:
            show(f"entity view, step {checkpoint.step}", number, len(checkpoints))
        path = result_path(run.path, KIND, FAMILY, checkpoint.step, request.variant)
        found = None if request.again else find_result(path, checkpoint.weights_digest, settings)
        if found is not None:
            datasets.append(found)
            continue
        with making(path, "viewed"):
            started = time.perf_counter()
            if material is None:
                open_parts(load_model(checkpoint))  # a bidirectional model is refused before the work begins
                material = _prepare(run, entities, request.seed)
            dataset = _view(run, checkpoint, request, material, tuned, device)
            attrs = make_attrs(
                kind=KIND,
                family=FAMILY,
                run=run,
                checkpoint=checkpoint,
                settings=settings,
                variant=request.variant,
                notes={"seconds": round(time.perf_counter() - started, 2)},
            )
            dataset = dataset.assign_coords(checkpoint=checkpoint.step).assign_attrs(attrs)
            save_result(path, dataset)
        datasets.append(dataset.drop_encoding())
    return datasets


def _view(
    run: Study,
    checkpoint: Checkpoint,
    request: EntityRequest,
    material: _Material,
    tuned: Finetune | None,
    device: str | None,
) -> "xr.Dataset":
    from workbench.entity_view.dataset import make_entity_dataset
    from workbench.entity_view.looks import read_looks
    from workbench.entity_view.token_probe import probe_layer
    from workbench.probing.layer_features import capture_layers
    from workbench.training.devices import choose_device

    device = choose_device(device)
    captured: dict[str, np.ndarray] = {}
    names: list[str] = []
    for part, texts in material.texts.items():
        captured[part], names = capture_layers(checkpoint, texts.reading, request.layers, device)
    readings = {}
    minutes = Minutes(f"Probing every token at {len(names)} layers", "fewer --layers take less")
    minutes.start()
    for layer, name in enumerate(names):
        features = {part: vectors[layer] for part, vectors in captured.items()}
        readings[name] = probe_layer(
            features, material.texts, material.targets, seed=request.seed, device=device
        )
        minutes.done((layer + 1) / len(names))
    shown = material.texts["shown"]
    looks = read_looks(load_model(checkpoint, device=device, attention="eager"), run.tokenizer, shown)
    answers = ask_entities(run, checkpoint, tuned, material.entities, which=request.which, device=device)
    entities = [run.corpus.entities[entity] for entity in material.entities]
    dataset = make_entity_dataset(shown, entities, material.targets, readings, looks, answers)
    return dataset.assign_attrs(stands_for=json.dumps(material.stands_for))


def _prepare(run: Study, entities: list[int], seed: int) -> _Material:
    every = make_targets(run.corpus.entities, run.corpus.schema, run.tokenizer)
    stands_for = distinct_targets(every)
    return _Material(
        entities,
        [every[i] for i in sorted(set(stands_for))],
        {target.name: every[i].name for target, i in zip(every, stands_for, strict=True)},
        {
            "fit": sample_tokens(run, "train", entities, entities=FIT_ENTITIES, one_entry=False, seed=seed),
            "test": sample_tokens(run, "test", entities, entities=TEST_ENTITIES, one_entry=True, seed=seed),
            "shown": read_shown(run, entities, seed),
        },
    )


def _settings(request: EntityRequest, entities: list[int], tuned: Finetune | None) -> dict[str, Any]:
    """What determines the numbers beside the weights."""
    settings: dict[str, Any] = {
        "entities": entities,
        "layers": None if request.layers is None else list(request.layers),
        "fit_entities": FIT_ENTITIES,
        "test_entities": TEST_ENTITIES,
        "seed": request.seed,
    }
    if tuned is not None:
        step = tuned.step(request.which)
        settings |= {"finetune": tuned.name, "which": request.which, "finetune_step": step}
        settings["finetune_files"] = dict(tuned.info["sha256"])
    return settings
