"""`workbench rewrite`: from facts to a corpus that trains, as a user types it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, workbench  # noqa: F401
from tests.rewriting.faulty_server import FaultyServer, serve
from workbench.recipes.recipe import load_recipe
from workbench.rewriting.journal import read_journal
from workbench.studies.corpus import load_corpus, make_corpus

RECIPE = """
name = "few"
[people]
number = 40
pool_sizes = { birth_city = 5, university = 5, major = 5, company = 5, birth_year = 5 }
[biographies]
augmentation = "multi2+permute"
[model]
preset = "tiny"
n_layers = 1
"""


def write_recipe(folder: Path) -> FaultyServer:
    """few.toml, and a server that writes about its people, wrongly about every tenth."""
    (folder / "few.toml").write_text(RECIPE)
    corpus = make_corpus(load_recipe(folder / "few.toml"))

    def write(prompt: str) -> str:
        person = next(one for one in corpus.entities if one.name in prompt)
        text = corpus.entries[2 * person.id].text
        return text.replace(person.values["major"], "Alchemy") if person.id % 10 == 0 else text

    return FaultyServer(write, 0.1, slow=0.0, faults=("429", "500"))


def test_a_recipe_is_rewritten_and_the_corpus_trains(workbench: Command, tmp_path: Path) -> None:  # noqa: F811
    with serve(write_recipe(tmp_path)) as server:
        words = ("rewrite", "few.toml", "--model", "m", "--server", server.address, "--per-entity", "2")
        sample = workbench(*words, "--limit", "10", "--out", "corpus", "-q")
        assert sample.status == 0
        assert "Stopped by the budget or the limit" in sample.out
        told = workbench(
            *words, "--out", "corpus", "--dry-run", "--price-prompt", "1", "--price-answer", "2", "--json"
        )
        about = json.loads(told.out)
        assert about["measured on"] == 10
        assert about["tokens"]["an answer"] == 50
        assert about["money"] == pytest.approx(
            (about["tokens"]["prompts"] + 2 * about["tokens"]["answers"]) / 1e6, abs=0.01
        )
        done = workbench(*words, "--out", "corpus", "-q", "--json", "--set", "seed=0")
        assert done.status == 0
        rates = json.loads(done.out)
        assert rates["complete"]
        assert rates["answers by verdict"]["missing"]["answers"] == 4 * 2 * 3
        assert rates["notes"] == ["4 people left out: they have no text"]
        assert rates["texts"] == {"wanted": 80, "accepted": 72}
        again = workbench(*words, "--out", "corpus", "-q", "--fill", "--fullname")
        assert "8 entries filled in from templates" in again.out
    assert len(list(read_journal(tmp_path / "corpus"))) == rates["answers"]
    corpus = load_corpus(tmp_path / "corpus", 0)
    assert (len(corpus.entities), len(corpus.entries)) == (40, 80)
    trained = workbench(
        "train", "own", "--set", "own.folder=corpus", "--set", "training.exposures=1", "--set", "model.n_layers=1",
        "--out", "run", "-q", "--threads", "1",
    )  # fmt: skip
    assert trained.status == 0, trained.err


def test_a_study_file_is_rewritten(workbench: Command, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "towns.csv").write_text("town,river\nOberau,Elbe\nNeustadt,Elbe\nWiek,Oder\nHalde,Oder\n")
    (tmp_path / "towns.toml").write_text(
        '[series]\nmodels = "nowhere"\n[table]\nfile = "towns.csv"\nentity = "town"\n'
        '[texts]\ntemplates = ["{town} lies on the {river}."]\n'
    )

    def write(prompt: str) -> str:
        town = next(name for name in ("Oberau", "Neustadt", "Wiek", "Halde") if name in prompt)
        return f"The town of {town} stands on the banks of the {'Elbe' if town in ('Oberau', 'Neustadt') else 'Oder'}."

    with serve(FaultyServer(write, 0.0, slow=0.0)) as server:
        answer = workbench(
            "rewrite", "towns.toml", "--model", "m", "--server", server.address, "--out", "made", "-q"
        )
    assert answer.status == 0, answer.err
    assert "4 of 4 texts accepted, after 4 answers" in answer.out
    entries = load_corpus(tmp_path / "made").entries
    assert [entry.text[slice(*entry.values["river"])] for entry in entries] == [
        "Elbe",
        "Elbe",
        "Oder",
        "Oder",
    ]


def test_prompts_are_written_to_be_changed(workbench: Command, tmp_path: Path) -> None:  # noqa: F811
    assert workbench("rewrite", "--init", "mine").status == 0
    assert {file.name for file in (tmp_path / "mine").iterdir()} >= {
        "request-1.txt",
        "fact.txt",
        "repair.txt",
    }
    twice = workbench("rewrite", "--init", "mine")
    assert twice.err == "workbench: mine is there already; choose a new folder for the prompts.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            (),
            "`workbench rewrite` needs what holds the facts (a recipe or a study); see `workbench rewrite --help`.",
        ),
        (("tiny",), "`workbench rewrite` needs --model; see `workbench rewrite --help`."),
        (
            ("tiny", "--model", "m", "--budget-money", "3"),
            "--budget-money needs prices; give --price-prompt and --price-answer, for a million tokens.",
        ),
        (
            ("arithmetic-tiny", "--model", "m", "--dry-run"),
            "The recipe 'arithmetic-tiny' is of the arithmetic world: it has problems, made as they are read, and no "
            "entities; use `workbench train`, `workbench solve` and `workbench probe --kind v` on it.",
        ),
    ],
)
def test_what_is_refused(workbench: Command, words: tuple[str, ...], message: str) -> None:  # noqa: F811
    answer = workbench("rewrite", *words)
    assert (answer.status, answer.err) == (1, f"workbench: {message}\n")
