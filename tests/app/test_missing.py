"""What a page says where it has nothing to show: why, and the exact command that fills it."""

import json
import shlex
import shutil
from dataclasses import replace

import pytest
import typer
from workbench_app.drawing import draw_page
from workbench_app.index import RunIndex
from workbench_app.missing import probe_command
from workbench_app.selection import PAGES
from workbench_app.server import DEMO_FOLDER

from tests.app.made_runs import add_results, make_run
from tests.app.test_analyses import texts
from tests.app.test_other_results import make_view
from workbench.cli import app as command_line

EMPTY_FOR = [page for page in PAGES if page not in ("runs", "claims")]  # which are not about results of a run
FILLS = {
    "p-probe": "workbench probe {run} --checkpoints all",
    "q-probe": "workbench probe {run} --kind q --checkpoints all",
    "layers": "workbench probe {run} --family logistic --checkpoints all",
    "sets": "workbench probe {run} --kind seen --checkpoints all",
    "attention": "workbench attention {run} --what shares --checkpoints all",
    "answers": "workbench finetune {run} && workbench evaluate {run} --adapter lora",
    "cases": "workbench probe {run} --checkpoints all && workbench finetune {run} && "
    "workbench evaluate {run} --adapter lora",
    "tasks": "workbench finetune {run} --tasks retrieval,dual && "
    "workbench evaluate {run} --adapter lora-tasks --tasks taught",
    "compare": "workbench probe {run} --checkpoints all",
    "overview": "workbench probe {run} --checkpoints all",
    "capacity": "workbench capacity {run} --checkpoints all",
    "reasoning": "workbench probe {run} --kind v --table queries.jsonl --checkpoints all",
    "training": "workbench probe {run} --checkpoints all",
    "entity": "workbench entity {run} --entity 0 --checkpoints all",
    "paper": "workbench probe {run} --checkpoints all",
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Runs without results: finished, not trained, in training without a checkpoint, and one of a broken recipe."""
    folder = tmp_path_factory.mktemp("bare")
    make_run(folder, "done", steps=(0, 16))
    for name, state in (("new", "new"), ("busy", "training")):
        run = make_run(folder, name, steps=(0,), state=state)
        shutil.rmtree(run.path / "checkpoints")
        (run.path / "metrics.jsonl").unlink()
    progress = {"step": 3, "steps": 100, "seconds_left": 9.0}
    (folder / "busy" / "progress.json").write_text(json.dumps(progress))
    broken = make_run(folder, "broken", steps=(0,))
    (broken.path / "recipe.toml").write_text("[entities\n")
    changed = make_run(folder, "changed", steps=(0,))
    recipe = changed.path / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("seed = 0", "seed = 1", 1), encoding="utf-8")
    return folder


def commands(component) -> list[str]:
    """The command lines in a component tree."""
    if isinstance(component, list | tuple):
        return [line for item in component for line in commands(item)]
    if getattr(component, "className", "") == "command":
        return [component.children[0].children]
    return commands(getattr(component, "children", None) or [])


def check_that_it_parses(line: str) -> None:
    """A command line names a command, and options that it has."""
    known = typer.main.get_command(command_line)
    for part in line.split(" && "):
        program, name, *arguments = shlex.split(part)
        assert program == "workbench"
        known.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("page", EMPTY_FOR)
def test_every_empty_page_names_the_command_that_fills_it(bare, page):
    shown = commands(draw_page(make_view(bare, f"/{page}?runs=done"), "k").children)
    assert shown and set(shown) == {FILLS[page].format(run=bare / "done")}, page
    for line in shown:
        check_that_it_parses(line)


@pytest.mark.parametrize("page", EMPTY_FOR)
def test_a_run_without_a_checkpoint_is_trained_first(bare, page):
    run = bare / "new"
    train = f"workbench train {run}/recipe.toml --out {run} --resume"
    shown = commands(draw_page(make_view(bare, f"/{page}?runs=new"), "k").children)
    assert shown and all(line.startswith(train) for line in shown), page
    assert shown[-1].removeprefix(train).removeprefix(" && ") in ("", FILLS[page].format(run=run))
    for line in shown:
        check_that_it_parses(line)
    page_of_busy = draw_page(make_view(bare, f"/{page}?runs=busy"), "k")
    assert "Being trained right now" in str(page_of_busy.children)
    assert train not in str(page_of_busy.children)


@pytest.mark.parametrize("page", EMPTY_FOR)
@pytest.mark.parametrize("run", ["broken", "changed"])
def test_a_broken_recipe_is_told_in_place_of_a_command_that_would_refuse(bare, page, run):
    words = str(draw_page(make_view(bare, f"/{page}?runs={run}"), "k").children)
    assert ("not valid TOML" if run == "broken" else "has been changed since the run was made") in words
    assert "workbench probe" not in words and "This page failed" not in words


@pytest.mark.parametrize("page", PAGES)
def test_without_any_run_every_page_names_the_quickstart(tmp_path, page):
    view = replace(make_view(tmp_path, f"/{page}"), folder=str(tmp_path))
    shown = commands(draw_page(view, "k").children)
    assert shown == [f"workbench quickstart --out {tmp_path}"]
    check_that_it_parses(shown[0])


def test_the_demo_which_has_no_weights_names_the_commands_for_a_run_of_ones_own():
    view = replace(make_view(DEMO_FOLDER, "/sets?runs=single-seed1"), writable=False)
    shown = commands(draw_page(view, "k").children)
    assert all("--kind seen" in line and str(DEMO_FOLDER) not in line for line in shown)


@pytest.mark.parametrize(
    ("set_name", "options"),
    [
        ("p-embedding", ""),
        ("p-embedding+rank4+steps50", "--rank 4 --steps 50"),
        ("q-logistic+layers-0-final", "--kind q --family logistic --layers 0,final"),
        ("p-ridge+group-the-few+seeds0-1-2", "--family ridge --group the-few --seeds 0,1,2"),
        ("seen-embedding+seed1", "--kind seen --seed 1"),
    ],
)
def test_the_command_of_a_result_set_is_the_one_that_made_it(bare, set_name, options):
    entry = RunIndex(bare).entries()["done"]
    line = shlex.join(probe_command(entry, set_name))
    assert line == " ".join(f"workbench probe {entry.path} {options} --checkpoints all".split())
    check_that_it_parses(line)


def test_a_lone_checkpoints_detail_names_the_command_of_its_own_kind(tmp_path):
    from workbench_app import detail

    run = make_run(tmp_path, "one", steps=(16,))
    add_results(run, "q", steps=(16,))
    shown = commands(detail.render(make_view(tmp_path, "/q-probe"), "one:0:birth_city/whole"))
    assert shown == [f"workbench probe {run.path} --kind q --checkpoints all"]


def test_nobody_is_told_to_look_at_who_is_not_there(runs_folder):
    page = texts(draw_page(make_view(runs_folder, "/entity?runs=single&entity=99"), "k").children)
    assert "There is no entity 99; ids run from 0 to 39." in page and "workbench entity" not in page
    page = texts(draw_page(make_view(runs_folder, "/entity?runs=single&entity=9"), "k").children)
    assert "--entity 9" in page
