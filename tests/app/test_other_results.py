"""What is no probe: attention analyses as labelled heatmaps; the demo; the command."""

import json
import re
import shutil
import zlib

import numpy as np
import pytest
import xarray as xr
from dash import html
from typer.testing import CliRunner
from workbench_app.demo_set import make_demo
from workbench_app.drawing import DRAW_BODY, READS, draw_page, read_address
from workbench_app.figures.labelled import colour_range, plot_labelled
from workbench_app.frames import UNIT
from workbench_app.index import RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.result_files import read_result
from workbench_app.selection import PAGES, resolve_runs
from workbench_app.server import DEMO_FOLDER, make_app
from workbench_app.view import View

from tests.app.made_analyses import add_answers, add_sets, add_shares, add_tasks
from tests.app.made_cases import add_cases
from tests.app.made_runs import add_results, make_run
from workbench.cli import app as command_line
from workbench.errors import WorkbenchError
from workbench.figures.publication import make_figure
from workbench.results.cases import find_cases
from workbench.results.storing import load_result, load_results, result_path, save_result
from workbench.studies.folds import fold_runs, recipe_of
from workbench.studies.opening import open_study
from workbench.studies.runs import open_run
from workbench.studies.table_study import TableStudy


def make_view(folder, address, step=None):
    entries = RunIndex(folder).entries()
    asked = read_address(address, step, "/")
    selection, chosen = resolve_runs(asked, entries, READS[asked.page])
    return View(selection, entries, chosen, ResultLibrary())


def test_attention_shares_by_block_and_head(tmp_path):
    run = make_run(tmp_path, "one", steps=(0, 64))
    stored = {step: add_shares(run, step) for step in (0, 64)}
    page = draw_page(make_view(tmp_path, "/attention?at-group=values&position=2"), "k")
    (panel,) = page.panels
    assert panel["axes"] == ["block", "head"]
    assert page.steps == [0, 64]
    for step, shown in zip((0, 64), panel["shown"], strict=True):
        expected = stored[step]["group_share"].sel(group="values", position=2).values.ravel()
        np.testing.assert_allclose(shown, expected, atol=1e-5)
    assert page.resolved["at-group"] == "values"
    mean = draw_page(make_view(tmp_path, "/attention?at-group=values"), "k").panels[0]["shown"][1]
    expected = stored[64]["group_share"].sel(group="values").mean("position").values.ravel()
    np.testing.assert_allclose(mean, expected, atol=1e-5)


def test_tasks_of_every_finetune_in_one_page(tmp_path):
    run = make_run(tmp_path, "one", steps=(0, 64))
    add_tasks(run, 64, "plain", hints=False)
    add_tasks(run, 64, "few", hints=False, train_entities=10)
    add_tasks(run, 64, "hinted", hints=True)
    text = str(draw_page(make_view(tmp_path, "/tasks"), "k").children)
    for title in (
        "Tasks, asked directly",
        "With hints and without",
        "Over the number of train entities",
        "Forward against backward",
    ):
        assert title in text
    for number in ("60", "70", "90", "85"):  # direct, direct, with hint, hint right
        assert f"Td(children='{number}'" in text
    train = str(draw_page(make_view(tmp_path, "/tasks?form=train"), "k").children)
    assert "Td(children='80'" in train


