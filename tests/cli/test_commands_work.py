"""Every command of the main road does what it says, on a micro recipe."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.training.micro_runs import files_of, weights_of
from tests.training.test_resume import stop_after
from workbench.cli.progress import step_bar
from workbench.figures.paper import TARGETS
from workbench.recipes.recipe import load_recipe, shipped_recipes
from workbench.results.storing import list_results
from workbench.studies.runs import Run, open_run
from workbench.training import metrics
from workbench.training.metrics import write_progress


def test_recipes_lists_the_shipped_ones(workbench: Command) -> None:
    answer = workbench("recipes")
    assert answer.status == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == shipped_recipes()
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in answer.out.splitlines()}
    assert lines["tiny"].startswith(f"{load_recipe('tiny').people.number:,} × single · ")
    assert lines["own"] == "the folder facts × single · gpt2-rotary tiny · 120 exposures"
    assert lines["arithmetic-tiny"] == "problems of tiny · gpt2-rotary tiny · 8,000,000 tokens"
    refused = workbench("recipes", "arithmetic-tiny", "--set", "training.exposures=1")
    assert refused.status == 1 and "the budget of the arithmetic world is arithmetic.tokens." in refused.err


def test_recipes_prints_one_that_can_be_edited_and_trained(workbench: Command, tmp_path: Path) -> None:
    answer = workbench("recipes", "tiny", "--set", "seed=3")
    assert answer.status == 0
    (tmp_path / "mine.toml").write_text(answer.out, encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml") == load_recipe("tiny", ["seed=3"])


# --- data


def test_data_prints_samples_and_statistics(workbench: Command, micro_toml: Path) -> None:
    answer = workbench("data", micro_toml, "--samples", 3)
    assert (answer.status, answer.err) == (0, "")
    assert "Entity 0 (everyone, " in answer.out
    assert "Entity 2 (everyone, " in answer.out
    assert "Entity 3 " not in answer.out
    assert "Answer:" in answer.out
    assert "60 entities (" in answer.out
    assert "group everyone: 60 entities, single" in answer.out
    for target in TARGETS:
        assert target in answer.out


def test_data_as_json(workbench: Command, micro_toml: Path) -> None:
    answer = workbench("data", micro_toml, "--set", "biographies.augmentation=multi2", "--json")
    description = json.loads(answer.out)
    assert (description["entities"], description["entries"], description["questions"]) == (60, 120, 360)
    assert list(description["targets"]) == list(TARGETS)
    assert all(0 < target["chance"] < 1 for target in description["targets"].values())


def test_data_writes_what_a_recipe_can_read_again(
    workbench: Command, micro_toml: Path, tmp_path: Path
) -> None:
    assert workbench("data", micro_toml, "--out", "corpus", "--samples", 0).status == 0
    written = {path.name for path in (tmp_path / "corpus").iterdir()}
    assert written == {"schema.json", "entities.jsonl", "entries.jsonl", "questions.jsonl"}
    again = workbench("data", micro_toml, "--set", "biographies.corpus=corpus", "--json")
    assert json.loads(again.out) == json.loads(workbench("data", micro_toml, "--json").out)


def test_data_starts_and_checks_a_folder_of_own_facts(workbench: Command, tmp_path: Path) -> None:
    started = workbench("data", "towns", "--init")
    assert (started.status, started.out.splitlines()[-1]) == (
        0, "next: workbench data towns, workbench train own --set own.folder=towns"
    )  # fmt: skip
    answer = workbench(
        "data", "towns", "--set", "own.entities=40", "--set", "own.augmentation=multi∞", "--json"
    )
    description = json.loads(answer.out)
    assert (description["entities"], description["entries"], description["questions"]) == (40, 40, 160)
    assert list(description["targets"])[-1] == "founded/century"
    assert description["groups"] == {"everyone": {"entities": 40, "augmentation": "multi∞"}}
    again = workbench("data", "towns", "--init")
    assert (again.status, again.err.strip()) == (
        1,
        "workbench: towns exists already; give --init a new name.",
    )


def test_data_says_what_is_missing_and_what_follows(workbench: Command, tmp_path: Path) -> None:
    workbench("data", "towns", "--init")
    table = tmp_path / "towns" / "entities.csv"
    head, *rows = (line.split(",") for line in table.read_text().splitlines())
    craft = {
        founder: f"craft {number % 3}" for number, founder in enumerate(sorted({row[2] for row in rows}))
    }
    for row in rows:
        row[3] = craft[row[2]]
    rows[0][1] = rows[5][1] = ""  # the first town has no river
    table.write_text("\n".join(",".join(row) for row in [head, *rows]) + "\n")
    answer = workbench("data", "towns", "--samples", 2)
    assert "river is missing of 2 entities" in answer.out
    assert (
        'craft follows from founder in every entity, so who reads founder reads craft: determined_by = "founder" says'
        in answer.out
    )
    assert f"for? Answer: {rows[0][3]}" in answer.out and f"founded {rows[1][0]}?" not in answer.out
    facts = tmp_path / "towns" / "facts.toml"
    facts.write_text(facts.read_text().replace('key = "craft"', 'key = "craft"\ndetermined_by = "founder"'))
    assert "follows from" not in workbench("data", "towns").out


# --- train


def test_train_makes_a_run_and_says_what_is_next(
    workbench: Command, micro_toml: Path, tmp_path: Path
) -> None:
    answer = workbench("train", micro_toml)
    assert answer.status == 0, answer.err
    assert answer.out.splitlines()[0].startswith("runs/micro: step 12, 3 checkpoints, loss ")
    assert "next: workbench probe runs/micro" in answer.out
    assert "12/12" in answer.err  # the progress bar keeps off stdout
    run = open_run(tmp_path / "runs" / "micro")
    assert run.status["state"] == "finished"
    assert {path.name for path in run.path.iterdir()} >= {
        "recipe.toml", "run.json", "corpus", "tokenizer", "metrics.jsonl", "checkpoints",
    }  # fmt: skip
    before = files_of(run.path / "checkpoints")
    again = workbench("train", micro_toml, "--quiet")
    assert (again.status, again.out, again.err) == (0, answer.out, "")
    assert files_of(run.path / "checkpoints") == before


def test_train_as_json(workbench: Command, micro_toml: Path) -> None:
    answer = workbench("train", micro_toml, "--out", "here", "--set", "seed=1", "--quiet", "--json")
    assert (answer.status, answer.err) == (0, "")
    told = json.loads(answer.out)
    assert (told["run"], told["checkpoints"], told["step"]) == ("here", [0, 4, 12], 12)
    assert set(told["biographies"]) == {"train", "test"}


def test_train_stops_on_a_signal_and_resumes(
    workbench: Command, micro_toml: Path, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6, signal.SIGINT)
        stopped = workbench("train", micro_toml, "--quiet")
    assert stopped.status == 130
    assert stopped.err.strip() == "workbench: Stopped at step 6 of 12 and saved; continue with --resume."
    assert stopped.out == ""
    assert workbench("train", micro_toml, "--quiet", "--resume").status == 0
    assert weights_of(open_run(tmp_path / "runs" / "micro")) == weights_of(finished_run)
    assert "Continuing from step 6" in (tmp_path / "runs" / "micro" / "log.txt").read_text()


# --- probe and report


@pytest.mark.parametrize(("kind", "positions"), [("p", 6), ("q", 1)])
def test_probe_prints_a_table_and_keeps_the_result(
    kind: str, positions: int, workbench: Command, own_run: Run
) -> None:
    answer = workbench("probe", own_run.path, "--kind", kind)
    assert answer.status == 0, answer.err
    assert "birth" in answer.out.lower()
    assert [(found.kind, found.steps) for found in list_results(own_run.path)] == [(kind, [12])]
    rows = json.loads(workbench("probe", own_run.path, "--kind", kind, "--quiet", "--json").out)
    assert len(rows) == positions * 11
    assert {row["target"] for row in rows} == set(TARGETS)
    for row in rows:
        assert (row["accuracy"] is None) == (row["n"] == 0)


def test_probe_takes_steps_and_variants(workbench: Command, own_run: Run) -> None:
    assert workbench("probe", own_run.path, "--checkpoints", "0,12", "--rank", 0, "--quiet").status == 0
    (found,) = list_results(own_run.path)
    assert (found.kind, found.family, found.steps) == ("p", "embedding+rank0", [0, 12])


def test_several_runs_seeds_and_figures_in_one_call(workbench: Command, own_run: Run, tmp_path: Path) -> None:
    options = ("--kind", "q", "--seeds", "0,1", "--quiet", "--figure", "figures.html")
    answer = workbench("probe", own_run.path, own_run.path, *options)
    assert answer.status == 0, answer.err
    # A run that is named twice is there once.
    assert answer.out.count("· Q-probe (embedding, seeds0-1) · step 12") == 1
    assert "mean over 2 seeds" in answer.out
    page = (tmp_path / "figures.html").read_text(encoding="utf-8")
    assert "From the name alone" in page
    assert 'src="http' not in page


def test_progress_can_be_read_while_probing_and_is_gone_afterwards(
    workbench: Command, own_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def write(folder: Path, content: dict[str, object]) -> None:
        write_progress(folder, content)
        seen.append(json.loads((folder / "progress.json").read_text()))

    monkeypatch.setattr(metrics, "write_progress", write)
    assert workbench("probe", own_run.path, "--checkpoints", "0,12", "--quiet").status == 0
    assert seen[0]["what"] == "p-probe, step 0"
    assert (seen[0]["step"], seen[0]["steps"]) == (1, 12)  # two checkpoints of six steps
    assert set(seen[0]) == {"what", "step", "steps", "loss", "tokens_per_second", "mfu", "seconds_left"}
    words = metrics.describe_progress(seen[0])  # what the quickstart's bar says
    assert words.startswith(f"step 1/12 · loss {seen[0]['loss']:.2f} · ")
    assert "tokens/s" not in words
    assert not (own_run.path / "progress.json").exists()
    own_run.set_status(state="training")
    (own_run.path / "progress.json").write_text("of the training")
    assert workbench("probe", own_run.path, "--again", "--quiet").status == 0
    assert (own_run.path / "progress.json").read_text() == "of the training"


def test_a_job_tells_at_once_what_it_does_and_no_time_that_it_cannot_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = tmp_path / "job.progress.json"
    monkeypatch.setenv(metrics.PROGRESS_VARIABLE, str(watched))
    with step_bar("asking", quiet=True):
        told = json.loads(watched.read_text())
    assert told == {"what": "asking", "step": 0, "steps": 1, "seconds_left": None}
    assert metrics.describe_progress(told) == "step 0/1"


def test_report_is_one_file_without_links(workbench: Command, own_run: Run, tmp_path: Path) -> None:
    assert workbench("probe", own_run.path, "--quiet").status == 0
    answer = workbench("report", own_run.path, "--out", "page.html")
    assert answer.status == 0, answer.err
    assert answer.out == "Written to page.html.\n"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert 'src="http' not in page
