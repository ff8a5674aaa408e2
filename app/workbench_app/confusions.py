"""What a probe says instead: the stored answers about entities of the largest classes, read when a cell is opened."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench.results.storing import CONFUSION_DIMS, SUFFIX
from workbench.studies.checkpoints import checkpoint_name
from workbench_app import cards
from workbench_app.figures.confusion import plot_confusion
from workbench_app.index import RunEntry
from workbench_app.result_files import read_result
from workbench_app.view import Component, View

MOST_TOLD = 3


def confusion_parts(view: View, entry: RunEntry, set_name: str, where: Mapping[str, Any]) -> list[Component]:
    """The confusion of a cell's largest classes and the commonest mistakes; nothing where none was stored."""
    found = read_confusion(entry, set_name, where)
    if found is None:
        return []
    counts, names = found
    figure = view.themed(plot_confusion(counts, names))
    label = f"Confusion of the {len(names)} largest classes. {mistakes(counts, names)}"
    return [
        html.H3("Said for the largest classes"),
        html.Div(
            dcc.Graph(
                figure=figure,
                config=cards.GRAPH_CONFIG,
                responsive=True,
                style={"height": f"{figure.layout.height}px"},
            ),
            role="img",
            **cards.extra({"aria-label": label}),
        ),
        html.P(mistakes(counts, names), className="sub"),
    ]


def read_confusion(
    entry: RunEntry, set_name: str, where: Mapping[str, Any]
) -> tuple[np.ndarray, list[str]] | None:
    """Counts [V, V + 1] (true value, said value, the last any other) and the V values; seeds are added up."""
    file = entry.path / "results" / set_name / f"{checkpoint_name(where['checkpoint'])}{SUFFIX}"
    try:
        result = read_result(file)
    except (WorkbenchError, OSError):
        return None
    if "confusion" not in result:
        return None
    counts = result["confusion"]
    counts = counts.sel({name: value for name, value in where.items() if name in counts.dims})
    rest = [name for name in counts.dims if name not in CONFUSION_DIMS]
    counts_VS = counts.sum(rest).transpose(*CONFUSION_DIMS).values.astype(np.int64)
    names = [str(name) for name in result["confusion_values"].sel(target=where["target"]).values.tolist()]
    kept = [v for v, name in enumerate(names) if name and counts_VS[v].sum()]
    if not kept:
        return None
    last = counts_VS.shape[1] - 1
    said = counts_VS[kept]
    others = said[:, [v for v in range(last) if v not in kept]].sum(axis=1) + said[:, last]
    return np.column_stack([said[:, kept], others]), [names[v] for v in kept]


def mistakes(counts: np.ndarray, names: list[str]) -> str:
    """The commonest mistakes among the largest classes in words."""
    wrong = counts[:, : len(names)].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_TOLD]
    told = [(v, s) for v, s in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[v, s]]
    if not told:
        return "None of them is taken for another of them."
    words = [f"{names[s]} for {names[v]} ({wrong[v, s]:,} of {counts[v].sum():,})" for v, s in told]
    return f"Most often: {', '.join(words)}."
