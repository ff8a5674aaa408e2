"""Folders of runs as their owners have them: `.`, links, volumes; what a power cut leaves in metrics."""

import json
import shutil
from pathlib import Path

import pytest

from tests.training.micro_runs import PLANNED, micro_recipe
from workbench.activations.verify import verify
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import load_corpus
from workbench.studies.metrics_file import read_metrics
from workbench.studies.opening import open_studies
from workbench.studies.runs import RUN_FILE, create_run, open_run
from workbench.studies.series import find_series
from workbench.training.loop import train


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return train(micro_recipe(), tmp_path_factory.mktemp("runs") / "my-run", device="cpu")


def test_a_run_named_dot_has_its_folder_s_name(made, monkeypatch):
    monkeypatch.chdir(made.path)
    assert open_run(".").name == open_run(Path("checkpoints/..")).name == "my-run"


def test_a_run_that_is_reached_twice_is_there_once(made, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(made.path)
    (tmp_path / "other").symlink_to(tmp_path / "link")
    monkeypatch.chdir(made.path)
    opened = open_studies([made.path, Path(), tmp_path / "link", tmp_path / "other"])
    assert len(opened) == 1


def test_a_run_is_made_where_a_link_leads(tmp_path):
    disk = tmp_path / "scratch/mine"
    disk.mkdir(parents=True)
    (tmp_path / "mine").symlink_to(disk)
    run = create_run(micro_recipe(), tmp_path / "mine")
    assert (tmp_path / "mine").is_symlink() and (disk / RUN_FILE).is_file() and run.name == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mine", "scratch"]


def test_a_folder_that_holds_something_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.tex").write_text("mine")
    with pytest.raises(WorkbenchError, match="exists and is not a run"):
        create_run(micro_recipe(), tmp_path / "thesis")
    assert [entry.name for entry in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


ROWS = [{"step": 0, "loss": 1.0}, {"step": 4, "loss": 0.5}]
LINES = [json.dumps(row).encode() for row in ROWS]


@pytest.mark.parametrize(
    "content",
    [
        b"\n".join([*LINES, b""]),
        b"\n".join([*LINES, b'{"step": 8, "lo']),
        b"\n".join([*LINES, b"\0" * 40, b""]),
        b"\n".join([*LINES, b'\0\0\0"loss": 3}', b""]),
        b"\n".join([LINES[0], b"\0" * 4096 + LINES[1], b""]),
    ],
    ids=["whole", "cut", "a line of NUL bytes", "half a row after them", "a row after them"],
)
def test_what_a_power_cut_leaves_of_metrics_is_no_row(content, tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(content)
    assert read_metrics(tmp_path / "metrics.jsonl") == ROWS


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{step 4}", r"line 2, is not valid JSON"),
        (b"{}", "line 2, tells no step"),
        (b"[4, 0.5]", "line 2, tells no step"),
        (b'{"step": "4", "loss": 0.5}', "line 2, tells no step"),
        (b"null", "line 2, tells no step"),
        (b'{"step": 4, "biographies": 3}', "line 2: 'biographies' is no table of shares by half"),
        (
            b'{"step": 4, "answers": {"test": {"mean": "a"}}}',
            "line 2: 'answers' is no table of shares by half",
        ),
    ],
)
def test_a_line_that_is_no_row_is_refused_by_its_number(line, told, tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([LINES[0], line, LINES[1], b""]))
    with pytest.raises(WorkbenchError, match=rf"metrics\.jsonl, {told}"):
        read_metrics(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("content", ["[]", "null", "3", '"finished"'])
def test_a_state_that_is_no_object_is_refused(made, content, tmp_path):
    folder = Path(shutil.copytree(made.path, tmp_path / "run"))
    (folder / RUN_FILE).write_text(content)
    with pytest.raises(
        WorkbenchError, match=r"run\.json holds a JSON \w+, not an object; restore it or delete it"
    ):
        open_run(folder)


def test_checkpoints_of_another_run_are_not_taken_for_its_own(made, tmp_path):
    """Copied in by hand, they would be probed with the wrong corpus."""
    folder = Path(shutil.copytree(made.path, tmp_path / "run"))
    other = train(micro_recipe(seed=7), tmp_path / "other", device="cpu").path
    last = f"checkpoints/step-{PLANNED[-1]:08d}"
    shutil.rmtree(folder / last)
    shutil.copytree(other / last, folder / last)
    for look in (lambda: open_run(folder).checkpoints, lambda: find_series(folder), lambda: verify(folder)):
        with pytest.raises(
            WorkbenchError, match=r"is of another run: its checkpoint\.json names another recipe; move"
        ):
            look()
    moved = tmp_path / "renamed"
    made_again = Path(shutil.copytree(made.path, moved))
    assert [one.step for one in open_run(made_again).checkpoints] == PLANNED


def test_a_run_is_resumed_over_what_a_power_cut_left(made, tmp_path):
    folder = Path(shutil.copytree(made.path, tmp_path / "run"))
    shutil.rmtree(folder / f"checkpoints/step-{PLANNED[-1]:08d}")
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b"\0" * 64 + b"\n")
    run = open_run(folder)
    run.set_status(state="interrupted")
    again = train(micro_recipe(), folder, resume=True, device="cpu")
    assert again.metrics() == made.metrics() and b"\0" not in (folder / "metrics.jsonl").read_bytes()


def cut(file: Path, lines: int) -> int:
    """Take lines from a file's end; how many are left."""
    kept = file.read_bytes().splitlines(keepends=True)[:-lines]
    file.write_bytes(b"".join(kept))
    return len(kept)


def test_metrics_that_end_before_training_did_are_refused(made, tmp_path):
    """Half of the file was read as what training came to."""
    folder = Path(shutil.copytree(made.path, tmp_path / "run"))
    kept = cut(folder / "metrics.jsonl", 1)
    told = rf"metrics\.jsonl ends at step \d+, but the run was trained to its end at step {PLANNED[-1]}"
    with pytest.raises(WorkbenchError, match=told):
        open_run(folder).metrics()
    run = open_run(folder)
    run.set_status(state="interrupted")
    assert len(run.metrics()) == kept


def test_fewer_entities_than_the_recipe_makes_are_refused(made, tmp_path):
    folder = Path(shutil.copytree(made.path, tmp_path / "run"))
    kept = cut(folder / "corpus/entities.jsonl", 3)
    told = rf"entities\.jsonl holds {kept} entities, but the recipe makes {kept + 3}"
    with pytest.raises(WorkbenchError, match=told):
        _ = open_run(folder).corpus


def test_what_is_no_folder_and_no_recipe_is_a_sentence(made, tmp_path):
    for wrong in (None, 5, [], ()):
        with pytest.raises(
            WorkbenchError, match=f"Expected a run or a study, or its folder, and got {type(wrong).__name__}"
        ):
            open_run(wrong)
        with pytest.raises(WorkbenchError, match="Expected a recipe's name or file and got"):
            load_recipe(wrong)
    for wrong in ("seed=1", 5, {3: 1}, [3]):
        with pytest.raises(WorkbenchError, match="Changes to a recipe are"):
            load_recipe("tiny", wrong)
    assert load_corpus(str(made.path / "corpus")).entities == made.corpus.entities
