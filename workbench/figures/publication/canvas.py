"""Shapes and letters in points from the top left, as a PDF or SVG: each rectangle, line and text is its own object.

matplotlib writes the files (its extra is `figures`); nothing here opens a window or needs a browser. The same calls
give the same bytes: no date is written, and the identifiers of an SVG follow from its content.
"""

import io
import threading
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from workbench.errors import WorkbenchError

FORMATS = ("pdf", "svg", "png")
FONT = "DejaVu Sans"  # comes with matplotlib, so letters are the same everywhere
PNG_DPI = 300
MARGIN = 0.4  # around everything, in letters' sizes
INK, MUTED, HAIR = "#1f2730", "#5d6875", "#c3c9d1"
RC = {
    "pdf.fonttype": 42,  # journals refuse Type 3
    "svg.fonttype": "none",  # text stays text, to be searched and touched up
    "svg.hashsalt": "workbench",
    "path.simplify": False,
    "font.family": FONT,
}
_lock = threading.Lock()  # matplotlib's settings are the process's


class Canvas:
    """A page of `width` × `height` points to draw on, then to write with `render`; 0, 0 is within the margin."""

    def __init__(self, width: float, height: float, margin: float = 0) -> None:
        figure_of = _matplotlib().figure.Figure
        self._figure = figure_of(figsize=(width / 72, height / 72), facecolor="white")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(-margin, width - margin)
        self._axes.set_ylim(height - margin, -margin)

    def rectangle(self, x: float, y: float, width: float, height: float, colour: str, name: str = "") -> None:
        """A filled rectangle; `name` is its id in an SVG."""
        patch = _matplotlib().patches.Rectangle(
            (x, y), width, height, facecolor=colour, linewidth=0, gid=name or None
        )
        self._axes.add_patch(patch)

    def dot(self, x: float, y: float, radius: float, colour: str, *, hollow: bool = False) -> None:
        """A filled circle, or a white one with a rim."""
        rim = 0.3 * radius if hollow else 0
        fill = "white" if hollow else colour
        circle = _matplotlib().patches.Circle
        self._axes.add_patch(
            circle((x, y), radius, facecolor=fill, edgecolor=colour, linewidth=rim, zorder=3)
        )

    def area(self, xs: Sequence[float], ys: Sequence[float], colour: str, opacity: float) -> None:
        """A filled polygon, as a band around a curve."""
        points = list(zip(xs, ys, strict=True))
        patch = _matplotlib().patches.Polygon(points, facecolor=colour, alpha=opacity, linewidth=0)
        self._axes.add_patch(patch)

    def line(
        self, xs: Sequence[float], ys: Sequence[float], colour: str, width: float = 0.6, dash: str = "solid"
    ) -> None:
        style: Any = {"dash": "dashed", "dot": "dotted"}.get(dash, dash)
        self._axes.plot(xs, ys, color=colour, linewidth=width, linestyle=style, solid_capstyle="butt")

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        *,
        colour: str = INK,
        across: str = "left",
        bold: bool = False,
        turned: float = 0,
    ) -> None:
        """Words whose middle height stands at y; across: which side of them x is."""
        self._axes.text(
            x,
            y,
            printable(words),
            fontsize=size,
            color=colour,
            ha=across,
            va="center_baseline" if not turned else "top" if turned < 90 else "center",
            weight="bold" if bold else "normal",
            rotation=turned,
            rotation_mode="default" if not turned else "anchor",
            parse_math=False,
        )

    def render(self, format: str, title: str, about: str) -> bytes:
        """The file's bytes; title and about (the caption) stand in its metadata."""
        metadata: dict[str, dict[str, Any]] = {
            "pdf": {"Title": title, "Subject": about, "CreationDate": None},
            "svg": {"Title": title, "Description": about, "Date": None},
            "png": {"Title": title, "Description": about},
        }
        stream = io.BytesIO()
        with _lock, _matplotlib().rc_context(RC):
            self._figure.savefig(stream, format=format, metadata=metadata[format], dpi=PNG_DPI)
        return stream.getvalue()


def printable(words: str) -> str:
    """Words as a font can set them: a name of bytes that are no UTF-8, and what only controls, becomes `?`."""
    whole = words.encode(errors="replace").decode()
    return "".join("?" if unicodedata.category(sign) == "Cc" else sign for sign in whole)


@lru_cache(maxsize=4096)
def width_of(words: str, size: float, bold: bool = False) -> float:
    """How wide words are set, in points."""
    if not words.strip():
        return 0.0
    with _lock:
        font = _matplotlib().font_manager.FontProperties(family=FONT, weight="bold" if bold else "normal")
        return float(
            _matplotlib()
            .textpath.TextPath((0, 0), words, size=size, prop=font, usetex=False)
            .get_extents()
            .width
        )


def shorten(words: str, size: float, room: float, bold: bool = False) -> str:
    """The words with their middle left out where they are wider than the room."""
    words = printable(words)
    kept = len(words)
    shown = words
    while width_of(shown, size, bold) > room and kept > 2:
        kept -= 1
        shown = f"{words[: (kept + 1) // 2]}…{words[len(words) - kept // 2 :]}"
    return shown


@lru_cache(maxsize=1)
def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.font_manager
        import matplotlib.patches
        import matplotlib.textpath
    except ImportError as error:
        raise WorkbenchError(
            "Figures for a paper need matplotlib: `pip install 'probing-workbench[figures]'`."
        ) from error
    return matplotlib
