"""The detail of one cell: its number, what it is worth, how it came about, what made it, how to get it in Python."""

import numpy as np
import xarray as xr
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench.figures.cells import WHY_EMPTY, format_points, target_label
from workbench.figures.sets import spell_set
from workbench.probing.pooling import POOLED
from workbench.results.provenance import facts_of
from workbench.results.statistics import difference_interval
from workbench_app import cards
from workbench_app.attention_detail import render_analysis
from workbench_app.comparison import compare_cell
from workbench_app.confusions import confusion_parts
from workbench_app.controls import set_label
from workbench_app.figures.curves import plot_cell_over_training
from workbench_app.folded_detail import folded_python, folded_runs
from workbench_app.folding import FoldedEntry, find_entry
from workbench_app.gain_detail import GAIN, render_gain
from workbench_app.index import RunEntry
from workbench_app.missing import probe_command
from workbench_app.pattern_detail import render_pattern
from workbench_app.provenance import in_python, provenance
from workbench_app.selection import choose, parse_cell
from workbench_app.slices import at_step, depth_dim, depths_of
from workbench_app.view import Component, View

KINDS = {"q-probe": "q", "sets": "seen"}  # of results, by page; the other pages show P-probes


def render(view: View, text: str) -> list[Component]:
    """What the drawer holds for a `run:position:target`; a cell that is not there is refused with the reason.

    On the Sets page the middle is the number of the set; on the Attention page it is the row, and the end the column,
    and so it is for what a value hangs on (`gain/…`, Sets) and for a pattern (Entity).
    """
    parsed = parse_cell(text)
    if parsed is None:
        raise WorkbenchError(f"{text[:80]!r} names no cell; it is written run:position:target.")
    run_id, position, target = parsed
    entry = find_entry(run_id, view.entries, view.runs)
    if entry is None:
        raise WorkbenchError(f"There is no run {run_id[:60]!r} here (any more).")
    if view.selection.page == "attention":
        return render_analysis(view, entry, position, target)
    if view.selection.page == "entity":
        return render_pattern(view, entry, position, target)
    kind = KINDS.get(view.selection.page, "p")
    set_name = choose(view.selection.set, entry.sets_of(kind))
    if kind == "seen" and target.startswith(GAIN):
        return render_gain(view, entry, set_name, position, target.removeprefix(GAIN))
    return _render_probed(view, entry, kind, set_name, position, target)


def _render_probed(
    view: View, entry: RunEntry, kind: str, set_name: str, position: int, target: str
) -> list[Component]:
    """A probe's cell."""
    data, loaded = view.cells(entry, set_name) if set_name else (None, None)
    if data is None or loaded is None or loaded.data is None:
        raise WorkbenchError(f"{entry.id} has no {kind.upper()}-probe result that can be read.")
    if target not in data["target"].values or position not in data["position"].values:
        raise WorkbenchError(f"{entry.id} has no cell at position {position} of {target[:60]!r}.")
    step = view.shown(data["checkpoint"].values.tolist())
    cell = at_step(data, step).sel(position=position, target=target)
    layer = _layer(view, loaded.data)
    where = {"checkpoint": step, **_place_of(loaded.data, position), "target": target}
    if depth := depth_dim(loaded.data):
        where[depth] = loaded.data[depth].values.tolist()[depths_of(loaded.data).index(layer)]
    head = [
        html.H3(
            f"{target_label(target)}, {_spell(loaded.data, kind, position)}",
            style={"fontSize": "1.05rem", "margin": "10px 0 2px"},
        ),
        html.P(
            f"{entry.title} · {set_label(set_name)}{f' · layer {layer}' if layer else ''} · step {step:,}",
            className="sub",
        ),
    ]
    if np.isnan(float(cell["accuracy"])):
        return [*head, cards.empty(WHY_EMPTY[0].upper() + WHY_EMPTY[1:] + ".")]
    if isinstance(entry, FoldedEntry):
        parts = folded_runs(view, entry, set_name, step, position, target)
        made = folded_python(entry, set_name, where)
    else:
        parts = confusion_parts(view, entry, set_name, where)
        made = [
            html.H3("Made by"),
            cards.facts(provenance(loaded.attrs.get(step, {}))),
            *in_python(entry, set_name, where, 'float(cell["accuracy"].mean()), int(cell["n"].max())'),
        ]
    numbers = [
        *_against(view, entry, set_name, position, target, cell),
        *worth(cell, loaded.data.sizes.get("seed", 1), "test entities" if kind == "q" else "test texts"),
    ]
    return [
        *head,
        _number(cell),
        cards.faults(["The checkpoint has been retrained since; probe it again."], "Out of date")
        if step in loaded.stale
        else None,
        cards.facts(numbers),
        *parts,
        html.H3("Over training"),
        _over_training(view, entry, set_name, data.sel(position=position, target=target), step),
        *made,
    ]


