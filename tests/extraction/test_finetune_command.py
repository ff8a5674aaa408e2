"""`workbench finetune` and `workbench evaluate`: what they print and refuse, grids, and stopping half-way."""

import json
import re
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.micro_runs import files_of
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.experiments.finetune_grid import make_grid, make_grid_table, parse_grid
from workbench.extraction.finetunes import list_finetunes, open_finetune
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings
from workbench.extraction.unfinished import unfinished_folder
from workbench.studies.runs import Run
from workbench.training.interruption import Interrupted

SMALL = ["--steps", "2", "--rank", "2", "--embedding-rank", "2", "--questions-per-step", "6"]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands(own_run: Run, tmp_path: Path) -> None:
    path = str(own_run.path)
    command = ["finetune", path, *SMALL]
    text = invoke(*command, "--device", "cpu", "--name", "mine", "--merge", "-q")
    assert "best" in text and f"next: workbench evaluate {path} --adapter mine" in text.replace("\n", "")
    text = invoke("evaluate", path, "--adapter", "mine", "--device", "cpu", "--examples", "2", "--beams", "4")
    assert "birth date" in text and "what was said" in text
    assert re.search(r"2 of \d+ wrong answers", text)
    answer = json.loads(invoke("evaluate", path, "--adapter", "mine", "--device", "cpu", "--json"))
    assert len(answer["cells"]) == 12
    assert {row["split"] for row in answer["cells"]} == {"train", "test"}


def test_by_default_a_step_holds_as_many_of_each_kind_however_many_kinds_there_are(
    own_run: Run, tmp_path: Path
) -> None:
    """96 questions are no multiple of five or seven kinds; a number that is given stays what it is."""
    asked = own_run.corpus.questions
    five = sorted({question.attribute for question in asked})[:5]
    file = tmp_path / "five.jsonl"
    rows = [{"entity": q.entity, "attribute": q.attribute, "prompt": q.prompt} for q in asked]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows if row["attribute"] in five))
    few = ["finetune", str(own_run.path), "--steps", "1", "--rank", "2", "--embedding-rank", "2", "--json"]
    few += ["--device", "cpu", "-q"]

    def held(*options: str) -> list[int]:
        made = json.loads(invoke(*few, *options))
        return [one["settings"]["questions_per_step"] for one in (made if isinstance(made, list) else [made])]

    assert held() == [96]  # six attributes
    assert held("--name", "five", "--questions", str(file)) == [95]
    assert held("--name", "given", "--questions", str(file), "--questions-per-step", "10") == [10]
    assert held("--tasks", "dual", "--name", "grid", "--grid", "questions_per_step=6,12") == [6, 12]
    with pytest.raises(WorkbenchError, match=r"^96 questions a step .* of the 5 attributes; use 95\.$"):
        held("--name", "wrong", "--questions", str(file), "--questions-per-step", "96")


def test_an_attribute_asked_of_fewer_entities_says_of_how_many(own_run: Run, tmp_path: Path) -> None:
    one, other = [entity.id for entity in own_run.corpus.entities if entity.split == "test"][:2]
    asked = {(one, "birth_city"), (other, "birth_city"), (one, "major")}
    file = tmp_path / "own.jsonl"
    rows = [
        {"entity": q.entity, "attribute": q.attribute, "prompt": q.prompt} for q in own_run.corpus.questions
    ]
    chosen = [row for row in rows if (row["entity"], row["attribute"]) in asked]
    file.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    told = invoke("evaluate", str(own_run.path), "--questions", str(file), "--device", "cpu")
    assert "% of 2 test and 0 train entities (of fewer test: major 1):" in " ".join(told.split())
    file.write_text("".join(json.dumps(row) + "\n" for row in chosen if row["attribute"] == "birth_city"))
    told = invoke("evaluate", str(own_run.path), "--questions", str(file), "--device", "cpu")
    assert "of fewer" not in told


