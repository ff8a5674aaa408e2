"""A page says only what is so: which probe, which step, which unit, what a run is compared with, converged or not."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from workbench_app import detail
from workbench_app.against_answers import read_pairs
from workbench_app.controls import set_label
from workbench_app.drawing import draw_page
from workbench_app.emergence import emergence_words
from workbench_app.figures.labelled import value_words
from workbench_app.figures.names import shorten
from workbench_app.findings import findings
from workbench_app.headlines import headlines, p_set
from workbench_app.pages.p_probe import how_to_read
from workbench_app.replaced import tell_replaced

from tests.app.made_analyses import add_sets
from tests.app.made_runs import CHANCE, add_results, make_result, make_run
from tests.app.test_analyses import texts
from tests.app.test_other_results import make_view
from workbench.figures.emergence import make_emergence_grid
from workbench.figures.theme import series_style
from workbench.figures.training import plot_probe_over_training
from workbench.recipes.recipe import load_recipe
from workbench.results.statistics import difference_interval
from workbench.results.storing import load_result, result_path, save_result
from workbench.studies.runs import open_run

STEPS = (0, 16, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three runs: `flat` probed everywhere, `pairs` (couples, not in the paper's Figure 5), `once` probed once."""
    folder = tmp_path_factory.mktemp("said")
    for name, augmentation, steps in (
        ("flat", "multi5+permute", STEPS),
        ("pairs", "couple5", STEPS),
        ("once", "single", (16,)),
    ):
        run = make_run(folder, name, augmentation, steps=STEPS)
        add_results(run, "p", steps=steps)
    flat = make_run(folder, "deep", "single", steps=STEPS)
    add_results(flat, "p", steps=STEPS, family="linear", layers=3)
    return folder


def panel_of(page, id):
    return next(panel for panel in page.panels if panel["id"] == id)


@pytest.mark.parametrize("runs", ["pairs", "flat,pairs", "pairs,flat"])
def test_a_run_that_the_paper_lacks_is_laid_beside_nothing(folder, runs):
    page = draw_page(make_view(folder, f"/paper?runs={runs}"), "k")
    words = texts(page.children)
    assert "The paper has no heatmap of couple5. Couples are its Figure 6" in words
    assert "pairs minus the paper" not in words
    wanted = draw_page(make_view(folder, f"/paper?runs={runs}&arm=single"), "k")
    assert "pairs minus the paper’s single" in texts(wanted.children)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("p-embedding", "embedding"),
        ("p-embedding+rank4+steps150", "embedding, rank 4, 150 steps"),
        ("q-logistic+layers-0-final", "logistic, layers 0, final"),
        ("p-ridge+group-the-few+seeds0-1-2", "ridge, group-the-few, seeds 0, 1, 2"),
        ("qa-lora+lora", "lora"),
        ("qa-lora+mine", "lora, mine"),
    ],
)
def test_result_sets_are_named_in_words(name, label):
    assert set_label(name) == label


def test_names_that_differ_at_their_end_are_cut_in_their_middle():
    assert shorten("multi5+permute") == "multi5+permute"
    assert shorten("multi5+permute-seed1") == "multi5+pe…te-seed1"


def test_a_run_without_the_probe_is_named_and_no_path(folder):
    view = make_view(folder, "/answers?runs=flat")
    pairs, faults = read_pairs(view, view.runs, "qa-lora+lora", "q-embedding+steps800")
    assert pairs.empty and faults == ["flat has not been read by a Q-probe (embedding, 800 steps)."]


def test_named_places_are_not_called_positions_of_values():
    places, numbers = (xr.Dataset(coords=coords) for coords in ({"place": ("position", ["end:city"])}, {}))
    assert "end:city" in how_to_read([places]) and "positions 0" not in how_to_read([places])
    assert "end:city" not in how_to_read([numbers]) and "positions 0" in how_to_read([])
    assert all(words in how_to_read([places, numbers]) for words in ("end:city", "positions 0"))


