"""What the bare name gives away: targets × runs."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.cells import chance_words, describe_targets, format_percent, target_label
from workbench.figures.labelled import make_heatmap
from workbench.figures.theme import apply_theme, small_print

ROW_PIXELS = 30


def plot_columns(cells: Mapping[str, xr.Dataset], metric: str) -> go.Figure:
    """Targets × runs: one column a run. cells: name → dims (target), with the same targets."""
    targets = [str(target) for target in next(iter(cells.values()))["target"].values.tolist()]
    z = np.array([[float(cell[metric].sel(target=target)) for cell in cells.values()] for target in targets])
    hover = zip(
        *[describe_targets(cell.sel(target=targets), name) for name, cell in cells.items()], strict=True
    )
    figure = go.Figure(
        make_heatmap(
            z,
            [list(row) for row in hover],
            [[format_percent(value) for value in row] for row in z],
            gap=2,
            textfont={"size": 13},
        )
    )
    chance = chance_words(next(iter(cells.values())))
    figure.update_xaxes(
        tickvals=list(range(len(cells))),
        ticktext=[shorten(name) for name in cells],
        showgrid=False,
        fixedrange=True,
        side="top",
    )
    figure.update_yaxes(
        tickvals=list(range(len(targets))),
        ticktext=[
            f"{target_label(target)}  {small_print(f'(chance {chance[target]})')}" for target in targets
        ],
        range=[len(targets) - 0.5, -0.5],
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        coloraxis={"cmin": 0, "cmax": 1, "autocolorscale": True, "showscale": False},
        height=ROW_PIXELS * len(targets) + 60,
        margin={"t": 6, "b": 6, "l": 6, "r": 6},
    )
    return apply_theme(figure)


def shorten(name: str, most: int = 18) -> str:
    """A name of at most `most` letters, cut in its middle: runs of several seeds differ at their end.

    >>> shorten("multi5+permute-seed1")
    'multi5+pe…te-seed1'
    """
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"
