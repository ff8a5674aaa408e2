"""From folders to what pages show: index, library, selection, frames, notes. No browser."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from workbench_app.entries import pieces_of, read_entity
from workbench_app.frames import UNIT, make_frames
from workbench_app.index import RunIndex, make_id
from workbench_app.library import ResultLibrary
from workbench_app.metrics import with_derived
from workbench_app.notes import Notes, parse_tags, read_notes, write_notes
from workbench_app.pages.recipes import compare_recipes
from workbench_app.selection import Selection, parse_cell, parse_selection, resolve_runs
from workbench_app.slices import shown_step, slice_probe

from tests.app.made_runs import add_results, make_result, make_run
from workbench.errors import WorkbenchError
from workbench.figures.cells import chance_words
from workbench.results.storing import load_results, result_path, save_result
from workbench.studies.runs import open_run


def test_the_index_knows_runs_by_id_and_tells_what_is_broken(runs_folder):
    entries = RunIndex(runs_folder).entries()
    assert list(entries) == ["broken", "multi5+permute", "single", "young"]
    assert "not valid TOML" in entries["broken"].fault
    assert entries["single"].steps == [0, 16, 64, 256, 1018]
    assert list(entries["single"].result_sets["p-embedding"]) == [0, 16, 64, 256, 1018]
    assert entries["single"].sets_of("p") == ["p-embedding", "p-linear"]


def test_ids_of_nested_runs_are_no_paths(tmp_path):
    make_run(tmp_path / "a", "same", steps=(0,))
    make_run(tmp_path / "b", "same", steps=(0,))
    make_run(tmp_path, "a_same", steps=(0,))
    assert sorted(RunIndex(tmp_path).entries()) == ["a_same", "a~same", "b~same"]


def test_an_id_depends_on_the_run_alone(tmp_path):
    """The first of two names that look alike had the id of the second once the first was gone."""
    names = ["größe 1", "größe_1", "größe-1", "gr__e_1", "plain"]
    ids = [make_id(name) for name in names]
    assert len(set(ids)) == len(names)
    assert ids[3:] == ["gr__e_1", "plain"]
    assert all(re.fullmatch(r"[A-Za-z0-9._+~-]+", name) for name in ids)
    for name in names:
        make_run(tmp_path, "made", steps=(0,))
        (tmp_path / "made").rename(tmp_path / name)
    index = RunIndex(tmp_path, pause=0)
    assert set(index.entries()) == set(ids)
    shutil.rmtree(tmp_path / names[0])
    assert index.get(ids[0]) is None
    assert index.entries()[ids[1]].path.name == names[1]


def test_a_link_to_a_folder_above_changes_no_id(tmp_path):
    make_run(tmp_path, "zero")
    make_run(tmp_path / "group", "one")
    (tmp_path / "all").symlink_to(".")
    (tmp_path / "group" / "again").symlink_to("..")
    assert set(RunIndex(tmp_path).entries()) == {"zero", "group~one"}


def test_a_run_that_links_lead_to_is_one_run(tmp_path, monkeypatch):
    make_run(tmp_path / "disk", "far", steps=(0,))
    make_run(tmp_path / "runs", "near", steps=(0,))
    for name, target in {"a-link": "near", "b-link": "near", "elsewhere": "../disk/far"}.items():
        (tmp_path / "runs" / name).symlink_to(target)
    assert list(RunIndex(tmp_path / "runs").entries()) == ["elsewhere", "near"]
    monkeypatch.chdir(tmp_path / "runs" / "near")
    assert [(entry.id, entry.name) for entry in RunIndex(Path()).entries().values()] == [("near", "near")]


def test_an_unchanged_run_is_not_read_again(own_runs):
    index = RunIndex(own_runs, pause=0)
    before = index.entries()
    again = index.entries()
    assert all(again[name] is before[name] for name in before)
    add_results(open_run(own_runs / "young"), "p", steps=(16,))
    assert index.entries()["young"] is not before["young"]
    assert index.entries()["single"] is before["single"]


def test_the_library_joins_what_is_sound_and_tells_what_is_not(own_runs):
    index, library = RunIndex(own_runs, pause=0), ResultLibrary()
    file = result_path(own_runs / "single", "p", "embedding", 64)
    file.write_bytes(file.read_bytes()[:2000])
    other = make_result(open_run(own_runs / "single"), "p", 16, last=1018, settings={"rank": 8})
    save_result(result_path(own_runs / "single", "p", "embedding", 16), other)
    loaded = library.load(index.entries()["single"], "p-embedding")
    assert loaded.data["checkpoint"].values.tolist() == [0, 256, 1018]
    assert "truncated or damaged" in loaded.faults[0]
    assert "rank is 8, not 2" in loaded.faults[1]


def test_the_librarys_numbers_are_the_stored_ones(runs_folder):
    loaded = ResultLibrary().load(RunIndex(runs_folder).entries()["single"], "p-embedding").data
    stored = load_results(runs_folder / "single", "p", "embedding")
    np.testing.assert_allclose(loaded["accuracy"].values, stored["accuracy"].values, rtol=1e-6)
    assert loaded["accuracy"].dtype == np.float32


def test_the_library_forgets_the_least_recent(runs_folder):
    entries, library = RunIndex(runs_folder).entries(), ResultLibrary(budget=1)
    first = library.load(entries["single"], "p-embedding")
    assert library.load(entries["single"], "p-embedding") is first
    library.load(entries["single"], "q-embedding")
    assert library.load(entries["single"], "p-embedding") is not first


def test_a_retrained_checkpoint_makes_its_result_stale(own_runs):
    info = own_runs / "single" / "checkpoints" / "step-00000064" / "checkpoint.json"
    info.write_text(json.dumps({"step": 64, "sha256": {"model.safetensors": "f" * 64}}))
    assert ResultLibrary().load(RunIndex(own_runs).entries()["single"], "p-embedding").stale == [64]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("/p-probe", "?runs=a,b,a&step=64"), Selection("p-probe", ("a", "b"), 64)),
        (("/", ""), Selection("overview")),
        (
            ("/p-probe/", "?step=-4&position=x&entity=7"),
            Selection(
                "p-probe",
                entity=7,
                told=(
                    "The step '-4' is no whole number from 0 on; it is left out.",
                    "The position 'x' is no whole number from 0 on; it is left out.",
                ),
            ),
        ),
        ((None, None), Selection("overview")),
    ],
)
def test_addresses_are_read(address, expected):
    assert parse_selection(*address) == expected


def test_what_an_address_names_in_vain_is_told(runs_folder):
    entries = RunIndex(runs_folder).entries()
    selection, chosen = resolve_runs(parse_selection("/nothing", "?runs=single,../../etc"), entries)
    assert [entry.id for entry in chosen] == ["single"]
    assert selection.page == "overview"
    assert "There is no page 'nothing'" in selection.told[0]
    assert "'../../etc'" in selection.told[1]


@pytest.mark.parametrize("text", ["", "a", "a:b", "a:b:c", ":1:t", "a::t", "a:1:"])
def test_what_is_no_cell(text):
    assert parse_cell(text) is None


def test_a_cell():
    assert parse_cell("multi5+permute:3:company_city/whole") == ("multi5+permute", 3, "company_city/whole")


@pytest.mark.parametrize(("step", "shown"), [(None, 64), (0, 0), (15, 0), (16, 16), (1000, 64)])
def test_the_newest_checkpoint_not_after_the_step_stands_for_it(step, shown):
    assert shown_step([0, 16, 64], step) == shown


def test_frames_are_the_cells_in_millionths(runs_folder):
    data = slice_probe(load_results(runs_folder / "single", "p", "embedding"))
    frames = make_frames(data, "accuracy", run="single", name="single")
    row = frames["targets"].index("birth_city/first")
    cell = data["accuracy"].sel(checkpoint=64, position=1, target="birth_city/first")
    assert frames["values"]["shown"][2][row * 6 + 1] == round(UNIT * float(cell))
    assert frames["values"]["shown"][2][row * 6 + 2] is None
    assert frames["chance"] == [
        list(chance_words(data.sel(checkpoint=step)).values()) for step in frames["steps"]
    ]
    assert len(json.dumps(frames)) < 80_000


def test_derived_metrics():
    data = make_data()
    derived = with_derived(data)
    np.testing.assert_allclose(derived["above_chance"], [[0.4]])
    np.testing.assert_allclose(derived["selectivity"], [[0.3]])


def make_data():
    import xarray as xr

    dims = ("position", "target")
    return xr.Dataset({"accuracy": (dims, [[0.5]]), "control": (dims, [[0.2]]), "chance": ("target", [0.1])})


def test_a_layer_is_chosen_and_the_deepest_by_default(runs_folder):
    data = load_results(runs_folder / "single", "p", "linear")
    cell = {"checkpoint": 1018, "position": 1, "target": "birth_city/first"}
    for layer, index in (("2", 2), ("", 4), ("nonsense", 4)):
        shown = slice_probe(data, layer).sel(cell)["accuracy"]
        assert float(shown) == float(data.isel(layer=index).sel(cell)["accuracy"])


def test_recipes_compared():
    rows = compare_recipes([{"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": None}}])
    assert rows == [("a", ["1", "1"], False), ("b.c", ["2", "3"], True), ("b.d", ["–", "–"], False)]


def test_notes_are_kept_and_long_ones_refused(tmp_path):
    assert parse_tags(" a, b,,a ") == ("a", "b")
    write_notes(tmp_path, Notes("see figure 5", ("good",)))
    assert read_notes(tmp_path) == Notes("see figure 5", ("good",))
    with pytest.raises(WorkbenchError, match="at most"):
        write_notes(tmp_path, Notes("x" * 5000))
    (tmp_path / "notes.json").write_text("[")
    assert read_notes(tmp_path) == Notes()


def test_an_entity_and_the_pieces_of_their_entries(runs_folder):
    found = read_entity(runs_folder / "multi5+permute", 7)
    assert found.entity["id"] == 7
    assert len(found.entries) == 5
    for entry in found.entries:
        pieces = pieces_of(entry)
        assert "".join(words for _, words in pieces) == entry["text"]
        assert {role: words for role, words in pieces if role not in ("text", "name")} == found.entity[
            "values"
        ]
    with pytest.raises(WorkbenchError, match="ids run from 0 to 39"):
        read_entity(runs_folder / "multi5+permute", 40)
