"""Heatmaps side by side on one scale, their cells as rectangles of their own."""

from collections.abc import Sequence
from math import ceil, radians, sin

import numpy as np

from workbench.errors import WorkbenchError
from workbench.figures.publication.canvas import HAIR, MARGIN, MUTED, Canvas, shorten, width_of
from workbench.figures.publication.panels import Grid, Panel
from workbench.figures.theme import DIVERGING_LIGHT, SCALE_LIGHT, colour_at, ink_on

UNSURE, EMPTY = "#d9731f", "#eef0f2"
GAP = 0.07  # between cells, of a letter's size
STEPS = 64  # of the colour bar
MOST_WIDE = 7.0  # a cell's width, in letters' sizes
SLANT = 40


class HeatBlock:
    """Consecutive heatmaps of one scale, arranged in rows that fit the width (all lengths in points)."""

    def __init__(self, panels: Sequence[Panel], width: float, size: float, columns: int | None) -> None:
        self.panels, self.size = list(panels), size
        self.grids = [panel.content for panel in panels if isinstance(panel.content, Grid)]
        first = self.grids[0]
        self.same_rows = all(grid.rows == first.rows for grid in self.grids)
        self.same_notes = self.same_rows and all(grid.notes == first.notes for grid in self.grids)
        self.gap = 1.4 * size
        self.bar = size + 0.6 * size + max(width_of(text, size) for _, text in self._ticks())
        wide = max(len(grid.columns) for grid in self.grids)
        least = max(
            width_of(text, size) for grid in self.grids for row in grid.texts for text in [*row, "00"]
        )
        least = wide * (least + 0.6 * size)
        self.per_row = self._fit(width, least, min(columns or len(panels), len(panels)))
        self.cell = (self._room(width, self.per_row) / self.per_row) / wide
        self.cell = min(self.cell, MOST_WIDE * size)
        self.slanted = any(
            width_of(name, size) > self.cell - 0.3 * size for grid in self.grids for name in grid.columns
        )
        names = max(width_of(name, size) for grid in self.grids for name in grid.columns)
        self.below = (sin(radians(SLANT)) * names + size if self.slanted else 1.3 * size) + 1.9 * size
        self.above = 3.0 * size
        self.row = 1.9 * size

    @property
    def height(self) -> float:
        return sum(self._height(line) for line in self._lines())

    def draw(self, canvas: Canvas, top: float) -> None:
        """Draw it, its upper edge at `top`."""
        for line in self._lines():
            x = 0.0
            for place, number in enumerate(line):
                panel, grid = self.panels[number], self.grids[number]
                left = self._left(number, place)
                self._panel(canvas, panel, grid, x, x + left, top, place)
                x += left + len(grid.columns) * self.cell + self.gap
            rows = max(len(self.grids[number].rows) for number in line)
            self._colour_bar(canvas, x - self.gap + 0.8 * self.size, top + self.above, rows * self.row)
            top += self._height(line)

    def _fit(self, width: float, least: float, most: int) -> int:
        """How many panels stand side by side; balanced, so that the last row is not nearly empty."""
        for number in range(most, 0, -1):
            if self._room(width, number) >= number * least:
                return ceil(len(self.panels) / ceil(len(self.panels) / number))
        margins = 2 * MARGIN * self.size
        needed = width - self._room(width, 1) + least + margins
        raise WorkbenchError(
            f"A width of {_cm(width + margins):g} cm is too narrow for {self.panels[0].title}; give at least "
            f"{ceil(10 * _cm(needed)) / 10:g} cm, a smaller font, or fewer targets."
        )

    def _room(self, width: float, number: int) -> float:
        """What is left for the cells of so many panels."""
        left = max(self._label_width(i) for i in range(len(self.grids))) + sum(
            max(self._left(i, 1) for i in range(len(self.grids))) for _ in range(number - 1)
        )
        return width - left - self.bar - 0.8 * self.size - (number - 1) * self.gap

    def _label_width(self, number: int) -> float:
        grid = self.grids[number]
        widest = [
            width_of(f"{row}  {note}".rstrip(), self.size)
            for row, note in zip(grid.rows, grid.notes, strict=True)
        ]
        return max(widest) + 0.7 * self.size

    def _left(self, number: int, place: int) -> float:
        """Room for the labels left of a panel: only the first of a row says what the others would repeat."""
        if place == 0 or not self.same_rows:
            return self._label_width(number)
        if self.same_notes:
            return 0.0
        return max(width_of(note, self.size) for note in self.grids[number].notes) + 0.5 * self.size

    def _lines(self) -> list[list[int]]:
        numbers = list(range(len(self.panels)))
        return [numbers[at : at + self.per_row] for at in range(0, len(numbers), self.per_row)]

    def _height(self, line: list[int]) -> float:
        return self.above + max(len(self.grids[i].rows) for i in line) * self.row + self.below

    def _panel(
        self, canvas: Canvas, panel: Panel, grid: Grid, edge: float, x: float, top: float, place: int
    ) -> None:
        size, y = self.size, top + self.above
        right = x + len(grid.columns) * self.cell
        draw_title(canvas, panel, edge if place == 0 or not self.same_notes else x, right, top, size)
        whole = place == 0 or not self.same_rows
        for r, (label, note) in enumerate(zip(grid.rows, grid.notes, strict=True)):
            middle = y + (r + 0.5) * self.row
            if whole:
                end = x - 0.4 * size - (width_of(note, size) + 0.5 * size if note else 0)
                canvas.text(end, middle, label, size, across="right")
            if note and (whole or not self.same_notes):
                canvas.text(x - 0.4 * size, middle, note, size, colour=MUTED, across="right")
            for c, value in enumerate(grid.values[r]):
                name = f"cell.{panel.letter or 'a'}.{grid.keys[0][r]}.{grid.keys[1][c]}".replace("/", ".")
                self._cell(canvas, grid, (r, c), x + c * self.cell, y + r * self.row, value, name)
        below = y + len(grid.rows) * self.row
        for c, name in enumerate(grid.columns):
            middle = x + (c + 0.5) * self.cell
            if self.slanted:
                canvas.text(middle, below + 0.3 * size, name, size, across="right", turned=SLANT)
            else:
                canvas.text(middle, below + 0.8 * size, name, size, across="center")
        canvas.text(
            (x + right) / 2, below + self.below - 1.2 * size, grid.axis, size, colour=MUTED, across="center"
        )

    def _cell(
        self, canvas: Canvas, grid: Grid, at: tuple[int, int], x: float, y: float, value: float, name: str
    ) -> None:
        gap = GAP * self.size
        x, y, width, height = x + gap, y + gap, self.cell - 2 * gap, self.row - 2 * gap
        if np.isnan(value):
            canvas.rectangle(x, y, width, height, EMPTY, name)
            for share in (0.25, 0.5, 0.75):  # a hatch of lines: patterns do not survive every editor
                middle, half = x + share * width, min(height, width / 4) / 2
                canvas.line(
                    (middle - half, middle + half), (y + height / 2 + half, y + height / 2 - half), HAIR
                )
            if words := grid.texts[at[0]][at[1]]:
                canvas.text(x + width / 2, y + height / 2, words, self.size, across="center")
            return
        colour = cell_colour(value, grid.points)
        canvas.rectangle(x, y, width, height, colour, name)
        canvas.text(
            x + width / 2,
            y + height / 2,
            grid.texts[at[0]][at[1]],
            self.size,
            colour=ink_on(colour),
            across="center",
        )
        if grid.unsure[at]:
            canvas.dot(x + width - 0.28 * self.size, y + 0.28 * self.size, 0.16 * self.size, UNSURE)

    def _ticks(self) -> list[tuple[float, str]]:
        if self.grids[0].ticks:
            return list(self.grids[0].ticks)
        if self.grids[0].points:
            return [(0, "+100"), (0.5, "0"), (1, "−100")]
        return [(0, "100 %"), (0.5, "50 %"), (1, "0 %")]

    def _colour_bar(self, canvas: Canvas, x: float, y: float, height: float) -> None:
        part = height / STEPS
        for i in range(STEPS):
            share = 1 - (i + 0.5) / STEPS
            colour = colour_at(DIVERGING_LIGHT if self.grids[0].points else SCALE_LIGHT, share)
            canvas.rectangle(x, y + i * part, self.size, part + (0.3 if i < STEPS - 1 else 0), colour)
        for place, text in self._ticks():
            inset = (0.5 - place) * self.size  # the ends' words stay beside the bar
            canvas.text(x + 1.4 * self.size, y + place * height + inset, text, self.size)


def _cm(points: float) -> float:
    return round(points / 72 * 2.54, 3)


def cell_colour(value: float, points: bool) -> str:
    """The colour of a share (0…1) or of points (−1…1), on the light scale."""
    return colour_at(DIVERGING_LIGHT, (value + 1) / 2) if points else colour_at(SCALE_LIGHT, value)


def draw_title(canvas: Canvas, panel: Panel, x: float, right: float, top: float, size: float) -> None:
    """The letter, the title, and small print below."""
    if panel.letter:
        canvas.text(x, top + 0.8 * size, panel.letter, 1.25 * size, bold=True)
        x += width_of("m", 1.25 * size, bold=True) + 0.5 * size
    room = right - x
    canvas.text(x, top + 0.8 * size, shorten(panel.title, size, room, bold=True), size, bold=True)
    canvas.text(x, top + 2.0 * size, shorten(panel.sub, size, room), size, colour=MUTED)