def _over_training(view: View, entry: RunEntry, set_name: str, course: xr.Dataset, step: int) -> Component:
    """The cell at every checkpoint, as a curve."""
    if course.sizes["checkpoint"] == 1:
        return cards.empty("Only this checkpoint has been probed.", *probe_command(entry, set_name))
    curve = view.themed(plot_cell_over_training({entry.id: course}, step))
    return dcc.Graph(figure=curve, config=cards.GRAPH_CONFIG, responsive=True, style={"height": "230px"})


def _against(
    view: View, entry: RunEntry, set_name: str, position: int, target: str, cell: xr.Dataset
) -> list[tuple[str, str]]:
    """What the page lays the cell against, and the difference."""
    found = compare_cell(view, entry, set_name, position, target)
    if found is None:
        return []
    if np.isnan(found.accuracy):
        return [(found.name, "no value")]
    accuracy = float(cell["accuracy"])
    difference = _points(accuracy - found.accuracy)
    ends = [_read(cell, name) for name in ("ci_low", "ci_high")]
    if None not in ends and not np.isnan(found.low):
        own = (accuracy, *[end for end in ends if end is not None])
        low, high = difference_interval(own, (found.accuracy, found.low, found.high))  # type: ignore[arg-type]
        difference += f" (95 %: {_points(float(low))[:-7]} to {_points(float(high))[:-7]})"
    return [(found.name, f"{100 * found.accuracy:.1f} %"), ("difference to it", difference)]


def worth(cell: xr.Dataset, seeds: int = 1, counted: str = "test texts") -> list[tuple[str, str | None]]:
    """The cell's other numbers in words; None for what the result does not have. counted: what n counts."""
    accuracy = float(cell["accuracy"])
    chance = _read(cell, "chance")
    converged = _read(cell, "converged")
    control = _read(cell, "control")
    low, high = _percent(_read(cell, "lowest")), _percent(_read(cell, "highest"))
    averaged = int(_read(cell, "averaged") or seeds)  # of several runs some may have no value here
    of_all = str(seeds) if averaged == seeds else f"{averaged} of {seeds}"
    return [
        ("chance (commonest class)", _percent(chance)),
        ("above chance", None if chance is None else _points(accuracy - chance)),
        ("where it is not the next value", _percent(_read(cell, "accuracy_not_next"))),
        ("shuffled labels (control)", _percent(control)),
        ("selectivity", None if control is None else _points(accuracy - control)),
        ("right among the top 5", _percent(_read(cell, "top5"))),
        ("macro F1", _percent(_read(cell, "macro_f1"))),
        ("train entities", _percent(_read(cell, "train_accuracy"))),
        (counted, f"{int(float(cell['n'])):,}"),
        (
            str(cell.attrs.get(POOLED, "seeds")),
            f"{of_all}, {low} to {high}" if seeds > 1 and low and high else None,
        ),
        ("converged", None if converged is None else ("yes" if converged >= 1 else "no")),
    ]


def _place_of(data: xr.Dataset, position: int) -> dict[str, int | str]:
    """What selects the position, or the set of attributes said, in the stored result."""
    if "seen" in data.dims:
        return {"seen": str(data["seen"].values[position])}
    return {"position": position} if "position" in data.dims else {}


def _spell(data: xr.Dataset, kind: str, position: int) -> str:
    if "seen" in data.dims:
        return f"after: {spell_set(str(data['seen'].values[position]), facts_of(data))}"
    if kind == "q":
        return "from the name alone"
    if "place" in data.coords:  # a study's name of it
        return str(data["place"].values[data["position"].values.tolist().index(position)])
    return f"position {position}"


def _layer(view: View, data: xr.Dataset) -> str:
    names = depths_of(data)
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


def _points(difference: float) -> str:
    return f"{format_points(difference, 1)} points"
