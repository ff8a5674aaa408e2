"""Points on two log axes with lines of equal ratio: what grows with size, over size."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np

from workbench.figures.publication.canvas import HAIR, INK, MUTED, Canvas, width_of
from workbench.figures.publication.heat import draw_title
from workbench.figures.publication.panels import LogPlot, Panel, Ray
from workbench.figures.theme import series_style

MOST_WIDE = 46.0  # of a panel, in letters' sizes
TALL = 26.0
ROOM = 1.6  # left around the points, as a factor
FEW_DECADES = 2.4  # an axis of fewer has ticks at 2 and 5, too
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class LogBlock:
    """Log plots one below the other, each with its legend (all lengths in points)."""

    def __init__(self, panels: Sequence[Panel], width: float, size: float, _columns: int | None) -> None:
        self.panels, self.size = list(panels), size
        self.width = min(width, MOST_WIDE * size)
        self.above, self.below = 3.2 * size, 4.0 * size

    @property
    def height(self) -> float:
        return sum(
            self.above + TALL * self.size + self.below + 1.5 * self.size * len(_legend(plot))
            for plot in map(_plot, self.panels)
        )

    def draw(self, canvas: Canvas, top: float) -> None:
        """Draw it, its upper edge at `top`."""
        for panel in self.panels:
            top = self._panel(canvas, panel, _plot(panel), top)

    def _panel(self, canvas: Canvas, panel: Panel, plot: LogPlot, top: float) -> float:
        """One plot with its legend; returns where it ends."""
        size = self.size
        xs, ys = _reach(plot)
        ticks = [(value, spell_size(value)) for value in log_ticks(*ys)]
        left = max(width_of(word, size) for _, word in ticks) + 2.6 * size
        frame = (left, top + self.above, self.width - size, top + self.above + TALL * size)
        scale = _Scale(frame, xs, ys)
        draw_title(canvas, panel, 0, self.width, top, size)
        self._axes(canvas, plot, scale, ticks)
        for ray in plot.rays:
            self._ray(canvas, ray, scale)
        for number, series in enumerate(plot.series):
            colour, dash, _ = series_style(number)
            level = scale.y(series.level)
            canvas.line((frame[0], frame[2]), (level, level), colour, 0.6, "dash")
            points = [(scale.x(x), scale.y(y)) for x, y in zip(series.xs, series.ys, strict=True)]
            canvas.line([x for x, _ in points], [y for _, y in points], colour, 1.1, dash)
            for (x, y), low, high in zip(points, series.low, series.high, strict=True):
                canvas.line((x, x), (scale.y(max(low, ys[0])), scale.y(min(high, ys[1]))), colour, 0.9)
                canvas.dot(x, y, 0.26 * size, colour)
        return self._legend(canvas, plot, frame[3] + self.below)

    def _axes(
        self, canvas: Canvas, plot: LogPlot, scale: "_Scale", ticks: Sequence[tuple[float, str]]
    ) -> None:
        left, top, right, bottom = scale.frame
        size = self.size
        for value, word in ticks:
            y = scale.y(value)
            canvas.line((left, right), (y, y), HAIR, 0.4)
            canvas.text(left - 0.5 * size, y, word, size, across="right")
        for value in log_ticks(*scale.xs):
            x = scale.x(value)
            canvas.line((x, x), (top, bottom), HAIR, 0.4)
            canvas.text(x, bottom + 0.9 * size, spell_size(value), size, across="center")
        canvas.text((left + right) / 2, bottom + 2.4 * size, plot.x_axis, size, colour=MUTED, across="center")
        canvas.text(
            0.5 * size, (top + bottom) / 2, plot.y_axis, size, colour=MUTED, across="center", turned=90
        )

    def _ray(self, canvas: Canvas, ray: Ray, scale: "_Scale") -> None:
        """y = ratio · x, as far as it is within the frame."""
        low = max(scale.xs[0], scale.ys[0] / ray.ratio)
        high = min(scale.xs[1], scale.ys[1] / ray.ratio)
        if low < high:
            ends = (low, high)
            xs, ys = [scale.x(x) for x in ends], [scale.y(ray.ratio * x) for x in ends]
            canvas.line(xs, ys, INK if ray.strong else MUTED, 0.8, "dot" if ray.strong else "solid")

    def _legend(self, canvas: Canvas, plot: LogPlot, y: float) -> float:
        size = self.size
        for words, colour, dash, dotted in _legend(plot):
            canvas.line((0, 2 * size), (y, y), colour, 0.8, dash)
            if dotted:
                canvas.dot(size, y, 0.26 * size, colour)
            canvas.text(2.6 * size, y, words, size)
            y += 1.5 * size
        return y


class _Scale:
    """From numbers to points of the page within a frame (left, top, right, bottom)."""

    def __init__(
        self,
        frame: tuple[float, float, float, float],
        xs: tuple[float, float],
        ys: tuple[float, float],
    ) -> None:
        self.frame, self.xs, self.ys = frame, xs, ys

    def x(self, value: float) -> float:
        left, _, right, _ = self.frame
        return left + (right - left) * _place(value, *self.xs)

    def y(self, value: float) -> float:
        _, top, _, bottom = self.frame
        return bottom - (bottom - top) * _place(value, *self.ys)


def _place(value: float, low: float, high: float) -> float:
    return (log10(value) - log10(low)) / (log10(high) - log10(low))


def _plot(panel: Panel) -> LogPlot:
    assert isinstance(panel.content, LogPlot)
    return panel.content


def _reach(plot: LogPlot) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of both axes: all points, and what there is to learn, with room around them."""
    xs = np.concatenate([series.xs for series in plot.series])
    ys = np.concatenate([[*series.ys, series.level] for series in plot.series])
    return (xs.min() / ROOM, xs.max() * ROOM), (ys.min() / ROOM, ys.max() * ROOM)


def _legend(plot: LogPlot) -> list[tuple[str, str, str, bool]]:
    """Words, colour, dash, and whether a point stands on the line."""
    of_series = [
        (f"{series.name} (dashed)", *series_style(number)[:2], True)
        for number, series in enumerate(plot.series)
    ]
    given = sorted((ray for ray in plot.rays if not ray.strong), key=lambda ray: ray.ratio)
    of_rays = [("; above it ".join(ray.words for ray in given), MUTED, "solid", False)]
    of_rays += [(ray.words, INK, "dot", False) for ray in plot.rays if ray.strong]
    return [*of_series, *of_rays]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two ends, with 2 and 5 times them where there would be hardly any."""
    steps = (1.0,) if log10(high / low) > FEW_DECADES else (1.0, 2.0, 5.0)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def spell_size(value: float) -> str:
    """A round number, short: `200 k`, `5 M`.

    >>> spell_size(200_000), spell_size(5e6), spell_size(50)
    ('200 k', '5 M', '50')
    """
    for unit, name in UNITS:
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value:g}"
