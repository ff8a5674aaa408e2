"""Curves over checkpoints with bands, and dots with intervals: everything of a figure that is no heatmap."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np

from workbench.figures.publication.canvas import HAIR, MUTED, Canvas, width_of
from workbench.figures.publication.heat import draw_title
from workbench.figures.publication.panels import Graph, Panel, Series
from workbench.figures.theme import series_style

BAND = 0.18
LEAST_WIDE = 26.0  # a panel of curves, in letters' sizes
TALL = 15.0
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class GraphBlock:
    """Panels of curves side by side, or one panel of dots; one legend below (all lengths in points)."""

    def __init__(self, panels: Sequence[Panel], width: float, size: float, columns: int | None) -> None:
        self.panels, self.width, self.size = list(panels), width, size
        fit = max(1, int((width + 2 * size) // ((LEAST_WIDE + 2) * size)))
        fit = 1 if self._dots else min(columns or fit, fit, len(panels))
        self.per_row = ceil(len(panels) / ceil(len(panels) / fit))
        self.above, self.below = 3.2 * size, 4.0 * size
        self.legend = self._legend_rows()

    @property
    def _dots(self) -> bool:
        graph = self.panels[0].content
        return isinstance(graph, Graph) and graph.dots

    @property
    def _inner(self) -> float:
        """The height of a panel's frame."""
        graph = self.panels[0].content
        assert isinstance(graph, Graph)
        return (
            max(1.9, 0.9 * len(graph.series) + 0.8) * len(graph.ticks) if self._dots else TALL
        ) * self.size

    @property
    def height(self) -> float:
        rows = ceil(len(self.panels) / self.per_row)
        return rows * (self.above + self._inner + self.below) + len(self.legend) * 1.5 * self.size + self.size

    def draw(self, canvas: Canvas, top: float) -> None:
        """Draw it, its upper edge at `top`."""
        size = self.size
        step = (self.width + 2 * size) / self.per_row
        for number, panel in enumerate(self.panels):
            assert isinstance(panel.content, Graph)
            x = (number % self.per_row) * step
            y = top + (number // self.per_row) * (self.above + self._inner + self.below)
            labels = panel.content.ticks if self._dots else [f"{100 * share:.0f} %" for share in SHARES]
            left = x + max(width_of(label, size) for label in labels) + 0.8 * size
            last = "100 %" if self._dots else panel.content.ticks[-1]
            right = x + step - 2 * size - width_of(last, size) / 2
            draw_title(canvas, panel, x, right, y, size)
            frame = (left, y + self.above, right, y + self.above + self._inner)
            (self._draw_dots if self._dots else self._draw_curves)(canvas, panel.content, frame)
        y = top + ceil(len(self.panels) / self.per_row) * (self.above + self._inner + self.below)
        self._draw_legend(canvas, y)

    def _draw_curves(self, canvas: Canvas, graph: Graph, frame: tuple[float, float, float, float]) -> None:
        left, top, right, bottom = frame
        size = self.size
        for share in SHARES:
            y = bottom - share * (bottom - top)
            canvas.line((left, right), (y, y), HAIR, 0.4)
            canvas.text(left - 0.5 * size, y, f"{100 * share:.0f} %", size, across="right")
        pad = 0.6 * size
        xs = np.linspace(left + pad, right - pad, len(graph.ticks))
        room = max(width_of(tick, size) for tick in graph.ticks) + size
        every = max(1, ceil(room / max((right - left) / len(graph.ticks), 1e-6)))
        for i in range(len(graph.ticks) - 1, -1, -every):
            canvas.text(float(xs[i]), bottom + 0.9 * size, graph.ticks[i], size, across="center")
        canvas.text((left + right) / 2, bottom + 2.4 * size, graph.axis, size, colour=MUTED, across="center")
        for number, series in enumerate(graph.series):
            self._curve(
                canvas, series, number, xs, lambda share: bottom - share * (bottom - top), graph.pieces
            )

    def _curve(
        self,
        canvas: Canvas,
        series: Series,
        number: int,
        xs: np.ndarray,
        y_of: Callable[[Any], Any],
        pieces: Sequence[np.ndarray],
    ) -> None:
        colour, dash, _ = series_style(number)
        known = ~np.isnan(series.values)
        for piece in pieces:
            drawn = known & piece
            banded = drawn & ~np.isnan(series.low)
            if banded.any():
                x, low, high = xs[banded], y_of(series.low[banded]), y_of(series.high[banded])
                if len(x) > 1:
                    canvas.area([*x, *x[::-1]], [*high, *low[::-1]], colour, BAND)
                else:
                    canvas.line((float(x[0]),) * 2, (float(low[0]), float(high[0])), colour, 0.9)
            if drawn.sum() > 1:
                canvas.line(xs[drawn].tolist(), y_of(series.values[drawn]).tolist(), colour, 1.1, dash)
        points = zip(xs[known], series.values[known], series.unsure[known], strict=True)
        for x, value, unsure in points:
            canvas.dot(float(x), float(y_of(value)), 0.17 * self.size, colour, hollow=bool(unsure))

    def _draw_dots(self, canvas: Canvas, graph: Graph, frame: tuple[float, float, float, float]) -> None:
        left, top, right, bottom = frame
        size, row = self.size, (bottom - top) / len(graph.ticks)

        def x_of(share: float) -> float:
            return left + share * (right - left)

        for share in SHARES:
            canvas.line((x_of(share), x_of(share)), (top, bottom), HAIR, 0.4)
            canvas.text(x_of(share), bottom + 0.9 * size, f"{100 * share:.0f} %", size, across="center")
        canvas.text((left + right) / 2, bottom + 2.4 * size, graph.axis, size, colour=MUTED, across="center")
        part = row / (len(graph.series) + 1)
        for r, label in enumerate(graph.ticks):
            canvas.text(left - 0.5 * size, top + (r + 0.5) * row, label, size, across="right")
            for number, series in enumerate(graph.series):
                y, colour = top + r * row + (number + 1) * part, series_style(number)[0]
                if np.isnan(series.chance[r]):  # this one was not asked
                    continue
                chance = x_of(float(series.chance[r]))
                canvas.line((chance, chance), (y - 0.4 * part, y + 0.4 * part), MUTED, 1.0)
                if not np.isnan(series.low[r]):
                    canvas.line(
                        (x_of(float(series.low[r])), x_of(float(series.high[r]))), (y, y), colour, 0.9
                    )
                if not np.isnan(series.values[r]):
                    x = x_of(float(series.values[r]))
                    canvas.dot(x, y, 0.26 * size, colour, hollow=bool(series.unsure[r]))

    def _named(self) -> list[str]:
        names: dict[str, None] = {}
        for panel in self.panels:
            assert isinstance(panel.content, Graph)
            names |= dict.fromkeys(series.name for series in panel.content.series)
        return list(names)

    def _legend_rows(self) -> list[list[tuple[int, str]]]:
        """(number of the series, its name) in rows that fit; a grey tick for chance ends those of dots."""
        entries = [*enumerate(self._named()), *([(-1, "chance")] if self._dots else [])]
        rows: list[list[tuple[int, str]]] = [[]]
        used = 0.0
        for entry in entries:
            wide = width_of(entry[1], self.size) + 4.4 * self.size
            if rows[-1] and used + wide > self.width:
                rows.append([])
                used = 0.0
            rows[-1].append(entry)
            used += wide
        return rows

    def _draw_legend(self, canvas: Canvas, y: float) -> None:
        size = self.size
        for row in self.legend:
            x = 0.0
            for number, name in row:
                if number < 0:
                    canvas.line((x + size, x + size), (y - 0.5 * size, y + 0.5 * size), MUTED, 1.0)
                else:
                    colour, dash, _ = series_style(number)
                    canvas.line((x, x + 2 * size), (y, y), colour, 1.1, "solid" if self._dots else dash)
                    canvas.dot(x + size, y, 0.22 * size, colour)
                canvas.text(x + 2.6 * size, y, name, size)
                x += width_of(name, size) + 4.4 * size
            y += 1.5 * size