def test_answers_while_training_are_drawn_of_runs_that_have_read_questions(folder):
    view = make_view(folder, "/training?runs=flat")
    mixed = load_recipe("tiny", {"name": "flat", "training.objective": "mixed"})
    asked = replace(view, runs=[replace(view.runs[0], recipe=mixed)])
    without, within = (
        [trace.name for trace in graph_of(draw_page(one, "k"), "curves-0").data] for one in (view, asked)
    )
    assert without == ["loss", "biographies, train entities", "biographies, test entities"]
    assert within == [*without, "answers, train entities", "answers, test entities"]


def test_emergence_at_named_places_speaks_of_places(folder):
    cells = xr.concat(
        [load_result(result_path(folder / "flat", "p", "embedding", s)) for s in STEPS], "checkpoint"
    )
    named = cells.isel(position=[0, 1]).assign_coords(place=("position", ["end:city", "before:country"]))
    for given, kind, where in ((cells, "position", "At position 0,"), (named, "place", "At end:city,")):
        grid = make_emergence_grid(given)
        assert grid.kind == kind and emergence_words(grid)[0].startswith(where)


def test_a_page_opens_on_runs_that_have_what_it_shows(tmp_path, folder):
    folder = shutil.copytree(folder, tmp_path / "runs")
    assert [entry.id for entry in make_view(folder, "/layers").runs] == ["deep", "flat", "once", "pairs"]
    add_sets(open_run(folder / "pairs"), 64)
    for name in ("a", "b", "c"):
        add_results(make_run(folder, name, steps=(0,)), "p", steps=(0,))
    assert [entry.id for entry in make_view(folder, "/p-probe").runs] == ["a", "b", "c", "deep"]
    assert [entry.id for entry in make_view(folder, "/sets").runs] == ["pairs"]
    assert [entry.id for entry in make_view(folder, "/tasks").runs] == ["a", "b", "c", "deep"]


def test_a_lost_probability_is_told_in_points():
    assert value_words(0.98, "loss") == "+98.0 points"
    assert value_words(-0.0004, "loss") == "0.0 points"
    assert value_words(0.5, "accuracy") == "50.0 %"
    assert value_words(0.456, "reciprocal_rank") == "0.456"
    assert value_words(0.456, "entropy") == "0.456 nats" and value_words(15.4, "distance") == "15.4 tokens"
    assert value_words(0.206, "pooled_accuracy") == "20.6 %" and value_words(0.3, "cut_accuracy") == "30.0 %"
    assert value_words(0.392, "pooled_group_share") == "39.2 %" and value_words(0.1, "chance") == "10.0 %"


def unconverged(folder, run_name="flat", kind="p", step=64):
    """The result with two targets whose probes had not converged."""
    path = result_path(folder / run_name, kind, "embedding", step)
    stored = load_result(path)
    flags = np.array(stored["converged"].values)
    flags[[0, 3]] = False
    return path, stored, stored.assign(converged=("target", flags))


@pytest.mark.parametrize("page", ["p-probe", "paper"])
def test_cells_whose_probe_had_not_converged_are_marked(folder, page):
    path, before, missed = unconverged(folder)
    save_result(path, missed)
    try:
        drawn = draw_page(make_view(folder, f"/{page}?runs=flat", 64), "k")
        id = "heat-0" if page == "p-probe" else "ours-0"
        shown = panel_of(drawn, id)["parts"][0]["values"]["converged"]
        assert shown[2].count(0) == 12 and shown[1].count(0) == 0
        if page == "p-probe":
            told = panel_of(drawn, "heat-0-unsure")["texts"]
            assert told[1] == []
            assert told[2] == ["12 of 66 probes had not converged (orange dot): more --steps may read more."]
            assert "had not converged: may be too low" in texts(drawn.children)
    finally:
        save_result(path, before)


