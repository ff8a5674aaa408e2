"""The recipe of a declared arm at a scale, as a command takes it: a source and changes."""

import json
from typing import Any

from workbench.claims.declared import DeclaredArm, Experiment
from workbench.errors import WorkbenchError


def recipe_of(experiment: Experiment, arm: DeclaredArm, scale: str) -> tuple[str, list[str]]:
    """What an arm starts from at a scale, and what is changed in it.

    scale: one that the experiment declares, or else any recipe: arms then start from that, changed by what they set at
    every scale. Raises WorkbenchError for an arm that depends on declared scales where the scale is not one of them.
    """
    if scale not in experiment.scales:
        if arm.at or arm.recipe:
            raise WorkbenchError(
                f"{scale!r} is no scale of {experiment.name} (it has {', '.join(experiment.scales)}), and this arm "
                "differs from scale to scale."
            )
        return scale, [f"{key}={to_toml(value)}" for key, value in arm.set.items()]
    changes = {**arm.set, **arm.at.get(scale, {})}
    source = arm.recipe.get(scale, experiment.scales[scale])
    return source, [f"{key}={to_toml(value)}" for key, value in changes.items()]


def to_toml(value: Any) -> str:
    """A value of a TOML file as it is written in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {to_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
