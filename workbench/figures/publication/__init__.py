"""Figures for a paper: chosen panels in one vector file, with a caption and the line that makes it again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.figures.publication.canvas import FORMATS, MARGIN, Canvas
from workbench.figures.publication.caption import write_caption
from workbench.figures.publication.graphs import GraphBlock
from workbench.figures.publication.heat import HeatBlock
from workbench.figures.publication.log_plots import LogBlock
from workbench.figures.publication.making import make_panels, name_family
from workbench.figures.publication.panels import Graph, Grid, LogPlot, Panel
from workbench.figures.publication.request import FigureRequest
from workbench.files import write_atomically
from workbench.studies.opening import as_study
from workbench.studies.study import Study, folder_of

__all__ = ["FigureRequest", "PaperFigure", "compose_figure", "make_figure"]

SPACE = 1.2  # between blocks of panels, in letters' sizes
Block = HeatBlock | GraphBlock | LogBlock
BLOCKS: dict[type, Callable[[Sequence[Panel], float, float, int | None], Block]] = {
    Grid: HeatBlock,
    Graph: GraphBlock,
    LogPlot: LogBlock,
}


@dataclass(frozen=True)
class PaperFigure:
    """A figure ready to be written. line: the command that makes it again; caption ends in it."""

    panels: tuple[Panel, ...]
    request: FigureRequest
    line: str
    caption: str = field(repr=False)

    def __repr__(self) -> str:
        told = ", ".join(
            f"{panel.letter}{' ' if panel.letter else ''}{panel.title} ({panel.kind})"
            for panel in self.panels
        )
        return f"<PaperFigure {told}; made by `{self.line}`>"

    def render(self, format: str = "pdf") -> bytes:
        """The file's bytes; format: `pdf`, `svg`, or `png` (300 dpi, to look at)."""
        if format not in FORMATS:
            raise WorkbenchError(f"A figure is written as {', '.join(FORMATS)}, not as {format!r}.")
        size = self.request.font_pt
        width = self.request.width_cm / 2.54 * 72
        margin = MARGIN * size
        blocks = [
            BLOCKS[type(group[0].content)](group, width - 2 * margin, size, self.request.columns)
            for group in _blocks(self.panels)
        ]
        space = SPACE * size
        height = sum(block.height for block in blocks) + space * (len(blocks) - 1)
        canvas = Canvas(width, height + 2 * margin, margin)
        top = 0.0
        for block in blocks:
            block.draw(canvas, top)
            top += block.height + space
        return canvas.render(format, ", ".join(panel.title for panel in self.panels), self.caption)

    def save(self, path: Path | str) -> Path:
        """Write it in the format of the name's ending, and the caption as text beside it; returns the path."""
        path = Path(path)
        write_atomically(path, self.render(path.suffix.lower().removeprefix(".")))
        write_atomically(path.with_suffix(".txt"), self.caption + "\n")
        return path

    def _repr_svg_(self) -> str:
        """How a notebook shows it, without a script or a browser of its own."""
        return self.render("svg").decode()


def make_figure(
    runs: Study | Path | str | Iterable[Study | Path | str],
    panels: str | Sequence[str] = "p",
    *,
    out: str = "figure.pdf",
    **wanted: Any,
) -> PaperFigure:
    """A figure of one or several runs: `make_figure(["runs/single"], "p,q", width_cm=8.5).save("figure.pdf")`.

    panels: kinds with or without a step, `p,q` or `["p@332", "p@1018"]`. wanted: anything else that `FigureRequest`
    has. out: the file's name in the line that makes it again. In a notebook it shows itself.
    """
    runs = [runs] if isinstance(runs, Study | Path | str) else runs
    opened = [(folder_of(run), as_study(run)) for run in runs]
    named = panels.split(",") if isinstance(panels, str) else panels
    chosen = tuple(name.strip() for name in named if name.strip())
    unknown = [name for name in wanted if name not in FigureRequest.__dataclass_fields__]
    if unknown:
        known = ", ".join(FigureRequest.__dataclass_fields__)
        raise WorkbenchError(f"A figure has no {unknown[0]!r}; it has {known}.")
    told = [str(path) for path, _ in opened]
    return compose_figure([run for _, run in opened], FigureRequest(chosen, **wanted), told, out)


def compose_figure(
    runs: Sequence[Study], request: FigureRequest, told: Sequence[str], out: str
) -> PaperFigure:
    """The figure of opened runs; told: how the line that makes it again calls them."""
    if not runs:
        raise WorkbenchError(
            "A figure needs at least one run; give run folders, e.g. `workbench figure runs/*`."
        )
    request = name_family(runs, request)
    made = tuple(make_panels(runs, request))
    line = request.line(told, out)
    return PaperFigure(made, request, line, write_caption(made, request, line))


def _blocks(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Consecutive panels that share a scale, axes and a legend."""

    def alike(panel: Panel) -> tuple[Any, ...]:
        grid = panel.content
        return (panel.kind, *((grid.points, grid.axis, grid.ticks) if isinstance(grid, Grid) else ()))

    return [list(group) for _, group in groupby(panels, key=alike)]