def test_every_card_names_its_probe(folder):
    words = texts(draw_page(make_view(folder, "/p-probe?runs=flat"), "k").children)
    assert "the paper's probe, trained through the network" in words
    words = texts(draw_page(make_view(folder, "/layers?runs=deep"), "k").children)
    assert "linear probe on activations" in words
    assert "usually reads more of the same cell" in words
    words = texts(draw_page(make_view(folder, "/p-probe?runs=deep&set=p-linear&layer=1"), "k").children)
    assert "linear probe on activations, layer 1" in words


def test_the_finding_stands_above_each_heatmap_and_follows_the_slider(folder):
    page = draw_page(make_view(folder, "/p-probe?runs=flat"), "k")
    told = panel_of(page, "heat-0-found")["texts"]
    assert told[0][1].startswith("Hardly anything is read")
    assert told[2][1].startswith("Flat rows: the attributes are known as soon as the name has been read.")


def test_a_mean_does_not_hide_an_attribute(folder):
    run = make_run(folder.parent / f"{folder.name}-2", "pairs", "couple5", steps=(64,))
    made = make_result(run, "p", 64, last=64)
    accuracy = np.array(made["accuracy"].values)
    targets = made["target"].values.tolist()
    for form in ("first", "whole"):
        accuracy[0, targets.index(f"birth_city/{form}")] = 0.3
    made = made.assign(accuracy=(made["accuracy"].dims, accuracy)).expand_dims(checkpoint=[64])
    told = findings(made)[0]
    assert told[1].startswith("Flat rows but for birth city (30 %, later 9")


def test_one_foreign_run_leaves_the_page_its_heading_and_controls(folder):
    foreign = make_run(folder.parent / f"{folder.name}-3", "foreign", "single", steps=(64,))
    made = make_result(foreign, "p", 64, last=64)
    names = [f"thing{i}/whole" for i in range(made.sizes["target"])]
    save_result(
        result_path(foreign.path, "p", "embedding", 64),
        made.assign_coords(target=names).drop_vars("checkpoint").assign_coords(checkpoint=64),
    )
    own = make_run(folder.parent / f"{folder.name}-3", "own", "single", steps=(64,))
    add_results(own, "p", steps=(64,))
    page = draw_page(make_view(folder.parent / f"{folder.name}-3", "/paper?runs=own,foreign"), "k")
    words = texts(page.children)
    assert "foreign is about other facts than the paper's six attributes" in words
    assert words.startswith("Paper Figures 5 and 13(c)") and "own minus the paper’s single" in words


def test_what_a_page_cannot_show_keeps_its_heading_and_the_runs(folder, monkeypatch):
    from workbench_app import drawing

    from workbench.errors import WorkbenchError

    def refuse(*_):
        raise WorkbenchError("Nothing here.")

    monkeypatch.setitem(drawing.RENDER, "paper", refuse)
    page = draw_page(make_view(folder, "/paper?runs=flat"), "k")
    assert texts(page.children).startswith("Paper") and "Nothing here." in texts(page.children)
    assert "'key': 'runs'" in str(page.children)


def test_a_run_probed_with_another_probe_says_which(folder):
    words = texts(draw_page(make_view(folder, "/p-probe?runs=flat,deep"), "k").children)
    assert "Not probed with “embedding”; it has: linear (3 checkpoints)." in words
    assert "has not been probed yet" not in words


def test_a_run_without_the_target_says_which_it_has(folder):
    deep = make_run(folder.parent / f"{folder.name}-4", "a", "single", steps=(64,))
    add_results(deep, "p", steps=(64,), family="linear", layers=3)
    other = make_run(folder.parent / f"{folder.name}-4", "b", "single", steps=(64,))
    made = make_result(other, "p", 64, last=64, family="linear", layers=3)
    save_result(result_path(other.path, "p", "linear", 64), made.isel(target=[0, 3, 4]))
    address = "/layers?runs=a,b&target=birth_city/whole"
    words = texts(draw_page(make_view(deep.path.parent, address), "k").children)
    assert "This run has no target birth city · whole; it has birth date · first, " in words
    assert "No probe has read this run" not in words


