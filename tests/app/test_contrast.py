"""Numbers in cells can be read: 4.5 : 1 against their cell (WCAG 2) at least, in the light, in the dark, taken away."""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from tests.app.conftest import serving
from tests.app.made_analyses import add_sets, add_shares
from tests.app.made_runs import make_run
from tests.figures.test_publication import SVG
from workbench.figures.publication import make_figure
from workbench.figures.theme import (
    DIVERGING_DARK,
    DIVERGING_LIGHT,
    SCALE_DARK,
    SCALE_LIGHT,
    colour_at,
    ink_on,
    luminance,
)

READABLE = 4.5
SCALES = {
    "light": SCALE_LIGHT,
    "dark": SCALE_DARK,
    "diverging, light": DIVERGING_LIGHT,
    "diverging, dark": DIVERGING_DARK,
}
# Every number in a cell: its words, its colour, and a point of its cell above the letters.
NUMBERS = """() => [...document.querySelectorAll(".heatmap-label text")].flatMap(text => {
  const box = text.getBoundingClientRect();
  if (!box.width || !text.textContent) return [];
  return [[text.textContent, getComputedStyle(text).fill, box.left + box.width / 2, box.top - 2]];
})"""
SKETCHED = """() => [...document.querySelectorAll(".sketch b:not(.hatch)")].map(cell => {
  const style = getComputedStyle(cell);
  return [style.color, style.backgroundColor];
})"""


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two colours `#rrggbb`, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def as_hex(colour: str) -> str:
    """`rgb(1, 2, 3)` → `#010203`."""
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])


@pytest.mark.parametrize("name", SCALES)
def test_ink_can_be_read_on_every_colour_of_every_scale(name: str) -> None:
    worst = min(
        contrast(ink_on(colour), colour)
        for colour in (colour_at(SCALES[name], i / 2000) for i in range(2001))
    )
    assert worst >= READABLE


def test_the_pages_ink_is_the_librarys(visit) -> None:
    page = visit().open("overview")
    for scale in SCALES.values():
        stops = [[i / (len(scale) - 1), colour] for i, colour in enumerate(scale)]
        shares = [i / 500 for i in range(501)]
        script = "([scale, shares]) => shares.map(s => [scaleColour(scale, s), inkOn(scaleColour(scale, s))])"
        for share, (channels, ink) in zip(shares, page.evaluate(script, [stops, shares]), strict=True):
            colour = "#" + "".join(f"{channel:02x}" for channel in channels)
            assert contrast(colour, colour_at(scale, share)) < 1.02 and ink == ink_on(colour)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with attention and sets, whose cells have values of their own."""
    folder = tmp_path_factory.mktemp("contrast")
    run = make_run(folder, "one", "multi5+permute", steps=(0, 64))
    add_shares(run, 64)
    add_sets(run, 64)
    return folder


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "p-probe?runs=single,multi",
        "p-probe?runs=single,multi&baseline=single",
        "compare",
        "layers?runs=single",
        "training?runs=single",
        "paper?runs=single",
        "p-probe?runs=single&cell=single:1:birth_city/first",
        "attention",
        "sets",
    ],
)
def test_cells_as_they_are_painted(visit, analysed, path: str, theme: str) -> None:
    """The colours are those of the screen: the letters' own, and a pixel above them."""
    options = {"color_scheme": theme, "viewport": {"width": 1280, "height": 3000}}
    if path in ("attention", "sets"):
        with serving(analysed) as address:
            seen = visit(address, **options)
            found = read_cells(seen, path)
            seen.page.close()  # before its server
    else:
        found = read_cells(visit(**options), path)
    assert len(found) > 5
    assert [(words, ink, cell) for words, ink, cell in found if contrast(ink, cell) < READABLE] == []


def read_cells(seen, path: str) -> list[tuple[str, str, str]]:
    page = seen.open(path)
    page.mouse.move(1, 1)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    found = []
    for words, ink, x, y in page.evaluate(NUMBERS):
        if 0 <= x < picture.width and 0 <= y < picture.height:
            red, green, blue = picture.getpixel((round(x), round(y)))
            found.append((words, as_hex(ink), f"#{red:02x}{green:02x}{blue:02x}"))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_first_sketch(visit, theme: str) -> None:
    """Its boxes, as they stand while Plotly's script does not come."""
    seen = visit(color_scheme=theme)
    seen.page.route("**/plotly.min.js*", lambda _: None)
    seen.page.goto(seen.address + "p-probe?runs=single", wait_until="commit")  # it never loads whole
    seen.page.wait_for_selector(".sketch b")
    found = [(as_hex(ink), as_hex(cell)) for ink, cell in seen.page.evaluate(SKETCHED)]
    assert len(found) > 30 and min(contrast(*pair) for pair in found) >= READABLE


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_taken_away_has_the_inks_of_the_page(visit, theme: str) -> None:
    seen = visit(color_scheme=theme)
    page = seen.open("p-probe?runs=single")
    shown = page.evaluate(NUMBERS)
    with page.expect_download() as saved:
        page.click("#heat-0 >> xpath=ancestor::*[contains(@class, 'card')][1] >> .menu-box > summary")
        page.click(".menu button[data-download=svg]")
    content = Path(saved.value.path()).read_text(encoding="utf-8")
    words = [text for group in ET.fromstring(content).iter(f"{SVG}g")
             if group.get("class") == "heatmap-label" for text in group.iter(f"{SVG}text")]  # fmt: skip
    inks = [as_hex(re.search(r"fill: (rgb\([^)]*\))", text.get("style", ""))[1]) for text in words]
    assert inks == [as_hex(ink) for _, ink, *_ in shown] and len(inks) > 20


@pytest.mark.parametrize("panels", ["p", "difference@1018-0"])
def test_cells_of_a_figure_for_a_paper(runs_folder: Path, panels: str) -> None:
    """Each number's colour against that of the rectangle it stands in."""
    root = ET.fromstring(make_figure([runs_folder / "single"], panels).render("svg"))
    cells = []
    for group in root.iter(f"{SVG}g"):
        if group.get("id", "").startswith("cell."):
            path = next(group.iter(f"{SVG}path"))
            numbers = list(map(float, re.findall(r"-?[\d.]+", path.get("d", ""))))
            style = re.search("fill: (#[0-9a-f]{6})", path.get("style", ""))
            cells.append(
                (min(numbers[::2]), max(numbers[::2]), min(numbers[1::2]), max(numbers[1::2]), style[1])
            )
    found = []
    for text in root.iter(f"{SVG}text"):
        x, y = float(text.get("x", "nan")), float(text.get("y", "nan"))
        ink = re.search("fill: (#[0-9a-f]{6})", text.get("style", ""))
        found += [
            contrast(ink[1] if ink else "#000000", colour)
            for left, right, top, bottom, colour in cells
            if left < x < right and top < y < bottom
        ]
    assert len(found) > 30 and min(found) >= READABLE
