"""The detail of a cell of several runs shown as one: each run's own number, and the Python that takes the mean."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from dash import html

from workbench_app import cards
from workbench_app.folding import FoldedEntry
from workbench_app.provenance import python_parts
from workbench_app.view import Component, View

DIGITS = 8  # of a digest


def folded_runs(
    view: View, entry: FoldedEntry, set_name: str, step: int, position: int, target: str
) -> list[Component]:
    """A line a run: its accuracy with its own interval, its seed, and the weights it was measured on."""
    rows = []
    for one in entry.members:
        data, loaded = view.cells(one, set_name)
        if data is None:
            continue
        cell = data.sel(checkpoint=step, position=position, target=target)
        low, high = (float(cell[end]) if end in cell else np.nan for end in ("ci_low", "ci_high"))
        share = float(cell["accuracy"])
        ends = "" if np.isnan(low) else f" ({100 * low:.1f}–{100 * high:.1f})"
        digest = loaded.attrs.get(step, {}).get("weights_digest", "")
        rows.append(
            html.Tr(
                [
                    html.Th(one.id, scope="row"),
                    html.Td(
                        "no value" if np.isnan(share) else f"{100 * share:.1f} %{ends}",
                        style={"whiteSpace": "nowrap"},
                    ),
                    html.Td(str(one.recipe.seed) if one.recipe else "–"),
                    html.Td(html.Code(digest[:DIGITS], title=digest)),
                ]
            )
        )
    head = [html.Th(word, scope="col") for word in ("run", "accuracy (95 %)", "seed", "weights")]
    table = html.Table([html.Thead(html.Tr(head)), html.Tbody(rows)])
    words = f"{entry.words[0].upper()}{entry.words[1:]}. The interval above is Student's t over the runs."
    return [html.H3("Each run"), html.P(words, className="sub"), cards.scrolled(table)]


def folded_python(entry: FoldedEntry, set_name: str, where: Mapping[str, Any]) -> list[Component]:
    """Python that takes the mean over the runs and its interval from the stored results."""
    kind, _, name = set_name.partition("-")
    family, _, variant = name.partition("+")
    asked = ", ".join(repr(word) for word in (kind, family, *([variant] if variant else [])))
    paths = ", ".join(repr(str(one.path)) for one in entry.members)
    return python_parts(
        "from workbench.figures.cells import select_cells",
        "from workbench.probing.pooling import pool_results",
        "from workbench.results.storing import load_results",
        "",
        f"runs = [{paths}]",
        f"results = [load_results(run, {asked}) for run in runs]",
        "pooled = pool_results(results, runs, range(len(runs)))",
        f"pooled = pooled.sel({', '.join(f'{name}={[value]!r}' for name, value in where.items())})",
        "cell = select_cells(pooled).squeeze()",
        'print(float(cell["accuracy"]), float(cell["ci_low"]), float(cell["ci_high"]))',
    )
