"""Figures for a paper: vector shapes with the result's colours and numbers, and a line that makes the same bytes."""

import re
import shlex
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from tests.app.made_analyses import add_answers, add_tasks
from tests.app.made_runs import add_results, make_result, make_run
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.figures.emergence import make_emergence_grid
from workbench.figures.publication import FigureRequest, make_figure
from workbench.figures.publication.canvas import shorten, width_of
from workbench.figures.theme import DIVERGING_LIGHT, SCALE_LIGHT, colour_at
from workbench.results.storing import load_results, result_path, save_result

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`single` with seeds 0, 1, 2, and `multi` (another augmentation), all with P and Q, one with layers."""
    folder = tmp_path_factory.mktemp("figures")
    for name, augmentation, seed in (
        ("single-s0", "single", 0),
        ("single-s1", "single", 1),
        ("single-s2", "single", 2),
        ("multi", "multi5+permute", 0),
    ):
        run = make_run(folder, name, augmentation, seed=seed, steps=(0, 64, 1018))
        add_results(run, "p", steps=(0, 64, 1018))
        add_results(run, "q", steps=(1018,))
    add_results(run, "p", steps=(1018,), family="linear", layers=5)
    return folder


def cells_of(svg: bytes, letter: str = "a") -> dict[tuple[str, str], str]:
    """(target, column) → the fill of its rectangle; each must be one closed path of four straight edges."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        name = group.get("id", "")
        if name.startswith(f"cell.{letter}."):
            (path,) = group.findall(f"{SVG}path")
            assert len(re.findall("[ML]", path.get("d", ""))) == 4
            target, column = name.split(".", 2)[2].rsplit(".", 1)
            found[target.replace(".", "/"), column] = re.search(
                "fill: (#[0-9a-f]{6})", path.get("style", "")
            )[1]
    return found


def test_cells_are_shapes_in_the_colours_of_the_result(runs: Path) -> None:
    svg = make_figure([runs / "multi", runs / "single-s0"], "p@64,difference").render("svg")
    assert b"<image" not in svg and b"base64" not in svg
    multi, single = (
        load_results(runs / name, "p", "embedding")["accuracy"] for name in ("multi", "single-s0")
    )
    for letter, result in (("a", multi), ("b", single)):
        cells = cells_of(svg, letter)
        assert len(cells) == 66
        for (target, position), colour in cells.items():
            value = float(result.sel(checkpoint=64, position=int(position), target=target))
            assert colour == ("#eef0f2" if np.isnan(value) else colour_at(SCALE_LIGHT, value))
    values = (single - multi).sel(checkpoint=1018, position=0)
    for target in values["target"].values:
        share = (float(values.sel(target=target)) + 1) / 2
        assert cells_of(svg, "c")[str(target), "0"] == colour_at(DIVERGING_LIGHT, share)


def test_emergence_has_the_colours_and_words_of_its_steps(runs: Path) -> None:
    made = make_figure([runs / "single-s0"], "emergence,half-way", form="whole")
    svg = made.render("svg")
    grid = make_emergence_grid(load_results(runs / "single-s0", "p", "embedding"))
    cells, never = cells_of(svg), 0
    for row, target in enumerate(grid.targets):
        for column, place in enumerate(grid.places[row]):
            if (colour := cells.get((target, str(column)))) is None:  # a first token
                continue
            never += grid.texts[row][column] == "never"
            assert colour == ("#eef0f2" if np.isnan(place) else colour_at(SCALE_LIGHT, place / 2))
    words = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    assert never and words.count("never") >= never
    assert {"0", "64", "1,018"} <= set(words)  # beside the colour bar
    for told in (
        "it became so after the checkpoint before",
        "not clear of chance at the last one (never, or lost)",
        "95 % intervals reach",
    ):
        assert told in made.caption
    assert "already been said in every text" not in made.caption


