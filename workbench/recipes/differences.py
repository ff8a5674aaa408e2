"""Recipes laid beside one another, key by key."""

from typing import Any

from workbench.recipes.recipe import Recipe


def first_difference(old: Recipe, new: Recipe) -> str:
    """The first key in which two recipes differ, but for their names and their probes: `seed is 0 there and 1 here`."""
    before, after = (flatten_sections(one.to_json()) for one in (old, new))
    key = next(
        key
        for key in {**before, **after}
        if key != "name" and not key.startswith("probing.") and before.get(key) != after.get(key)
    )
    return f"{key} is {before.get(key)!r} there and {after.get(key)!r} here"


def flatten_sections(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys: `{"training": {"lr": 1}}` → `{"training.lr": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            flat |= flatten_sections(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
