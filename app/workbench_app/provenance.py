"""What made a number, and the Python that reads it: the end of every cell's detail."""

import json
from collections.abc import Mapping
from typing import Any

from dash import html

from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.index import RunEntry
from workbench_app.view import Component


def provenance(attrs: dict[str, str]) -> list[tuple[str, Any]]:
    """What made the result, digests shortened."""
    pairs: list[tuple[str, Any]] = [
        ("created", attrs.get("created", "").replace("T", " ").replace("+00:00", " UTC"))
    ]
    pairs += [(name.replace("_", " "), _show(value)) for name, value in _json(attrs.get("settings")).items()]
    for name in ("weights_digest", "recipe_digest"):
        if attrs.get(name):
            pairs.append((name.replace("_", " "), html.Code(attrs[name][:16], title=attrs[name])))
    versions = _json(attrs.get("versions"))
    pairs.append(
        (
            "made with",
            ", ".join(f"{name} {number}" for name, number in versions.items() if number != "absent"),
        )
    )
    return pairs


def results_line(entry: RunEntry, set_name: str) -> str:
    """The line of Python that loads a result set."""
    kind, _, name = set_name.partition("-")
    family, _, variant = name.partition("+")
    asked = f"Path({str(entry.path)!r}), {kind!r}, {family!r}" + (f", {variant!r}" if variant else "")
    return f"results = load_results({asked})"


def in_python(entry: RunEntry, set_name: str, where: Mapping[str, Any], printed: str) -> list[Component]:
    """Python that reads a stored number: `where` is what selects its cell, `printed` what is printed of it."""
    return python_parts(
        "from pathlib import Path",
        "from workbench.results.storing import load_results",
        "",
        results_line(entry, set_name),
        f"cell = results.sel({', '.join(f'{name}={value!r}' for name, value in where.items())})",
        f"print({printed})",
    )


def python_parts(*code: str) -> list[Component]:
    """Lines of Python with a button that copies them."""
    lines = "\n".join(code)
    return [
        html.H3("In Python"),
        html.Pre(lines, tabIndex=0, **extra({"aria-label": "Python that reads this number"})),
        cards.copy_button(lines, "Copy as Python"),
    ]


def _json(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _show(value: Any) -> str | None:
    return f"{value:g}" if isinstance(value, float) else (None if value is None else str(value))
