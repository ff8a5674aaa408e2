"""The project's central picture, position × target: what hidden states tell before it is said."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.figures.cells import (
    at_places_of,
    chance_words,
    describe_cells,
    format_percent,
    format_points,
    name_results,
    place_names,
    seeds_label,
    select_cells,
    target_label,
)
from workbench.figures.hatch import make_hatch
from workbench.figures.labelled import lost_axis, make_heatmap
from workbench.figures.theme import apply_theme, small_print
from workbench.results.statistics import difference_interval

ROW_PIXELS = 34


def plot_probe_heatmap(
    results: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, xr.Dataset],
    *,
    variable: str = "accuracy",
    step: int | None = None,
    colour_bar: bool = True,
    titles: bool = True,
) -> go.Figure:
    """P-probe heatmaps of one or several runs, side by side on one fixed 0–1 scale.

    Rows are targets with chance on their label, columns positions 0, 1, …, cells whole percent. Hatched cells
    are empty. `variable="accuracy_not_next"` leaves out entries in which the attribute is the very next
    value. A heatmap trace's z is [targets, positions], its customdata (position, target) for pages that link.
    """
    panels = {name: select_cells(result, step) for name, result in name_results(results).items()}
    targets = share_targets(panels)
    panels = {name: cells.sel(target=targets) for name, cells in panels.items()}
    chances = [[f"(chance {words})" for words in chance_words(c).values()] for c in panels.values()]
    one_chance = all(chance == chances[0] for chance in chances)
    named = [name + seeds_label(cells) for name, cells in panels.items()]
    figure = _make_panels(named if titles else [], len(panels), 0.06 if one_chance else 0.36)
    for column, (cells, chance) in enumerate(zip(panels.values(), chances, strict=True), 1):
        words = [small_print(text) for text in chance]
        if column == 1:
            words = [f"{target_label(target)}  {word}" for target, word in zip(targets, words, strict=True)]
        elif one_chance:
            words = [""] * len(targets)
        _add_panel(figure, cells, variable, words, column)
    figure.update_layout(
        coloraxis={
            "cmin": 0,
            "cmax": 1,
            "autocolorscale": True,
            "showscale": colour_bar,
            "colorbar": {"tickformat": ".0%", "len": 0.9, "title": {"text": ""}},
        }
    )
    return _finish(figure, len(targets), titled=titles)


def plot_difference(
    ours: xr.Dataset,
    theirs: xr.Dataset,
    *,
    variable: str = "accuracy",
    names: tuple[str, str] = ("ours", "theirs"),
) -> go.Figure:
    """Ours minus theirs in percentage points, on a diverging −100…100 scale; blue where ours reads more.

    `theirs` may be another run or `paper_p_probe(...)`. Cells empty in either are empty here. Accuracies that both have
    intervals get the difference's (`difference_interval`); a difference whose interval holds 0 stands in brackets.
    """
    ours, theirs = select_cells(ours), select_cells(theirs)
    targets, theirs = share_targets({"ours": ours, "theirs": theirs}), at_places_of(ours, theirs)
    a, b = (grid_of(cells, variable, targets) for cells in (ours, theirs))
    difference = a - b
    low, high = _interval_of(ours, theirs, variable, targets)
    figure = _make_panels([], 1, 0)
    words = name_words(ours)
    hover = [
        [
            describe_difference(
                f"{target_label(target)}, {word}",
                names,
                (a[row, column], b[row, column]),
                (low[row, column], high[row, column]),
            )
            for column, word in enumerate(words)
        ]
        for row, target in enumerate(targets)
    ]
    unclear = (low <= 0) & (high >= 0)
    text = [
        [format_unclear(value, bool(flag)) for value, flag in zip(*row, strict=True)]
        for row in zip(difference, unclear, strict=True)
    ]
    add_cells(figure, difference, text, hover, ours["position"].values.tolist(), targets, 1)
    figure.update_yaxes(
        tickvals=list(range(len(targets))), ticktext=[target_label(target) for target in targets]
    )
    name_columns(figure, ours, 1)
    figure.update_layout(coloraxis=lost_axis())
    return _finish(figure, len(targets))


def format_unclear(difference: float, unclear: bool) -> str:
    """Signed points, in brackets where their interval holds 0: `+12`, `(+1)`."""
    text = format_points(difference)
    return f"({text})" if text and unclear else text


def describe_difference(
    place: str, names: tuple[str, str], values: tuple[float, float], interval: tuple[float, float]
) -> str:
    """The hover text of a difference: both sides by name, and the difference with its interval."""

    def told(name: str, value: float) -> str:
        return f"{name}: no value" if np.isnan(value) else f"{name} {100 * value:.1f} %"

    lines = [f"<b>{place}</b>", ", ".join(map(told, names, values))]
    difference = values[0] - values[1]
    if not np.isnan(difference):
        ends = (
            f"  (95 %: {format_points(interval[0], 1)} to {format_points(interval[1], 1)})"
            if not np.isnan(interval[0])
            else ""
        )
        lines.append(f"difference {format_points(difference, 1)} points{ends}")
    return "<br>".join(lines)


def _interval_of(
    ours: xr.Dataset, theirs: xr.Dataset, variable: str, targets: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the differences [targets, positions]; NaN where either side has no interval."""
    known = all(name in cells for cells in (ours, theirs) for name in ("ci_low", "ci_high"))
    if variable != "accuracy" or not known:
        none = np.full((len(targets), ours.sizes["position"]), np.nan)
        return none, none
    names = ("accuracy", "ci_low", "ci_high")
    a, b = (tuple(grid_of(cells, name, targets) for name in names) for cells in (ours, theirs))
    return difference_interval((a[0], a[1], a[2]), (b[0], b[1], b[2]))