def test_answers_and_tasks_say_whose_and_of_which_checkpoint(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", steps=(0, 64))
    for step, name in ((64, "lora"), (0, "early")):
        add_answers(run, step, 0.5, name)
        add_tasks(run, step, name, hints=name == "lora")
    made = make_figure([run.path], "answers,tasks")
    answers, tasks = made.panels
    assert [one.name for one in answers.content.series] == ["one, lora, step 64"]
    assert answers.content.series[0].values.tolist() == pytest.approx([0.5 + 0.02 * a for a in range(6)])
    assert [one.name for one in tasks.content.series] == [
        "one, lora, step 64",
        "one, lora, with hint, step 64",
    ]
    assert [one.values.tolist() for one in tasks.content.series] == [[0.6, 0.7], [0.9, 0.9]]
    for told in (
        "Answers: one, lora, of step 64",
        "n = 50 to 100 questions a dot",
        "chance (the commonest answer) .08 to .50",
    ):
        assert told in made.caption
    assert "Probe:" not in made.caption and "Hatched" not in made.caption
    svg = made.render("svg")
    words = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"birth city", "inverse:birth_date", "chance"} <= set(words) and b"<image" not in svg
    early = make_figure([run.path], "tasks@0", answers="lora+early")
    assert [one.name for one in early.panels[0].content.series] == ["one, early, step 0"]
    for wanted, message in (
        ({"answers": "full"}, "has no answers 'full' \\(it has lora\\+early, lora\\+lora\\); make them with"),
        ({"fold": "seed"}, "The panel answers lays runs side by side, never as one; leave out --fold."),
    ):
        with pytest.raises(WorkbenchError, match=message):
            make_figure([run.path], "answers", **wanted)


def test_numbers_stand_in_the_cells_as_text(runs: Path) -> None:
    svg = make_figure([runs / "multi"], form="whole", step=1018).render("svg")
    words = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    result = load_results(runs / "multi", "p", "embedding").sel(checkpoint=1018)
    wanted = [target for target in result["target"].values if not target.endswith("/first")]
    wanted = ["birth_date/first", *wanted]
    values = result["accuracy"].sel(target=wanted).transpose("target", "position").values.ravel()
    numbers = [word for word in words if word and re.fullmatch(r"\d+", word)]
    assert sorted(numbers) == sorted([*[f"{100 * v:.0f}" for v in values], *"012345"])


