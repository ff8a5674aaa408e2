"""Attention in pictures: shares by role, what cutting a role costs, interchange, and one entity's pattern."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.attention.pooling import mean_over_positions, pool_cells, stated
from workbench.errors import WorkbenchError
from workbench.figures.cells import format_percent, format_points
from workbench.figures.labelled import (
    ROW_PIXELS,
    at_step,
    in_words,
    label_heatmap,
    lost_axis,
    make_heatmap,
    shares_axis,
)
from workbench.figures.theme import COLOURS, apply_theme
from workbench.results.statistics import Z_95


def plot_role_shares(
    result: xr.Dataset, *, position: int | None = None, step: int | None = None
) -> go.Figure:
    """A panel a role, blocks (rows, the deepest on top) × heads, on one fixed 0–1 scale.

    position: one of the six, or their mean. The panel's title says what a head that looks everywhere alike gives.
    """
    cells = at_step(result, step)
    share, even = (
        mean_over_positions(cells, name) if position is None else cells[name].sel(position=position)
        for name in ("group_share", "group_uniform")
    )
    groups = [g for g in cells["group"].values.tolist() if float(share.sel(group=g).max()) > 0]
    columns = min(4, len(groups))
    titles = [f"{in_words(g)}  <i>(even {100 * float(even.sel(group=g)):.0f} %)</i>" for g in groups]
    rows = -(-len(groups) // columns)
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, shared_yaxes=True)
    for number, group in enumerate(groups):
        z = share.sel(group=group).transpose("block", "head").values
        hover = [
            [f"head {b}.{h}<br>{in_words(group)} {100 * v:.1f} %" for h, v in enumerate(row)]
            for b, row in enumerate(z)
        ]
        place = {"row": number // columns + 1, "col": number % columns + 1}
        figure.add_trace(make_heatmap(z, hover, [[format_percent(v) for v in row] for row in z]), **place)
        figure.update_xaxes(tickvals=list(range(z.shape[1])), title={"text": "head"}, showgrid=False, **place)
        figure.update_yaxes(tickvals=list(range(z.shape[0])), showgrid=False, **place)
    figure.update_yaxes(title={"text": "block"}, col=1)
    figure.update_layout(coloraxis=shares_axis(), height=rows * (cells.sizes["block"] * ROW_PIXELS + 110))
    return apply_theme(figure)


def plot_knockout(
    result: xr.Dataset, *, window: str = "all", variable: str = "loss", step: int | None = None
) -> go.Figure:
    """Roles × attributes: points of probability (`loss`) lost, or `accuracy` left, once the look at a role is cut."""
    cells = stated(at_step(result, step))
    if window not in cells["window"].values:
        raise WorkbenchError(f"There is no window {window!r}; there are {', '.join(cells['window'].values)}.")
    values = pool_cells(cells, variable, "position").sel(window=window)
    number = cells["n"].sum("position").sel(window=window)
    control = pool_cells(cells, "loss_control", "position").sel(window=window)
    roles = [role for role in cells["role"].values.tolist() if bool(values.sel(role=role).notnull().any())]
    attributes = cells["attribute"].values.tolist()
    z = values.sel(role=roles).transpose("role", "attribute").values
    hover = [
        [
            f"cut {in_words(role)}, {in_words(a)}<br>"
            f"{variable} {100 * float(values.sel(role=role, attribute=a)):.1f}<br>"
            f"as many random tokens: loss {100 * float(control.sel(role=role, attribute=a)):.1f}<br>"
            f"n = {int(number.sel(role=role, attribute=a))}"
            for a in attributes
        ]
        for role in roles
    ]
    signed = variable.startswith("loss")
    words = [[(format_points if signed else format_percent)(v) for v in row] for row in z]
    figure = go.Figure(make_heatmap(z, hover, words))
    axis = lost_axis() if signed else shares_axis()
    return label_heatmap(figure, attributes, roles, axis, downwards=True)


def plot_ablation(
    result: xr.Dataset, *, mode: str = "mean", variable: str = "loss", step: int | None = None
) -> go.Figure:
    """Blocks (the deepest on top) × heads and the feed-forward part: points of probability (`loss`) lost, or `accuracy`
    left, without it. mode: `mean` or `zero`, what stands in its place.
    """
    cells = at_step(result, step)
    if mode not in cells["mode"].values:
        raise WorkbenchError(f"There is no mode {mode!r}; there are {', '.join(cells['mode'].values)}.")
    values = cells[f"pooled_{variable}"].sel(mode=mode)
    places = [name.split(".") for name in cells["part"].values.tolist()]
    blocks = list(dict.fromkeys(block for block, _ in places))
    columns = list(dict.fromkeys(part for _, part in places))
    z = np.full((len(blocks), len(columns)), np.nan)
    for (block, part), value in zip(places, values.values, strict=True):
        z[blocks.index(block), columns.index(part)] = value
    signed = variable == "loss"
    said = "points of probability lost" if signed else "accuracy in %"
    hover = [
        [
            f"{block}.{part} replaced by its {mode}<br>{said} {100 * z[i, j]:.1f}"
            for j, part in enumerate(columns)
        ]
        for i, block in enumerate(blocks)
    ]
    words = [[(format_points if signed else format_percent)(value) for value in row] for row in z]
    figure = go.Figure(make_heatmap(z, hover, words))
    axis = lost_axis() if signed else shares_axis()
    label_heatmap(figure, columns, blocks, axis, y_title="block")
    figure.update_xaxes(title={"text": "head, or the feed-forward part (mlp)"})
    return figure


def plot_interchange(result: xr.Dataset, *, variable: str = "accuracy", step: int | None = None) -> go.Figure:
    """Layers (the deepest on top) × roles: how often the model states the other entity's value."""
    cells = at_step(result, step)
    number = cells["n"].sum(("position", "attribute"))
    cells = cells.sel(role=number.sum("layer") > 0)  # a question has no pronoun, say
    values, refused = pool_cells(cells, variable), cells["refused"].values
    roles, layers = cells["role"].values.tolist(), cells["layer"].values.tolist()
    z = values.transpose("layer", "role").values
    hover = [
        [
            f"layer {layer}, {in_words(role)}<br>states the other's value {100 * z[i, j]:.1f} %<br>"
            f"n = {int(number.sel(layer=layer, role=role))}, refused {100 * refused[j]:.0f} %"
            for j, role in enumerate(roles)
        ]
        for i, layer in enumerate(layers)
    ]
    figure = go.Figure(make_heatmap(z, hover, [[format_percent(v) for v in row] for row in z]))
    return label_heatmap(figure, roles, layers, shares_axis(), y_title="layer")