def test_a_difference_has_both_steps_both_names_and_an_interval(folder):
    page = draw_page(make_view(folder, "/p-probe?runs=flat,once&baseline=once", 64), "k")
    words = texts(page.children)
    assert "step 64 − step 16" in words
    assert "in brackets: the 95 % interval of the difference holds 0" in words
    assert "0\u00a0%" in words and "−100\u00a0points" in words  # the baseline's own card is on the page
    minus = panel_of(page, "heat-0")["parts"][0]["minus"]
    assert minus["name"] == "once" and minus["steps"] == [16] and not minus["still"]
    assert "/download/flat" not in str(page.children) and "/download/once" in str(page.children)
    hover = str(graph_of(page, "heat-0").data[0].hovertext)
    a, b = (
        load_result(result_path(folder / run, "p", "embedding", step)).sel(position=0, target="major/whole")
        for run, step in (("flat", 64), ("once", 16))
    )
    low, high = difference_interval(
        *[tuple(float(one[name]) for name in ("accuracy", "ci_low", "ci_high")) for one in (a, b)]
    )
    assert f"(95 %: {100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−") in hover
    assert "ours" not in hover and "once: no value" in hover  # the baseline has said it, the other has not


def graph_of(page, id):
    """The figure in a box of a page."""

    def find(component):
        if isinstance(component, list | tuple):
            return next((found for one in component if (found := find(one)) is not None), None)
        if getattr(component, "id", None) == {"type": "graph", "id": id}:
            return component.figure
        inner = getattr(component, "children", None)  # a component without children is false
        return None if inner is None else find(inner)

    return find(page.children)


@pytest.mark.parametrize("metric", ["above_chance", "selectivity"])
def test_what_may_be_negative_is_told_in_points_on_the_diverging_scale(folder, metric):
    page = draw_page(make_view(folder, f"/p-probe?runs=deep&metric={metric}"), "k")
    axis = graph_of(page, "heat-0").layout.coloraxis
    assert (axis.cmin, axis.cmax) == (-1, 1)
    assert panel_of(page, "heat-0")["parts"][0]["points"] is True
    shown = [text for row in graph_of(page, "heat-0").data[0].text for text in row]
    assert not any(text.startswith("-") for text in shown) and any(text.startswith("+") for text in shown)
    words = texts(page.children)
    assert "−100\u00a0points" in words and "0\u00a0%" not in words


def test_an_empty_cell_says_the_reason_of_what_is_shown(folder):
    page = draw_page(make_view(folder, "/p-probe?runs=flat&metric=accuracy_not_next"), "k")
    assert "or is the very next value, in every entry" in texts(page.children)
    assert "or is the very next value" in panel_of(page, "heat-0")["parts"][0]["empty"]


@pytest.mark.parametrize(
    ("address", "step", "words"),
    [
        (
            "/p-probe?runs=flat&metric=beauty",
            None,
            "There is no quantity 'beauty' here; shown is 'accuracy'.",
        ),
        (
            "/p-probe?runs=flat&set=p-none",
            None,
            "There is no probe or result 'p-none' here; shown is 'p-embedding'.",
        ),
        ("/layers?runs=deep&target=x", None, "There is no target 'x' here; shown is 'birth_city/whole'."),
        ("/p-probe?runs=flat", 20, "No checkpoint shown here has step 20; the newest before it is 16."),
    ],
)
def test_what_is_shown_in_place_of_what_was_asked_for_is_told(folder, address, step, words):
    view = make_view(folder, address, step)
    asked = view.selection
    assert tell_replaced(asked, draw_page(view, "k")) == [words]


def test_a_baseline_that_is_not_shown_is_told(folder):
    told = make_view(folder, "/p-probe?runs=flat&baseline=once").selection.told
    assert told == ("The baseline 'once' is none of the runs shown.",)