def test_finetunes_name_the_checkpoint_they_started_from(tmp_path):
    run = make_run(tmp_path, "one", steps=(0, 64))
    add_tasks(run, 64, "late", hints=False)
    add_tasks(run, 0, "early", hints=False)
    add_answers(run, 64, 0.5, "late")
    add_answers(run, 0, 0.5, "early")
    page = draw_page(make_view(tmp_path, "/tasks"), "k")
    assert page.steps == [0, 64]
    last, first = str(page.children), str(draw_page(make_view(tmp_path, "/tasks", step=0), "k").children)
    for text, own, other, step in ((last, "late", "early", 64), (first, "early", "late", 0)):
        assert f"finetunes of step {step}; the slider leads to those of step {64 - step}" in text
        assert f"children='step {step}'" in text and f"one, {own}, step {step}" in text
        assert f"Td('{own}')" in text and f"Td('{other}')" not in text
    assert (
        "Over training" in last and "no hints" in last and "hint right" not in last
    )  # nobody was taught with any
    for name in ("early", "late"):  # every finetune can be taken away
        assert f"tasks-lora%2B{name}.csv" in last
    again = str(DRAW_BODY["tasks"](make_view(tmp_path, "/tasks", step=0)))  # what the slider asks for
    assert "finetunes of step 0;" in again and "Td('late')" not in again
    answers = str(draw_page(make_view(tmp_path, "/answers?set=qa-lora%2Bearly"), "k").children)
    for words in (
        "finetuned: late, step 64",
        "finetuned: early, step 0",
        "finetuned: early, step 0; 100 test",
    ):
        assert words in answers


@pytest.mark.parametrize(
    ("name", "cards", "bounds"),
    [
        ("share", [[0.1, 0.4], [0.2]], (0, 1)),
        ("entropy", [[0.0, 3.5], [0.2, 1.0]], (0, 3.5)),
        ("loss", [[0.0, 0.9], [-0.0004, 0.95]], (-0.95, 0.95)),  # a difference, on one scale for both cards
        ("loss", [[0.1, 0.4]], (-0.4, 0.4)),  # whatever its signs happen to be
        ("entropy", [[3.0, -0.01]], (0, 3)),  # a stray sign makes no difference of it
        ("anything", [[-0.2, 0.1]], (-0.2, 0.2)),
        ("share", [[np.nan]], (0, 1)),
    ],
)
def test_one_scale_for_all_cards_by_what_the_quantity_is(name, cards, bounds):
    assert colour_range([xr.DataArray(values, name=name) for values in cards]) == pytest.approx(bounds)


def test_empty_cells_of_any_array_are_hatched():
    cells = xr.DataArray(
        [[0.5, np.nan]], dims=("role", "attribute"), coords={"role": ["name"], "attribute": ["a", "b"]}
    )
    figure = plot_labelled(cells.rename("accuracy"), (0, 1))
    assert [list(row) for row in figure.data[0].text] == [["50", ""]]
    assert figure.data[1].type == "bar"


@pytest.mark.parametrize("page", PAGES)
def test_the_demo_fills_every_page(page):
    view = make_view(DEMO_FOLDER, f"/{page}")
    assert len(view.entries) > 1 and all(entry.fault is None for entry in view.entries.values())
    drawn = draw_page(view, "k")
    assert "failed" not in str(drawn.children)
    assert drawn.panels or drawn.steps or page in ("runs", "cases", "reasoning", "claims")


def test_the_demos_results_are_sound_and_small():
    files = [path for path in DEMO_FOLDER.rglob("*") if path.is_file()]
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < 6_000_000  # in the wheel
    results = [path for path in files if path.suffix == ".nc" and path.parent.parent.name == "results"]
    assert len(results) >= 10
    for path in results:
        assert json.loads(read_result(path).attrs["versions"])


