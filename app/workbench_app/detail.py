"""The detail of one cell: its number, what it is worth, how it came about, what made it, how to get it in Python."""

import json
from typing import Any

import numpy as np
import xarray as xr
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench.figures.cells import WHY_EMPTY, target_label
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.controls import set_label
from workbench_app.figures.curves import plot_cell_over_training
from workbench_app.index import RunEntry
from workbench_app.selection import choose, parse_cell
from workbench_app.slices import at_step, depth_dim, depths_of
from workbench_app.view import Component, View


def render(view: View, text: str) -> list[Component]:
    """What the drawer holds for a `run:position:target`; a cell that is not there is refused with the reason."""
    parsed = parse_cell(text)
    if parsed is None:
        raise WorkbenchError(f"{text[:80]!r} names no cell; it is written run:position:target.")
    run_id, position, target = parsed
    entry = view.entries.get(run_id)
    if entry is None:
        raise WorkbenchError(f"There is no run {run_id[:60]!r} here (any more).")
    kind = "q" if view.selection.page == "q-probe" else "p"
    set_name = choose(view.selection.set, entry.sets_of(kind))
    data, loaded = view.cells(entry, set_name) if set_name else (None, None)
    if data is None or loaded is None:
        raise WorkbenchError(f"{run_id} has no {kind.upper()}-probe result that can be read.")
    if target not in data["target"].values or position not in data["position"].values:
        raise WorkbenchError(f"{run_id} has no cell at position {position} of {target[:60]!r}.")
    step = view.shown(data["checkpoint"].values.tolist())
    cell = at_step(data, step).sel(position=position, target=target)
    course = data.sel(position=position, target=target)
    layer = _layer(view, loaded.data)
    place = f"position {position}" if kind == "p" else "from the name alone"
    head = [
        html.H3(f"{target_label(target)}, {place}", style={"fontSize": "1.05rem", "margin": "10px 0 2px"}),
        html.P(
            f"{entry.id} · {set_label(set_name)}{f' · layer {layer}' if layer else ''} · step {step:,}",
            className="sub",
        ),
    ]
    if np.isnan(float(cell["accuracy"])):
        return [*head, cards.empty(WHY_EMPTY[0].upper() + WHY_EMPTY[1:] + ".")]
    curve = view.themed(plot_cell_over_training({entry.id: course}, step))
    old = step in loaded.stale
    return [
        *head,
        _number(cell),
        cards.faults(["The checkpoint has been retrained since; probe it again."], "Out of date")
        if old
        else None,
        cards.facts(worth(cell)),
        html.H3("Over training"),
        dcc.Graph(figure=curve, config=cards.GRAPH_CONFIG, responsive=True, style={"height": "230px"})
        if data.sizes["checkpoint"] > 1
        else cards.empty(
            "Only this checkpoint has been probed.",
            "workbench",
            "probe",
            str(entry.path),
            "--checkpoints",
            "all",
        ),
        html.H3("Made by"),
        cards.facts(provenance(loaded.attrs.get(step, {}))),
        *_in_python(entry, set_name, step, position, target, layer, loaded.data),
    ]


def worth(cell: xr.Dataset) -> list[tuple[str, str | None]]:
    """The cell's other numbers in words; None for what the result does not have."""
    accuracy = float(cell["accuracy"])
    chance = _read(cell, "chance")
    seeds = None
    converged = _read(cell, "converged")
    control = _read(cell, "control")
    return [
        ("chance (commonest class)", _percent(chance)),
        (
            "above chance",
            None if chance is None else f"{100 * (accuracy - chance):+.1f} points".replace("-", "−"),
        ),
        ("where it is not the next value", _percent(_read(cell, "accuracy_not_next"))),
        ("shuffled labels (control)", _percent(control)),
        (
            "selectivity",
            None if control is None else f"{100 * (accuracy - control):+.1f} points".replace("-", "−"),
        ),
        ("right among the top 5", _percent(_read(cell, "top5"))),
        ("macro F1", _percent(_read(cell, "macro_f1"))),
        ("train people", _percent(_read(cell, "train_accuracy"))),
        ("test entries", f"{int(float(cell['n'])):,}"),
        ("seeds", seeds),
        ("converged", None if converged is None else ("yes" if converged >= 1 else "no")),
    ]


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


def python_lines(
    entry: RunEntry, set_name: str, step: int, position: int, target: str, depth: tuple[str, Any] | None
) -> str:
    """Python that reads this very number from the run."""
    kind, _, family = set_name.partition("-")
    place = [f"checkpoint={step}", f"position={position}", f"target={target!r}"]
    place += [f"{depth[0]}={depth[1]!r}"] if depth else []
    return "\n".join(
        [
            "from pathlib import Path",
            "from workbench.results import load_results",
            "",
            f"results = load_results(Path({str(entry.path)!r}), {kind!r}, {family!r})",
            f"cell = results.sel({', '.join(place)})",
            'print(float(cell["accuracy"]), int(cell["n"]))',
        ]
    )


def _in_python(
    entry: RunEntry, set_name: str, step: int, position: int, target: str, layer: str, data: xr.Dataset | None
) -> list[Component]:
    depth = None
    if data is not None and (name := depth_dim(data)):
        depth = (name, data[name].values.tolist()[depths_of(data).index(layer)])
    lines = python_lines(entry, set_name, step, position, target, depth)
    return [
        html.H3("In Python"),
        html.Pre(lines, tabIndex=0, **extra({"aria-label": "Python that reads this number"})),
        cards.copy_button(lines, "Copy as Python"),
    ]


def _layer(view: View, data: xr.Dataset | None) -> str:
    names = depths_of(data) if data is not None else []
    return choose(view.selection.layer, names, names[-1]) if names else ""


def _number(cell: xr.Dataset) -> Component:
    low, high = _read(cell, "ci_low"), _read(cell, "ci_high")
    interval = (
        f"95 %: {100 * low:.1f}–{100 * high:.1f}" if low is not None and high is not None else "no interval"
    )
    return html.P([f"{100 * float(cell['accuracy']):.1f} %", html.Small(interval)], className="big")


def _read(cell: xr.Dataset, name: str) -> float | None:
    value = float(cell[name]) if name in cell else float("nan")
    return None if np.isnan(value) else value


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _json(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _show(value: Any) -> str | None:
    return f"{value:g}" if isinstance(value, float) else (None if value is None else str(value))