def test_an_address_that_is_meant_replaces_nothing(folder):
    view = make_view(
        folder, "/p-probe?runs=flat&metric=above_chance&form=whole&set=p-embedding&baseline=none", 16
    )
    assert tell_replaced(view.selection, draw_page(view, "k")) == []


def test_of_two_dozen_series_no_two_look_alike():
    assert len({series_style(number)[:2] for number in range(24)}) == 24
    assert len({series_style(number)[::2] for number in range(24)}) == 24


def over_training(n: int) -> xr.Dataset:
    targets = [f"feature{i}/whole" for i in range(n)]
    accuracy = np.linspace(0.1, 0.9, n) * np.array([[[1.0]], [[0.5]]])
    return xr.Dataset(
        {
            "accuracy": (("checkpoint", "position", "target"), accuracy),
            "chance": ("target", np.full(n, CHANCE["major"])),
        },
        coords={"checkpoint": [0, 8], "position": [0], "target": targets},
    )


@pytest.mark.parametrize("n", [8, 12, 50])
def test_lines_of_foreign_targets_can_be_told_apart(n):
    figure = plot_probe_over_training(over_training(n), form="whole")
    looks = [(line.line.color, line.line.dash) for line in figure.data]
    if n <= 8:
        assert len(set(looks)) == n
    else:  # one is followed, the others are grey
        assert len(set(looks)) == 2 and looks.count(("#3b82d6", "solid")) == 1
        chosen = plot_probe_over_training(over_training(n), form="whole", highlight="feature3/whole")
        assert next(line.name for line in chosen.data if line.line.color == "#3b82d6").startswith("feature3")


def test_the_detail_of_a_difference_names_the_step_of_the_other_side(folder):
    view = make_view(folder, "/p-probe?runs=flat,once&baseline=once", 64)
    assert "once at step 16" in texts(detail.render(view, "flat:0:birth_date/first"))


def test_the_detail_names_a_place_and_what_n_counts(folder):
    view = make_view(folder, "/p-probe?runs=flat", 64)
    assert "test texts 500" in texts(detail.render(view, "flat:0:birth_date/first"))
    named = make_result(open_run(folder / "flat"), "p", 64, last=64).assign_coords(
        place=("position", list("uvwxyz"))
    )
    assert (
        detail._spell(named, "p", 1) == "v"
        and detail._spell(named.drop_vars("place"), "p", 1) == "position 1"
    )


def test_a_run_that_was_not_read_at_the_position_says_where_it_was(folder):
    """Facts with fewer values have fewer positions; the page ended in a fault of its own."""
    for name, positions in (("a", slice(None)), ("b", slice(2))):
        run = make_run(folder.parent / f"{folder.name}-5", name, "single", steps=(64,))
        made = make_result(run, "p", 64, last=64, family="linear", layers=3)
        save_result(result_path(run.path, "p", "linear", 64), made.isel(position=positions))
    words = texts(
        draw_page(
            make_view(run.path.parent, "/layers?runs=a,b&position=4&target=company/whole"), "k"
        ).children
    )
    assert "This run was not read at position 4; it has position 0, position 1." in words


def test_the_overview_shows_a_probe_of_everybody(folder):
    run = make_run(folder.parent / f"{folder.name}-6", "some", "single", steps=(0, 64))
    add_results(run, "p", steps=(64,), family="linear", layers=3)
    for variant in ("group-rich", "tasks-parity"):
        for step in (0, 64):
            for kind in ("p", "q"):
                made = make_result(run, kind, step, last=64).assign_attrs(variant=variant)
                save_result(result_path(run.path, kind, "embedding", step, variant), made)
    add_results(run, "q", steps=(64,), family="linear")
    view = make_view(run.path.parent, "/overview?runs=some")
    assert p_set(view.runs[0]) == "p-linear"
    shown = {one.page: one.steps for one in headlines(view, view.runs[0])}
    assert shown["p-probe"] == [64] and shown["q-probe"] == [64]