def test_the_demo_has_seeds_cases_a_foreign_model_and_probes_that_converged():
    runs = {path.name: open_study(path) for path in sorted(DEMO_FOLDER.iterdir()) if path.is_dir()}
    folds = fold_runs(list(runs), [recipe_of(run) for run in runs.values()], "seed")
    assert [len(fold.members) for fold in folds] == [2, 2, 1, 1]
    assert type(runs["smollm2-cities"]) is TableStudy and runs["smollm2-cities"].n_entities > 200
    found = find_cases(runs["multi5+permute-seed1"].path)
    assert found.choice.answers == "qa-lora+lora" and found.table.count("probe-only") > 100
    seeds = [f"{arm}-seed{seed}" for arm in ("multi5+permute", "single") for seed in (1, 2)]
    for name in seeds:
        last = load_results(runs[name].path, "p", "embedding", "steps150").isel(checkpoint=-1)
        assert last["converged"].astype(bool).all(), name
    for arm in ("multi5+permute", "single"):  # the pair of one seed that a visit begins with
        entry = RunIndex(DEMO_FOLDER).entries()[f"{arm}-seed1"]
        kinds = ("p", "q", "qa", "attention", "entity", "capacity")
        assert all(entry.sets_of(kind) for kind in kinds), entry.id
        assert list(entry.result_sets["p-embedding+steps150"]) == [0, 612, 1407]
        assert "q-embedding+steps800" in entry.result_sets
    q_probe = load_results(runs["multi5+permute-seed1"].path, "q", "embedding", "steps800")
    assert q_probe["converged"].astype(bool).all()
    assert load_results(runs["multi5+permute-seed1"].path, "tasks", "lora", "taught")["n"].sum() > 1000
    folded = make_figure([runs[name] for name in seeds], "p", family="embedding+steps150", fold="seed")
    assert [panel.sub for panel in folded.panels] == 2 * ["step 1,407 · mean of 2 runs"]
    assert make_figure([runs["smollm2-cities"]], "p,cases").request.family == "logistic"


def test_a_demo_is_made_from_runs_and_takes_in_any_kind_of_result(own_runs, tmp_path):
    couples = make_run(own_runs, "couples", "multi5+permute", steps=(0, 64))
    sets = add_sets(couples, 64)
    shares = add_shares(couples, 64)
    add_cases(open_run(own_runs / "single"))
    shutil.copytree(own_runs / "single/results/q-embedding", own_runs / "single/results/q-embedding+steps900")
    make_demo({run.name: run for run in own_runs.iterdir()}, tmp_path / "demo")
    entries = RunIndex(tmp_path / "demo").entries()
    names = ["p-embedding", "p-linear", "q-embedding+steps900", "qa-lora+lora"]  # the longer trained Q-probe
    assert list(entries["single"].result_sets) == names
    ours, theirs = (find_cases(folder / "single").table for folder in (tmp_path / "demo", own_runs))
    assert ours.guess.tolist() == theirs.guess.tolist() and ours.answer.tolist() == theirs.answer.tolist()
    assert entries["couples"].result_sets.keys() == {"seen-embedding", "attention-shares"}
    for made, kind, family in ((sets, "seen", "embedding"), (shares, "attention", "shares")):
        kept = read_result(result_path(tmp_path / "demo" / "couples", kind, family, 64))
        xr.testing.assert_equal(kept, made)
    layered = result_path(tmp_path / "demo" / "single", "p", "linear", 64)
    whole = result_path(own_runs / "single", "p", "linear", 64)
    xr.testing.assert_identical(load_result(layered), load_result(whole))
    assert [panel["id"] for panel in draw_page(make_view(tmp_path / "demo", "/sets?runs=couples"), "k").panels] == [
        "sets-0", "gain-0",
    ]  # fmt: skip
    assert not list((tmp_path / "demo").rglob("*.safetensors"))