def test_a_pdf_holds_shapes_and_letters_and_no_picture(runs: Path) -> None:
    pdf = make_figure([runs / "multi"], width_cm=8.5).render("pdf")
    assert pdf.startswith(b"%PDF") and b"/Subtype /Image" not in pdf and b"/Type3" not in pdf
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", pdf)
    assert box and float(box[1]) == pytest.approx(8.5 / 2.54 * 72, abs=0.01)
    streams = [zlib.decompress(part) for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
               if part[:1] == b"x"]  # fmt: skip
    drawn = next(stream for stream in streams if b" rg" in stream)
    fills = {tuple(map(float, found)) for found in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg", drawn)}
    result = load_results(runs / "multi", "p", "embedding")["accuracy"].sel(checkpoint=1018)
    for value in result.values.ravel():
        colour = colour_at(SCALE_LIGHT, float(value))
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        assert any(np.allclose(fill, (red, green, blue), atol=1e-5) for fill in fills)


def test_the_caption_says_what_the_result_says(runs: Path) -> None:
    figure = make_figure([runs / "single-s0"], "p@64")
    result = load_results(runs / "single-s0", "p", "embedding").sel(checkpoint=64)
    reach = 100 * float(((result["ci_high"] - result["ci_low"]) / 2).where(result["n"] > 0).max())
    assert "n = 500 texts a cell" in figure.caption
    assert "chance (the commonest value) .07 to .14" in figure.caption
    assert f"95 % intervals reach at most ±{reach:.1f} points" in figure.caption
    assert "single-s0, step 64" in figure.caption and "rank 2, steps 150, seed 0" in figure.caption
    assert f"recipe {result.attrs['recipe_digest'][:12]}" in figure.caption
    assert f"step 64 weights {64:064x}"[:28] in figure.caption
    assert "Hatched" in figure.caption and "not converged" not in figure.caption
    assert figure.caption.endswith(f"Made again by: {figure.line}")
    assert "Hatched" not in make_figure([runs / "multi"]).caption


def test_a_caption_tells_of_every_probe_and_every_run(tmp_path: Path) -> None:
    """A Q-probe has settings of its own, counts names, and the second run's doubts and intervals are told, too."""
    for name, seed in (("sure", 0), ("unsure", 1)):
        run = make_run(tmp_path, name, seed=seed, steps=(64,))
        add_results(run, "p", steps=(64,))
        made = make_result(run, "q", 64, last=64, settings={"rank": 16, "steps": 400, "seed": 0})
        if name == "unsure":
            low = made["ci_low"].where(made["target"] != made["target"][0], 0.0)
            made = made.assign(
                ci_low=low, n=made["n"] * 0 + 80, converged=("target", [False] * 3 + [True] * 8)
            )
        save_result(result_path(run.path, "q", "embedding", 64), made)
    q = load_results(tmp_path / "unsure", "q", "embedding")
    reach = 100 * float(((q["ci_high"] - q["ci_low"]) / 2).max())
    both = [tmp_path / "sure", tmp_path / "unsure"]
    caption = make_figure(both, "p,q").caption
    assert (
        "P-probe: embedding, rank 2, steps 150, seed 0; Q-probe: embedding, rank 16, steps 400, seed 0."
        in caption
    )
    assert "P-probe: n = 500 texts a cell;" in caption
    assert "Q-probe: n = 80 to 500 names a dot;" in caption
    assert f"95 % intervals reach at most ±{reach:.1f} points." in caption
    assert "had not converged (3 of them)" in caption
    alone = make_figure(both, "q").caption
    assert "Probe: embedding, rank 16, steps 400, seed 0. n = 80 to 500 names a dot;" in alone


@pytest.mark.parametrize("format", ["pdf", "svg"])
def test_the_line_makes_the_same_bytes_again(
    runs: Path, format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / f"one.{format}"
    wanted = {"step": 64, "width_cm": 12.5, "form": "whole", "fold": "seed", "columns": 1}
    figure = make_figure([runs / "single-s0", runs / "single-s1"], "p,q,training", out=out.name, **wanted)
    figure.save(out)
    first = out.read_bytes()
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.chdir(again)
    program, *words = shlex.split(figure.line)
    assert program == "workbench"
    told = CliRunner().invoke(app, words, catch_exceptions=False)
    assert told.exit_code == 0
    assert (again / out.name).read_bytes() == first
    assert told.stdout.strip() == figure.caption == out.with_suffix(".txt").read_text().strip()
    assert out.with_suffix(".txt").read_text() == (again / "one.txt").read_text()


def test_seeds_folded_are_a_mean_with_students_interval(runs: Path) -> None:
    names = ["single-s0", "single-s1", "single-s2"]
    figure = make_figure([runs / name for name in [*names, "multi"]], fold="seed", form="first")
    folded, other = figure.panels
    assert (folded.title, folded.sub) == ("single", "step 1,018 · mean of 3 runs")
    assert (other.title, other.sub) == ("multi", "step 1,018")
    (evidence,) = folded.evidence
    results = [load_results(runs / name, "p", "embedding").sel(checkpoint=1018) for name in names]
    targets = folded.content.keys[0]
    stacked = np.stack([r["accuracy"].sel(target=targets).transpose("target", "position") for r in results])
    np.testing.assert_allclose(evidence.values, stacked.mean(0))
    row, column = 2, 1
    low, high = stats.t.interval(
        0.95, 2, loc=stacked[:, row, column].mean(), scale=stats.sem(stacked[:, row, column])
    )
    np.testing.assert_allclose(
        (evidence.low[row, column], evidence.high[row, column]), np.clip((low, high), 0, 1)
    )
    assert evidence.n[row, column] == 1500
    assert (
        "single: mean over 3 runs that differ in seed, intervals by Student's t over the runs."
        in figure.caption
    )
    for name, result in zip(names, results, strict=True):
        assert f"{name} recipe {result.attrs['recipe_digest'][:12]}" in figure.caption


def test_layers_curves_and_dots_have_their_numbers(runs: Path) -> None:
    layers = make_figure([runs / "multi"], "layers", family="linear", position=3).panels[0]
    result = load_results(runs / "multi", "p", "linear").sel(checkpoint=1018, position=3)
    np.testing.assert_allclose(layers.content.values, result["accuracy"].transpose("target", "layer").values)
    dots, curves = make_figure([runs / "multi"], "q,training").panels
    q = load_results(runs / "multi", "q", "embedding").sel(checkpoint=1018, position=0)
    np.testing.assert_allclose(dots.content.series[0].values, q["accuracy"].values)
    np.testing.assert_allclose(dots.content.series[0].low, q["ci_low"].values)
    p = load_results(runs / "multi", "p", "embedding").sel(position=0)
    for series, target in zip(curves.content.series, p["target"].values, strict=True):
        np.testing.assert_allclose(series.values, p["accuracy"].sel(target=target).values)
    assert curves.content.ticks == ["0", "64", "1,018"]


def test_without_a_family_it_is_the_papers_where_all_have_it_else_one_that_all_have(tmp_path: Path) -> None:
    both, one = (make_run(tmp_path, name, steps=(0, 64)) for name in ("both", "one"))
    add_results(both, "p", steps=(64,))
    for run in (both, one):
        for kind in ("p", "q"):
            add_results(run, kind, steps=(64,), family="linear", layers=3)
    made = make_figure([one.path], "p,q")
    assert (
        made.request.family == "linear" and "--family linear" in made.line and "Probe: linear" in made.caption
    )
    assert make_figure([both.path, one.path], "p").request.family == "linear"
    assert "--family" not in make_figure([both.path], "p").line
    with pytest.raises(WorkbenchError, match="has no result 'q-embedding'"):
        make_figure([both.path], "q", family="embedding")


def test_panels_stand_side_by_side_where_they_fit(runs: Path) -> None:
    four = [runs / name for name in ("single-s0", "single-s1", "single-s2", "multi")]
    tall, wide = (
        float(re.search(rb'height="([\d.]+)pt"', make_figure(four, width_cm=w).render("svg"))[1])
        for w in (9, 30)
    )
    assert tall > 3.5 * wide
    with pytest.raises(WorkbenchError, match=r"4 cm is too narrow for multi; give at least \d+(\.\d)? cm"):
        make_figure([runs / "multi"], width_cm=4, font_pt=9).render()


def test_a_notebook_shows_a_figure_by_itself(runs: Path) -> None:
    assert make_figure([runs / "multi"])._repr_svg_().startswith("<?xml")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"panels": ""}, r"A figure needs at least one panel: p, difference, layers"),
        ({"panels": " , "}, r"A figure needs at least one panel"),
        ({"panels": "x"}, r"There is no panel 'x' \(p: P-probe"),
        (
            {"panels": "learning@5"},
            r"The panel learning shows all checkpoints, none of its own; write learning without @5\.",
        ),
        ({"panels": "p@now"}, "'p@now' has no step behind its @; write it as p@332"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"width_cm": 100}, "The width is 100 cm; give 4 to 60 cm"),
        ({"colour": "red"}, "A figure has no 'colour'; it has panels, step"),
        ({"panels": "difference"}, "A difference needs two runs"),
        ({"panels": "layers"}, "does not tell layers apart"),
        ({"family": "linear", "layer": "9"}, "multi has no layer '9'; it has 0, 1, 2, 3, 4"),
        ({"panels": "training", "position": 7}, "multi has no position 7"),
        ({"metric": "selectivity"}, "multi has no selectivity"),
        ({"fold": "sede"}, "No recipe has the key 'sede'; did you mean 'seed'"),
        ({"panels": "q", "family": "linear"}, "has no result 'q-linear'"),
    ],
)
def test_what_cannot_be_drawn_is_told(runs: Path, wanted: dict, message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        make_figure([runs / "multi"], **wanted)


def test_formats_and_runs_are_checked(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="written as pdf, svg, png, not as 'jpg'"):
        make_figure([runs / "multi"]).save(tmp_path / "figure.jpg")
    with pytest.raises(WorkbenchError, match="at least one run"):
        make_figure([])
    assert FigureRequest().line(["a b"], "x.pdf") == "workbench figure 'a b' --out x.pdf"


def test_long_names_lose_their_middle() -> None:
    name = "a-very-long-name-of-a-run-with-an-end"
    short = shorten(name, 7, 60)
    assert width_of(short, 7) <= 60 and short[0] == "a" and short.endswith("d") and "…" in short
    assert shorten("short", 7, 60) == "short"
    assert shorten("r\udce9sum\t", 7, 60) == "r?sum?"  # a folder's name of bytes that are no UTF-8
