"""The vector panel of bits against parameters: where points and lines stand on log axes, what is told of R max."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.app.made_runs import make_run
from tests.app.test_overview import add_capacity
from workbench.errors import WorkbenchError
from workbench.figures.publication import make_figure
from workbench.figures.publication.canvas import MUTED
from workbench.figures.publication.log_plots import LogBlock, log_ticks, spell_size

STEP = 64
# name → parameters, bits, all there is to learn: two of one size of facts, one of another, one that has learned nothing
MODELS = {
    "small": (1_000, 1_000.0, 8_000.0),
    "large": (10_000, 7_000.0, 8_000.0),
    "more": (1_000, 1_500.0, 50_000.0),
    "none": (1_000, -20.0, 8_000.0),
}


class Drawn:
    """A canvas that keeps where dots and lines are."""

    def __init__(self) -> None:
        self.dots: list[tuple[float, float]] = []
        self.lines: list[tuple[np.ndarray, np.ndarray, str, str]] = []
        self.words: list[str] = []

    def dot(self, x: float, y: float, *_: object, **__: object) -> None:
        self.dots.append((x, y))

    def line(self, xs, ys, colour, width=0.6, dash="solid") -> None:
        self.lines.append((np.array(xs), np.array(ys), colour, dash))

    def text(self, x, y, words, *_: object, **__: object) -> None:
        self.words.append(words)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for name, (parameters, bits, most) in MODELS.items():
        add_capacity(make_run(tmp_path, name, steps=(0, STEP)), STEP, bits, parameters, most)
    return [tmp_path / name for name in MODELS]


def test_points_stand_on_the_line_of_their_ratio(folders: list[Path]) -> None:
    made = make_figure(folders, "scaling")
    (panel,) = made.panels
    assert [series.name for series in panel.content.series] == ["8,000 bits to learn", "50,000 bits to learn"]
    assert panel.content.series[0].xs.tolist() == [1_000, 10_000]
    np.testing.assert_allclose(panel.content.series[0].high - panel.content.series[0].ys, 19.59964)
    assert panel.sub == "R max 1.50 bits a parameter (more); 1 of 4 below zero, not drawn"
    assert [one.values.tolist() for one in panel.evidence] == [[1_000], [7_000], [1_500], [-20]]
    drawn = Drawn()
    LogBlock([panel], 400, 7, None).draw(drawn, 0)
    one, two = (
        line for line in drawn.lines if line[2] == MUTED and line[3] == "solid" and len(set(line[1])) == 2
    )
    (most,) = (line for line in drawn.lines if line[3] == "dot" and len(set(line[1])) == 2)
    small, large, more = drawn.dots[:3]  # the others are the legend's
    for (xs, ys, *_), (x, y) in ((one, small), (most, more)):
        assert np.interp(x, xs, ys) == pytest.approx(y)
    assert np.interp(large[0], one[0], one[1]) < large[1]  # below the line: 7,000 bits of 10,000 parameters
    decade = large[0] - small[0]
    assert more[0] == small[0] and np.interp(small[0], two[0], two[1]) < more[1] < small[1]
    assert small[1] - more[1] == pytest.approx((small[1] - large[1]) * np.log10(1.5) / np.log10(7))
    assert decade > 0 and {"1 k", "10 k", "learned bits", "R max: 1.50 bits a parameter"} <= set(drawn.words)


def test_the_caption_says_what_the_lines_are_and_the_file_has_no_picture(folders: list[Path]) -> None:
    made = make_figure(folders[:2], "scaling,bits")
    for told in (
        "R max: the most bits a parameter of any of these models",
        "(a) Bits over parameters, R max 1.00",
    ):
        assert told in made.caption
    assert re.search(r"SHA-256: small recipe [0-9a-f]{12}, step 64", made.caption)
    svg = made.render("svg")
    assert b"<image" not in svg and b">learned bits<" in svg


def test_models_that_have_learned_nothing_have_no_place(folders: list[Path]) -> None:
    with pytest.raises(WorkbenchError, match="No model has learned a bit"):
        make_figure(folders[3:], "scaling")


def test_ticks_are_round_numbers_within_the_axis() -> None:
    assert log_ticks(3, 40) == [5, 10, 20] and log_ticks(3, 4_000) == [10, 100, 1_000]
    assert [spell_size(value) for value in (50, 2e3, 5e5, 1e9)] == ["50", "2 k", "500 k", "1 G"]