def test_the_quick_reader_refuses_what_the_library_refuses(own_runs):
    path = result_path(own_runs / "single", "p", "embedding", 64)
    content = bytearray(path.read_bytes())
    place = content.find(np.float64(load_first(path)).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(WorkbenchError, match="altered"):
        read_result(path)


def load_first(path) -> float:
    return float(read_result(path)["accuracy"].values[0, 0])


def test_the_command_refuses_what_cannot_be_served(tmp_path):
    for arguments, words in (
        ([str(tmp_path / "nothing")], "There is no folder"),
        ([str(tmp_path), "--host", "0.0.0.0"], "needs --token"),
    ):
        result = CliRunner().invoke(command_line, ["ui", *arguments, "--no-browser"])
        assert isinstance(result.exception, WorkbenchError)
        assert words in str(result.exception)


def test_the_demo_is_read_only():
    assert make_app(DEMO_FOLDER, writable=False).server.test_client().get("/runs").status_code == 200


def test_capacity_counts_people_beside_the_bits():
    page = str(draw_page(make_view(DEMO_FOLDER, "/capacity?runs=multi5+permute-seed1"), "k").children)
    assert re.search(r"Counted in entities, of 1,500: extracted 1,\d\d\d \(lora, from the half", page)


def test_the_page_of_names_draws_a_probe_on_activations_alone(tmp_path):
    """Its places are words of the name, which are no numbers: the page of every study failed."""
    run = make_run(tmp_path, "one", steps=(64,))
    add_results(run, "q", steps=(64,))
    result = load_results(run.path, "q", "embedding").sel(checkpoint=64)
    shutil.rmtree(run.path / "results")
    result = result.assign_attrs(
        family="logistic", weights_digest=str(result["weights_digest"].values)
    ).drop_vars("weights_digest")
    result = result.squeeze(drop=True) if "position" in result.dims else result
    result = result.expand_dims(position=["first", "end"]).expand_dims(layer=["0", "final"])
    save_result(result_path(run.path, "q", "logistic", 64), result)
    page = draw_page(make_view(tmp_path, "/q-probe"), "k")
    heat = next(panel for panel in page.panels if panel["id"] == "names")
    assert heat["set"] == "q-logistic" and heat["parts"][0]["positions"] == [0]
    np.testing.assert_allclose(
        np.array(heat["parts"][0]["values"]["shown"][0]) / UNIT,
        result["accuracy"].isel(layer=-1, position=-1).values,
        atol=1e-4,
    )


def test_the_page_of_layers_shows_the_usual_probe_first(tmp_path):
    """Of a study it showed `lda, layers 24`, a single layer, though all had been read by logistic regression."""
    run = make_run(tmp_path, "one", steps=(64,))
    for family, layers in (("lda", 2), ("logistic", 5)):
        add_results(run, "p", family=family, layers=layers, steps=(64,))
    page = draw_page(make_view(tmp_path, "/layers"), "k")
    assert page.resolved["set"] == "p-logistic"


def test_of_a_study_no_training_is_asked_for():
    told = str(draw_page(make_view(DEMO_FOLDER, "/training?runs=smollm2-cities"), "k").children)
    assert "Its models come from elsewhere: of their training only what is probed is known." in told
    assert "workbench train" not in told


def test_a_studys_text_is_shaded_by_the_place_before_each_value(tmp_path):
    """A value's rank in the text stood for a study's place of that number: the first value had what is read at the
    end of the name."""
    run = make_run(tmp_path, "one", steps=(64,))
    add_results(run, "p", steps=(64,))
    path = result_path(run.path, "p", "embedding", 64)
    result = load_result(path)
    places = [
        "end:person",
        *[f"before:{key}" for key in ("major", "birth_city", "company", "company_city", "university")],
    ]
    save_result(path, result.assign_coords(place=("position", places)))
    page = draw_page(make_view(tmp_path, "/entity?runs=one&entity=0&target=company_city/whole"), "k")
    panel = next(panel for panel in page.panels if panel["kind"] == "marks")
    marks = {mark.title: mark for mark in find_all(page.children, html.Mark)}
    accuracy = result["accuracy"].sel(target="company_city/whole").values
    for name, place in (("major", 1), ("birth city", 2), ("company city", 4)):
        assert panel["shares"][0][int(getattr(marks[name], "data-position"))] == pytest.approx(
            accuracy[place], abs=1e-4
        )
    assert getattr(marks["birth date"], "data-position") == "-1"  # no probe reads there: not shaded
    assert "right before it (step 64), percent: end:person: " in panel["words"][0]
    assert not find_all(page.children, html.Sup)  # the numbers of a run's positions are no study's


def find_all(part, kind):
    """Every component of a kind in a page."""
    if isinstance(part, list | tuple):
        return [found for one in part for found in find_all(one, kind)]
    own = [part] if isinstance(part, kind) else []
    return own + (find_all(part.children, kind) if getattr(part, "children", None) is not None else [])
