"""P-probe accuracy by the set of attributes already said (paper, Figure 6): what a value hangs on."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.figures.cells import (
    attribute_label,
    chance_words,
    describe_cells,
    format_percent,
    format_points,
    select_cells,
    target_label,
)
from workbench.figures.hatch import add_hatch, make_hatch
from workbench.figures.labelled import lost_axis, make_heatmap
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.theme import COLOURS, apply_theme, small_print
from workbench.results.provenance import facts_of

ROW_PIXELS = 30
DOT_PIXELS = 17
WHY_NO_GAIN = "empty: it is the value itself, or there is nothing before or after to compare"
TEXT_UP_TO = 24  # so many sets have room for digits in their cells


def plot_seen_sets(results: xr.Dataset, *, form: str = "whole", step: int | None = None) -> go.Figure:
    """Every set of attributes already said is a column: which they are (dots, below), and what is then read (above).

    results: of `workbench probe RUN --kind seen`. Instead of circles that overlap, which six attributes cannot, the
    sets stand side by side (an UpSet plot). Rows are targets with chance on their label, fixed 0–1 scale;
    hatched where the attribute itself has been said or the set does not occur. In `couple` entries compare the columns
    with and without the partner.
    """
    cells, schema = select_cells(results, step, dims=("seen", "target")), facts_of(results)
    targets = targets_of_form(cells, form)
    sets = [str(name) for name in cells["seen"].values.tolist()]
    z = np.asarray(cells["accuracy"].sel(target=targets).transpose("target", "seen").values, float)
    hover = describe_cells(
        cells.sel(target=targets),
        ("target", "seen"),
        lambda t, s: f"{target_label(t)}, after: {spell_set(s, schema)}",
    ).tolist()
    chance = chance_words(cells)  # a set that few texts have is tested on other entities
    heights = [len(targets) * ROW_PIXELS, len(schema) * DOT_PIXELS]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.03)
    figure.add_trace(
        make_heatmap(
            z,
            hover,
            [[format_percent(value) for value in row] for row in z],
            texttemplate="%{text}" if len(sets) <= TEXT_UP_TO else "",
            customdata=[[[seen, target] for seen in sets] for target in targets],
            ygap=2,
        ),
        row=1,
        col=1,
    )
    empty = np.nonzero(np.isnan(z))
    if len(empty[0]):
        words = [hover[row][column] for row, column in zip(*empty, strict=True)]
        figure.add_trace(make_hatch(empty[0], empty[1], words), row=1, col=1)
    _add_members(figure, schema, sets)
    labels = [f"{target_label(t)}  {small_print(f'(chance {chance[t]})')}" for t in targets]
    figure.update_yaxes(
        tickvals=list(range(len(targets))), ticktext=labels, autorange="reversed", row=1, col=1
    )
    figure.update_xaxes(showticklabels=False, showgrid=False, range=[-0.5, len(sets) - 0.5], fixedrange=True)
    figure.update_yaxes(showgrid=False, fixedrange=True)
    figure.update_layout(
        height=sum(heights) + 60,
        margin={"t": 12, "b": 12},
        barmode="overlay",
        coloraxis={
            "cmin": 0,
            "cmax": 1,
            "autocolorscale": True,
            "colorbar": {"tickformat": ".0%", "len": 0.6, "y": 0.7},
        },
    )
    return apply_theme(figure)


def _add_members(figure: go.Figure, schema: Schema, sets: list[str]) -> None:
    """Which attributes each set holds, as dots: one row an attribute, one column a set."""
    member = np.array([[letter in seen.split(",") for seen in sets] for letter in schema.letters.values()])
    for said, colour in ((False, "rgba(128,134,145,.22)"), (True, COLOURS[0])):
        rows, columns = np.nonzero(member == said)
        figure.add_trace(
            go.Scatter(
                x=columns.tolist(),
                y=rows.tolist(),
                mode="markers",
                marker={"color": colour, "size": 8 if len(sets) > TEXT_UP_TO else 10},
                hoverinfo="skip",
                showlegend=False,
            ),
            row=2,
            col=1,
        )
    figure.update_yaxes(
        tickvals=list(range(len(schema))),
        ticktext=[f"{label} said" for label in schema.labels.values()],
        range=[len(schema) - 0.5, -0.5],
        row=2,
        col=1,
    )


def plot_seen_partners(results: xr.Dataset, *, form: str = "whole", step: int | None = None) -> go.Figure:
    """What each value hangs on: its accuracy after an attribute has been said, minus before, in points.

    Rows are targets, columns the attribute said. A value stored with the name has a row of zeros; one stored with
    its partner in `couple` entries stands out in that column. Blue: read better after it. Hatched: nothing to compare.
    """
    gain = partner_gain(results, form=form, step=step)
    targets, said = gain["target"].values.tolist(), gain["said"].values.tolist()
    z = gain.transpose("target", "said").values
    figure = go.Figure(
        make_heatmap(
            z,
            [
                [describe_gain(t, a, value) for a, value in zip(said, row, strict=True)]
                for t, row in zip(targets, z, strict=True)
            ],
            [[format_points(value) for value in row] for row in z],
            gap=2,
        )
    )
    add_hatch(figure, WHY_NO_GAIN)
    figure.update_xaxes(
        tickvals=list(range(len(said))),
        ticktext=[f"{attribute_label(a)}<br>said" for a in said],
        showgrid=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(targets))),
        ticktext=[target_label(t) for t in targets],
        range=[len(targets) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(
        height=len(targets) * 34 + 110,
        margin={"t": 10},
        coloraxis=lost_axis(),
    )
    return apply_theme(figure)


def describe_gain(target: str, said: str, gain: float) -> str:
    """What a cell of `plot_seen_partners` says under the mouse."""
    head = f"<b>{target_label(target)}, after {attribute_label(said)}</b><br>"
    if np.isnan(gain):
        return head + WHY_NO_GAIN
    return f"{head}gain {format_points(gain, 1)} points"


def partner_gain(results: xr.Dataset, *, form: str = "whole", step: int | None = None) -> xr.DataArray:
    """Accuracy (target) where an attribute (`said`) has been said minus where it has not, over all sets, by examples.

    NaN where there is no example on one side, as in entries of a fixed order.
    """
    return compare_sides(select_seen(results, form, step))["gain"]


def select_seen(results: xr.Dataset, form: str, step: int | None = None) -> xr.Dataset:
    """The cells (seen, target) of a form, or the refusal of a result that does not tell the sets apart."""
    if "seen" not in results.dims:
        raise WorkbenchError(
            "This figure needs accuracies by the set of attributes said; "
            "make them with `workbench probe RUN --kind seen`."
        )
    cells = select_cells(results, step, dims=("seen", "target"))
    return cells.sel(target=targets_of_form(cells, form))


def compare_sides(cells: xr.Dataset) -> xr.Dataset:
    """`after` and `before` each attribute (`said`) has been said, their `n_…`, and the `gain`, over all sets.

    cells: dimensions seen, target and any others, which are kept.
    """
    schema = facts_of(cells)
    letters = [str(seen).split(",") for seen in cells["seen"].values]
    member = xr.DataArray(
        [[float(letter in seen) for letter in schema.letters.values()] for seen in letters],
        dims=("seen", "said"),
        coords={"seen": cells["seen"], "said": list(schema.keys)},
    )
    n = cells["n"].astype(float)
    right = cells["accuracy"].fillna(0) * n
    sides: dict[str, xr.DataArray] = {}
    for name, side in (("after", member), ("before", 1 - member)):
        count = xr.dot(n, side, dim="seen")
        sides |= {name: xr.dot(right, side, dim="seen") / count.where(count > 0), f"n_{name}": count}
    own = xr.DataArray(
        [[str(t).partition("/")[0] == a for t in cells["target"].values] for a in schema.keys],
        dims=("said", "target"),
    )
    gain = (sides["after"] - sides["before"]).where(~own)
    order = [name for name in gain.dims if name not in ("said", "target")]
    return xr.Dataset({**sides, "gain": gain}).transpose(*order, "said", "target")


def spell_set(seen: str, schema: Schema) -> str:
    """`d,b` → `birth date, birth city`."""
    names = {letter: schema.labels[key] for key, letter in schema.letters.items()}
    return ", ".join(names.get(letter, letter) for letter in seen.split(","))