def plot_steering(
    result: xr.Dataset,
    *,
    place: str = "position",
    direction: str = "probe",
    strength: float | None = None,
    variable: str = "accuracy",
    step: int | None = None,
) -> go.Figure:
    """Layers (the deepest on top) × attributes: how often the statement follows a push towards another value.

    strength: length of the push in lengths of the residual; default: the longest.
    """
    cells = stated(at_step(result, step))
    longest = float(cells["strength"].values[-1])
    wanted = {"place": place, "direction": direction, "strength": longest if strength is None else strength}
    for name, value in wanted.items():
        known = cells[name].values.tolist()
        if value not in known:
            raise WorkbenchError(f"There is no {name} {value!r}; there are {', '.join(map(str, known))}.")
    shown = cells.sel(wanted)
    random = cells["accuracy"].sel({**wanted, "direction": "random"})
    kept = [layer for layer in shown["layer"].values.tolist() if float(shown["n"].sel(layer=layer).sum()) > 0]
    attributes = cells["attribute"].values.tolist()
    z = shown[variable].sel(layer=kept).transpose("layer", "attribute").values
    hover = [
        [
            f"layer {layer}, {in_words(a)}<br>{in_words(variable)} {100 * z[i, j]:.1f} %<br>"
            f"a random push as long: {100 * float(random.sel(layer=layer, attribute=a)):.1f} %<br>"
            f"the probe's accuracy: {100 * float(shown['probe_accuracy'].sel(layer=layer, attribute=a)):.0f} %<br>"
            f"n = {int(shown['n'].sel(layer=layer, attribute=a))}"
            for j, a in enumerate(attributes)
        ]
        for i, layer in enumerate(kept)
    ]
    figure = go.Figure(make_heatmap(z, hover, [[format_percent(v) for v in row] for row in z]))
    return label_heatmap(figure, attributes, kept, shares_axis(), y_title="layer")