def test_own_questions_about_strangers_and_wrong_halves_are_refused(own_run: Run, tmp_path: Path) -> None:
    entity = own_run.corpus.entities[0]
    prompt = own_run.corpus.questions[1].prompt
    file = tmp_path / "own.jsonl"

    def run_with(**row: object) -> str:
        file.write_text(json.dumps({"attribute": "birth_city", "prompt": prompt, **row}) + "\n")
        return invoke("evaluate", str(own_run.path), "--questions", str(file), "--device", "cpu")

    assert "birth city" in run_with(entity=0)
    for row, message in [
        ({"entity": 99}, r"about entity 99, whom the run does not know; its entities are 0 to 23"),
        ({"name": "No Body"}, r"about 'No Body', whom the run does not know"),
        ({"entity": True}, r"about entity True, whom the run does not know"),
        ({"name": ["No", "Body"]}, r"about \['No', 'Body'\], whom the run does not know"),
        (
            {"entity": 0, "name": "No Body"},
            r"entity 0 of this run is .*, not 'No Body'; give one of the two",
        ),
        (
            {"entity": 0, "prompt": "Wherefore art?"},
            r"holds the word 'Wherefore', which this closed vocabulary",
        ),
        ({"entity": 0, "attribute": "height"}, r"attribute is 'height'; expected one of birth_date"),
        ({"entity": 0, "split": "test" if entity.split == "train" else "train"}, r"leave the split out"),
        ({"entity": 0, "prompt": " "}, r"prompt is ' '; expected a text"),
        ({"entity": 0, "prompt": " ".join([prompt] * 40)}, r"but the model reads 128"),
    ]:
        with pytest.raises(WorkbenchError, match=message):
            run_with(**row)


def test_questions_nobody_may_be_trained_on_are_refused(own_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    of_test = [question for question in own_run.corpus.questions if question.split == "test"]
    file.write_text("".join(json.dumps(asdict(question)) + "\n" for question in of_test[:6]))
    with pytest.raises(
        WorkbenchError, match=r"No question is about a train entity, .*entities.jsonl says who"
    ):
        invoke("finetune", str(own_run.path), "--questions", str(file))
    file.write_text("")
    with pytest.raises(
        WorkbenchError, match=r"own.jsonl holds no questions; it needs one JSON object a line"
    ):
        invoke("finetune", str(own_run.path), "--questions", str(file))


@pytest.mark.parametrize("which", ["all", "0,7", "every:2", "7"])
def test_one_checkpoint_is_finetuned_and_asked(own_run: Run, which: str) -> None:
    for command in ("finetune", "evaluate"):
        with pytest.raises(WorkbenchError, match=rf"no checkpoint '{which}'; choose one of 0, \d+, last\."):
            invoke(command, str(own_run.path), "--step", which)


@pytest.mark.parametrize("name", ["", "none", "../lora", "a/b", ".hidden"])
def test_a_name_that_is_no_folder_is_refused(own_run: Run, name: str) -> None:
    with pytest.raises(WorkbenchError, match=r"A finetune cannot be called '.*'; give --name a plain word"):
        invoke("finetune", str(own_run.path), *SMALL, "--name", name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "0"], r"finetuning's lr is 0; expected a number above 0"),
        (["--grid", "lr=1e-3,nan"], r"finetuning's lr is nan; expected a number above 0"),
        (["--grid", "steps=2,0"], r"finetuning's steps is 0; expected at least 1"),
        (["--rank", "65"], r"rank 65 is larger than the matrices it updates.*; choose at most 64"),
        (["--grid", "embedding_rank=2,99"], r"The embedding rank 99 is larger .*; choose at most 64"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_made(
    own_run: Run, arguments: list[str], message: str
) -> None:
    with pytest.raises(WorkbenchError, match=message):
        invoke("finetune", str(own_run.path), "--questions-per-step", "6", *arguments)
    assert not (own_run.path / "finetunes").exists()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_stopped_finetune_continues_to_the_same_bytes(own_run: Run, method: str) -> None:
    ranks = {"rank": 2, "embedding_rank": 2} if method == "lora" else {"rank": 0, "embedding_rank": 0}
    settings = FinetuneSettings(
        method=method, **ranks, lr=1e-2, steps=7, questions_per_step=6, evaluate_every=3
    )  # type: ignore[arg-type]
    straight = finetune(own_run, own_run.checkpoint(), settings, name="straight", device="cpu")

    def stop_at_five(step: int, _steps: int, _loss: float) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match=r"Stopped at step 5 of 7 and saved; the same command continues"):
        finetune(own_run, own_run.checkpoint(), settings, name="halted", device="cpu", observer=stop_at_five)
    halfway = unfinished_folder(own_run.path / "finetunes" / "halted")
    assert halfway.is_dir() and [found.name for found in list_finetunes(own_run)] == ["straight"]
    seen: list[int] = []
    halted = finetune(
        own_run,
        own_run.checkpoint(),
        settings,
        name="halted",
        device="cpu",
        observer=lambda step, _n, _loss: seen.append(step),
    )
    assert seen == [6, 7] and not halfway.exists()
    assert halted.info["measurements"] == straight.info["measurements"]
    weights = [
        {str(file.relative_to(made.path)): content for file, content in _tensors(made.path).items()}
        for made in (straight, halted)
    ]
    assert weights[0] == weights[1] != {}