def _make_panels(names: list[str], n: int, gap: float) -> go.Figure:
    titles = [f"<b>{name}</b>" for name in names] or None
    return make_subplots(rows=1, cols=n, subplot_titles=titles, horizontal_spacing=gap / n if n > 1 else 0)


def _add_panel(figure: go.Figure, cells: xr.Dataset, variable: str, labels: list[str], column: int) -> None:
    if variable not in cells:
        have = ", ".join(str(name) for name in cells.data_vars)
        raise WorkbenchError(f"The result has no variable {variable!r}; it has {have}.")
    targets, positions = cells["target"].values.tolist(), cells["position"].values.tolist()
    z = grid_of(cells, variable, targets)
    hover = hover_of(cells, targets)
    text = [[format_percent(value) for value in row] for row in z]
    add_cells(figure, z, text, hover, positions, targets, column)
    name_columns(figure, cells, column)
    figure.update_yaxes(tickvals=list(range(len(targets))), ticktext=labels, row=1, col=column)


def add_cells(
    figure: go.Figure,
    z: np.ndarray,
    text: list[list[str]],
    hover: list[list[str]],
    positions: list[int],
    targets: list[str],
    column: int,
    row: int = 1,
    text_size: int = 13,
) -> None:
    """One heatmap [targets, positions] in integer coordinates, with hatched bars where z is NaN."""
    figure.add_trace(
        make_heatmap(
            z,
            hover,
            text,
            gap=2,
            textfont={"size": text_size},
            customdata=[[[position, target] for position in positions] for target in targets],
        ),
        row=row,
        col=column,
    )
    empty_rows, empty_columns = np.nonzero(np.isnan(z))
    if len(empty_rows):
        words = [hover[y][x] for y, x in zip(empty_rows, empty_columns, strict=True)]
        figure.add_trace(make_hatch(empty_rows, empty_columns, words), row=row, col=column)
    figure.update_xaxes(
        tickvals=list(range(len(positions))),
        ticktext=[str(position) for position in positions],
        range=[-0.5, len(positions) - 0.5],
        row=row,
        col=column,
    )
    figure.update_yaxes(range=[len(targets) - 0.5, -0.5], row=row, col=column)


def name_columns(figure: go.Figure, cells: xr.Dataset, column: int, row: int = 1) -> None:
    """Places instead of positions' numbers below the columns, where a study named them."""
    if "place" in cells.coords:
        figure.update_xaxes(ticktext=place_names(cells), row=row, col=column)


def _finish(figure: go.Figure, n_rows: int, *, titled: bool = False) -> go.Figure:
    # No label leaves the picture, and to look at each for it would cost 4 of 59 ms of a slider's move.
    alike = {"showgrid": False, "fixedrange": True, "ticklabeloverflow": "allow"}
    figure.update_xaxes(side="bottom", title={"text": "position"}, **alike)
    figure.update_yaxes(ticklabelstandoff=6, **alike)
    top = 40 if titled else 8
    figure.update_layout(barmode="overlay", height=n_rows * ROW_PIXELS + 60 + top, margin={"t": top})
    return apply_theme(figure)


def name_words(cells: xr.Dataset) -> list[str]:
    """What a column is called in a sentence: `position 3`, or the place that a study reads."""
    names = place_names(cells)
    return names if "place" in cells.coords else [f"position {name}" for name in names]


def hover_of(cells: xr.Dataset, targets: list[str]) -> list[list[str]]:
    """What each cell says under the mouse, [targets, positions]."""
    cells = cells.sel(target=targets)
    columns = dict(zip(cells["position"].values.tolist(), name_words(cells), strict=True))
    words = describe_cells(cells, ("target", "position"), lambda t, p: f"{target_label(t)}, {columns[p]}")
    found: list[list[str]] = words.tolist()
    return found


def grid_of(cells: xr.Dataset, variable: str, targets: list[str]) -> np.ndarray:
    """[targets, positions]."""
    return np.asarray(cells[variable].sel(target=targets).transpose("target", "position").values, float)


def share_targets(panels: Mapping[str, xr.Dataset]) -> list[str]:
    """The targets that all panels have, in the first one's order; none shared is a mistake worth telling."""
    rows = [cells["target"].values.tolist() for cells in panels.values()]
    shared = [str(target) for target in rows[0] if all(target in other for other in rows)]
    if not shared:
        raise WorkbenchError(f"The results {', '.join(panels)} have no target in common.")
    return shared
