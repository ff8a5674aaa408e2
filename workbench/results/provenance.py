"""What a result says of itself: what made it, which facts it is about, with which versions."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import xarray as xr

from workbench.facts.schema import Schema, schema_from_json, schema_to_json
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.study import name_apart
from workbench.worlds.biographies.schema import SCHEMA as BIOGRAPHIES

if TYPE_CHECKING:
    from workbench.studies.study import Study

FORMAT = "1"
RECORDED_PACKAGES = ("probing-workbench", "torch", "transformers", "numpy", "scikit-learn", "xarray")


def make_attrs(
    *,
    kind: str,
    family: str,
    run: "Study",
    checkpoint: Checkpoint,
    settings: Mapping[str, Any],
    variant: str = "",
    notes: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The provenance of a result, ready for `Dataset.attrs`.

    `settings` is what determines the numbers (rank, steps, dropout …): results whose settings differ are
    never joined. `notes` is what a fit reports (final loss, seconds, device).
    """
    return {
        "kind": kind,
        "family": family,
        "variant": variant,
        "run": run.name,
        "recipe_digest": run.digest,
        "weights_digest": checkpoint.weights_digest,
        "settings": json.dumps(settings, sort_keys=True),
        "notes": json.dumps(notes or {}, sort_keys=True),
        "versions": json.dumps({name: _version(name) for name in RECORDED_PACKAGES}),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "facts": json.dumps(schema_to_json(run.schema)),
        "schema": FORMAT,
    }


def call_apart(studies: "Sequence[Study]", made: "Sequence[Sequence[xr.Dataset]]") -> list[list[xr.Dataset]]:
    """The results made of each study, under names that tell the studies apart: a result itself knows the folder's name
    alone, which two seeds may share, as it was called when the result was made."""
    names = name_apart(studies)
    return [[one.assign_attrs(run=name) for one in each] for name, each in zip(names, made, strict=True)]


def facts_of(dataset: xr.Dataset) -> Schema:
    """The schema of the facts that a result is about: its attributes, their order and labels.

    A result of the first version does not say; it is about people's biographies.
    """
    told = dataset.attrs.get("facts")
    return schema_from_json(json.loads(told)) if told else BIOGRAPHIES


# What the first version called entities; its results still open.
_FIRST_WORDS = {"full_name": "name", "person": "entity", "people": "entities"}


def in_todays_words(dataset: xr.Dataset) -> xr.Dataset:
    """A result of the first version with today's names of dimensions, variables and kinds."""
    if "facts" in dataset.attrs:
        return dataset
    renamed = {}
    for name in (*dataset.variables, *dataset.dims):
        new = str(name)
        for old, word in _FIRST_WORDS.items():
            new = new.replace(old, word)
        if new != name:
            renamed[name] = new
    dataset = dataset.rename(renamed)
    if dataset.attrs.get("kind") == "person":
        dataset.attrs["kind"] = "entity"
    return dataset


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