def _tensors(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*.safetensors")}


def test_an_unfinished_finetune_of_other_settings_or_with_damage_is_refused(own_run: Run) -> None:
    settings = FinetuneSettings(rank=2, embedding_rank=2, steps=4, questions_per_step=6, evaluate_every=2)

    def stop(_step: int, _steps: int, _loss: float) -> None:
        signal.raise_signal(signal.SIGINT)

    def run_with(settings: FinetuneSettings, **options: bool) -> None:
        finetune(own_run, own_run.checkpoint(), settings, name="mine", device="cpu", **options)  # type: ignore[arg-type]

    with pytest.raises(Interrupted):
        finetune(own_run, own_run.checkpoint(), settings, name="mine", device="cpu", observer=stop)
    other = FinetuneSettings(**{**settings.as_dict(), "lr": 1e-2})
    with pytest.raises(WorkbenchError, match=r"lr is 0.0003 there and 0.01 here\); give --name"):
        run_with(other)
    state = unfinished_folder(own_run.path / "finetunes" / "mine") / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(WorkbenchError, match=r"state.safetensors is missing or damaged; start afresh with"):
        run_with(settings)
    run_with(settings, again=True)
    assert open_finetune(own_run, "mine").step("last") == 4


def test_a_loss_that_is_not_finite_ends_the_finetune_at_once(own_run: Run) -> None:
    settings = FinetuneSettings(rank=2, embedding_rank=2, lr=1e38, steps=50, questions_per_step=6)
    seen: list[int] = []
    with pytest.raises(WorkbenchError, match=r"The loss is (nan|inf) at step \d+; lower --lr \(now 1e\+38\)"):
        finetune(
            own_run,
            own_run.checkpoint(),
            settings,
            device="cpu",
            observer=lambda step, _n, _loss: seen.append(step),
        )
    assert len(seen) < 10


def test_a_grid_of_ranks_stands_beside_the_papers(own_run: Run) -> None:
    settings = {"embedding_rank": 16, "steps": 1, "questions_per_step": 6, "evaluate_every": 1}
    made = [
        finetune(own_run, own_run.checkpoint(), FinetuneSettings(rank=rank, **settings), name=f"r{rank}")
        for rank in (2, 3)
    ]
    table = make_grid_table({"rank": [2, 3]}, made, {"2/16": (0.91, 0.903)})
    cells = {str(column.header): list(column.cells) for column in table.columns}
    rows = dict(
        zip(cells["name"], zip(cells["paper test"], cells["paper train first"], strict=True), strict=True)
    )
    assert rows == {"r2": ("90.3%", "91.0%"), "r3": ("·", "·")}
    assert "paper test" not in [column.header for column in make_grid_table({"rank": [2, 3]}, made).columns]


def test_a_grid_makes_every_combination_and_says_which_answers_best(own_run: Run) -> None:
    path = str(own_run.path)
    arguments = ["--grid", "lr=1e-3,1e-2", "--grid", "seed=0,1", "--device", "cpu", "-q"]
    text = invoke("finetune", path, *SMALL, *arguments)
    names = ["lora+lr0.001", "lora+lr0.01", "lora-seed1+lr0.001", "lora-seed1+lr0.01"]
    assert sorted(found.name for found in list_finetunes(own_run)) == names
    assert "4 finetunes" in text and all(name in text for name in names)
    before = files_of(own_run.path / "finetunes")
    rows = json.loads(invoke("finetune", path, *SMALL, *arguments, "--json"))
    assert [row["settings"]["lr"] for row in rows] == [1e-3, 1e-3, 1e-2, 1e-2]
    assert files_of(own_run.path / "finetunes") == before  # all were there


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["lrr=1"], r"--grid changes 'lrr', which is no setting of a finetune; did you mean 'lr'\?"),
        (["lr"], r"write e.g. `--grid lr=1e-3,3e-4`"),
        (["rank=1.5"], r"--grid 'rank=1.5': rank takes whole numbers between commas"),
        (["lr=1,1"], r"--grid 'lr=1,1': the values must differ"),
        (["lr=1,1.0"], r"the values must differ and not be negative"),
        (["lr=1,-2"], r"the values must differ and not be negative"),
        (["lr=1", "lr=2"], r"lr has been given already; put all its values into one"),
    ],
)
def test_a_grid_that_is_not_understood_is_refused(grid: list[str], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        parse_grid(grid)


def test_a_key_is_given_once_and_names_keep_combinations_apart() -> None:
    with pytest.raises(WorkbenchError, match=r"rank is given by --rank and by --grid; leave one"):
        make_grid(128, {"rank": 8}, {"rank": [8]})
    combinations = make_grid(128, {"method": "lora"}, {"rank": [4, 8], "seed": [0, 1]}, name="try")
    assert [name for name, _ in combinations] == [
        "try+rank4+seed0", "try+rank4+seed1", "try+rank8+seed0", "try+rank8+seed1",
    ]  # fmt: skip