def plot_head_sets(
    result: xr.Dataset, *, variable: str = "ablated_loss", step: int | None = None
) -> go.Figure:
    """What the top heads of each score are worth together (bars), and the range of as many random heads (band).

    variable: `ablated_loss` (outputs replaced by their means) or `cut_loss` (their look at the name cut).
    """
    cells = at_step(result, step)
    names = cells["head_set"].values.tolist()
    loss, error = cells[f"pooled_{variable}"], Z_95 * cells[f"pooled_{variable}_se"]
    top = [name for name in names if not name.startswith("random")]
    random = loss.sel(head_set=[name for name in names if name not in top]).values
    heads = [str(cells["set_heads"].sel(head_set=name).values) for name in top]
    figure = go.Figure(
        go.Bar(
            x=[in_words(name) for name in top],
            y=loss.sel(head_set=top).values,
            error_y={"type": "data", "array": error.sel(head_set=top).values},
            customdata=heads,
            hovertemplate="top %{x}: heads %{customdata}<br>loss %{y:.2f}<extra></extra>",
            marker={"color": COLOURS[0]},
        )
    )
    figure.add_hrect(
        y0=random.min(), y1=random.max(), fillcolor=COLOURS[1], opacity=0.4, line_width=0, layer="below"
    )
    words = f"band: as many random heads, {len(random)} draws"
    figure.add_annotation(
        x=1, xref="paper", y=1.02, yref="paper", text=words, showarrow=False, yanchor="bottom"
    )
    figure.update_yaxes(title={"text": "loss of probability"})
    figure.update_layout(height=360)
    return apply_theme(figure)


def plot_lens(result: xr.Dataset, *, variable: str = "accuracy", step: int | None = None) -> go.Figure:
    """Layers (the deepest on top) × attributes: top-1 share (or `probability`) of the value's first token."""
    values = pool_cells(stated(at_step(result, step)), variable, "position").transpose("layer", "attribute")
    attributes, layers = values["attribute"].values.tolist(), values["layer"].values.tolist()
    z = values.values
    hover = [
        [
            f"layer {layer}, {in_words(a)}<br>{variable} {100 * z[i, j]:.1f} %"
            for j, a in enumerate(attributes)
        ]
        for i, layer in enumerate(layers)
    ]
    figure = go.Figure(make_heatmap(z, hover, [[format_percent(v) for v in row] for row in z]))
    return label_heatmap(figure, attributes, layers, shares_axis(), y_title="layer")


def plot_pattern(view: xr.Dataset, *, block: int, head: int) -> go.Figure:
    """One head's pattern on one entry, tokens × tokens; the rows of positions are marked on the axis."""
    for name, value in (("block", block), ("head", head)):
        if value not in view[name].values:
            raise WorkbenchError(f"There is no {name} {value}; there are 0 to {view.sizes[name] - 1}.")
    z = view["pattern"].sel(block=block, head=head).values
    tokens, roles = view["token"].values.tolist(), view["token_role"].values.tolist()
    z = np.where(np.tril(np.ones_like(z)) > 0, z, np.nan)
    hover = [
        [f"{q} looks at {k} ({in_words(roles[j])})<br>{100 * z[i, j]:.1f} %" for j, k in enumerate(tokens)]
        for i, q in enumerate(tokens)
    ]
    figure = go.Figure(make_heatmap(z, hover, None))
    marked = set(view.attrs["positions"])
    rows = [f"<b>{token} ▸</b>" if i in marked else token for i, token in enumerate(tokens)]
    label_heatmap(figure, tokens, rows, shares_axis(), downwards=True, pixels=16)
    figure.update_xaxes(tickangle=-90)
    return figure
