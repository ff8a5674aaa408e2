"""Bad input gets one sentence on stderr, exit status 1, and never a traceback."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Command
from tests.training.micro_runs import files_of
from workbench.errors import WorkbenchError
from workbench.files import write_jsonl
from workbench.studies.runs import Run


def require_one_sentence(answer: Answer, expected: str) -> None:
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("workbench: "), answer.err
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.rstrip().endswith((".", "?", ").")), answer.err
    assert "Traceback" not in answer.err
    assert expected in answer.err


RECIPE_FAULTS = [
    (["training.lrr=1"], "has the unknown key 'training.lrr'; did you mean 'lr'? (known here: objective, "),
    (["trainin.lr=1"], "has the unknown key 'trainin'; did you mean 'training'?"),
    (["biographies.augmentation=multi5+permut"], "Unknown augmentation 'multi5+permut'; write it as in the paper"),
    (["training.lr=fast"], "training.lr = 'fast': Input should be a valid number"),
    (["training.lr"], "The override 'training.lr' has no `=`; write it as key=value, e.g. training.lr=3e-4."),
    (["model.n_heads=3"], "d_model 32 is not a multiple of n_heads 3; choose a width such as 33"),
    (["model.preset=tinny"], "model preset 'tinny' does not exist; did you mean 'tiny'"),
    (["training.objective=masked"], "objective 'masked' needs architecture 'gbert', not 'gpt2-rotary'"),
    (["people.number=130000"], "130000 people need at least 260000 possible full names, but the pools give 50 first ×"),
    (["people.pool_sizes.major=1000"], "major"),
    (["biographies.corpus=nowhere"], "The corpus folder nowhere has no entities.jsonl; see docs/formats.md"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "expected"), RECIPE_FAULTS)
@pytest.mark.parametrize("command", ["data", "train"])
def test_a_faulty_recipe(
    command: str, overrides: list[str], expected: str, workbench: Command, micro_toml: Path, tmp_path: Path
) -> None:
    settings = [part for override in overrides for part in ("--set", override)]
    quiet = ["--quiet"] if command == "train" else []
    require_one_sentence(workbench(command, micro_toml, *settings, *quiet), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["micro.toml"] or not any(
        (tmp_path / "runs").iterdir()
    )


TRAINING_FAULTS = [
    (["--set", "model.max_length=16"], "tokens but the model reads 16; set model.max_length to at least "),
    (["--set", "tokens.packing=resampled"], "The longest row has 512 tokens but the model reads 128; set"),
    (["--device", "cuda:99"], "The device 'cuda:99' is not available here; leave --device out to use 'cpu'."),
    (["--set", "tokens.tokenizer=gpt2", "--set", "tokens.source=no/where"], "The tokenizer 'no/where' is neither"),
    (["--set", "training.lr=1e9"], "lower training.lr (now 1000000000.0) and train into a new folder."),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), TRAINING_FAULTS)
def test_what_cannot_be_trained(
    options: list[str], expected: str, workbench: Command, micro_toml: Path
) -> None:
    require_one_sentence(workbench("train", micro_toml, *options, "--quiet"), expected)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("tinny", None, "There is no recipe 'tinny' (give a TOML file or one of "),
        ("tinny", None, "; did you mean 'tiny'?"),
        ("mine.toml", None, "There is no recipe 'mine.toml'"),
        ("mine.toml", "name = ", "The recipe mine.toml is not valid TOML: "),
        ("mine.toml", "seed = 1", "The recipe mine.toml lacks name."),
    ],
)
def test_a_recipe_that_is_not_there_or_not_whole(
    name: str, content: str | None, expected: str, workbench: Command, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    for command in ("data", "train", "recipes"):
        require_one_sentence(workbench(command, name), expected)


def test_a_run_folder_of_another_recipe(workbench: Command, micro_toml: Path, finished_run: Run) -> None:
    before = files_of(finished_run.path / "checkpoints")
    answer = workbench("train", micro_toml, "--out", finished_run.path, "--set", "training.lr=0.5", "--quiet")
    require_one_sentence(
        answer, "holds a run of another recipe (training.lr is 0.004 there and 0.5 here); give --out another"
    )
    assert files_of(finished_run.path / "checkpoints") == before


def test_a_folder_that_is_no_run(workbench: Command, micro_toml: Path, tmp_path: Path) -> None:
    answer = workbench("train", micro_toml, "--out", tmp_path, "--quiet")
    require_one_sentence(answer, "exists and is not a run (it has no run.json); give --out another folder.")


def test_an_edited_recipe_inside_a_run(workbench: Command, own_run: Run) -> None:
    recipe = own_run.path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 1"))
    for command in (["probe", own_run.path], ["report", own_run.path]):
        require_one_sentence(
            workbench(*command), "recipe.toml has been changed since the run was made; restore it"
        )


@pytest.mark.parametrize("command", ["probe", "report"])
def test_a_run_that_is_not_there(command: str, workbench: Command) -> None:
    answer = workbench(command, "runs/nowhere")
    require_one_sentence(
        answer, "runs/nowhere is not a run (it has no run.json); make one with `workbench train RECIPE`"
    )


PROBE_FAULTS: list[tuple[list[str], str]] = [
    (["--checkpoints", "5"], "has no checkpoint '5'; choose all, last, every:n, or from the steps 0, 4, 12."),
    (["--checkpoints", "0,twelve"], "has no checkpoint 'twelve'; choose all, last, every:n, or from the steps"),
    (["--checkpoints", "every:0"], "has no checkpoint 'every:0'; choose all, last, every:n, or from the steps"),
    (["--group", "celebrities"], "has no group 'celebrities'; its groups are everyone."),
    (["--device", "cuda:99"], "The device 'cuda:99' is not available here; leave --device out to use 'cpu'."),
    (["--family", "logistic", "--rank", "3"], "--rank does not go with the family 'logistic'"),
    (["--seeds", "0,x"], "--seeds '0,x' is not a list of numbers; expected such as `0,1,2`."),
    (["--learning-curve", "--family", "embedding"], "--learning-curve does not go with the family 'embedding'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), PROBE_FAULTS)
def test_what_cannot_be_probed(
    options: list[str], expected: str, workbench: Command, finished_run: Run
) -> None:
    require_one_sentence(workbench("probe", finished_run.path, *options, "--quiet"), expected)


def test_an_unfinished_run(workbench: Command, micro_toml: Path, own_run: Run) -> None:
    own_run.set_status(state="training")
    for checkpoint in own_run.checkpoints[-1:]:
        shutil.rmtree(checkpoint.path)
    answer = workbench("train", micro_toml, "--out", own_run.path, "--quiet")
    require_one_sentence(
        answer, "holds an unfinished run (step 4); add --resume to continue it, or give --out"
    )
    for checkpoint in own_run.checkpoints:
        shutil.rmtree(checkpoint.path)
    answer = workbench("probe", own_run.path, "--quiet")
    require_one_sentence(answer, "has no complete checkpoint yet; run `workbench train` on its recipe first.")


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint(damage: str, workbench: Command, own_run: Run) -> None:
    file = own_run.checkpoints[-1].path / "model.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 16
    file.write_bytes(content[:-64] if damage == "truncated" else content)
    answer = workbench("probe", own_run.path, "--quiet")
    require_one_sentence(answer, f"Checkpoint step 12 is damaged: {file} (")
    assert (
        "is truncated or altered: its sha256 differs; the previous sound checkpoint is step 4." in answer.err
    )


def test_a_value_that_does_not_tokenize_alike(workbench: Command, micro_toml: Path, tmp_path: Path) -> None:
    """In "(Oslo)" byte-level BPE cuts other pieces than in "Answer: Oslo"."""
    entities = [{"name": f"Ann Lee{i}", "values": {"birth_city": ("Oslo", "Rome")[i % 2]}} for i in range(8)]
    entries: list[dict[str, Any]] = []
    for i, entity in enumerate(entities):
        city = entity["values"]["birth_city"]  # type: ignore[index]
        text = f"{entity['name']} was born({city})."
        start = text.index(city)
        entries.append({"entity": i, "text": text, "values": {"birth_city": [start, start + len(city)]}})
    write_jsonl(tmp_path / "corpus" / "entities.jsonl", entities)
    write_jsonl(tmp_path / "corpus" / "entries.jsonl", entries)
    overrides = [
        "--set",
        "biographies.corpus=corpus",
        "--set",
        "tokens.tokenizer=bpe",
        "--set",
        "tokens.vocabulary_size=400",
    ]
    answer = workbench("train", micro_toml, *overrides, "--quiet")
    require_one_sentence(answer, "The value 'Oslo' tokenizes as ")
    assert "in an answer; choose another tokenizer or change the value." in answer.err


def test_no_disk_space(workbench: Command, micro_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))  # type: ignore[attr-defined]
    answer = workbench("train", micro_toml, "--quiet")
    require_one_sentence(answer, "has 1000 B free; free some space or choose another folder.")


def test_debug_shows_the_traceback(workbench: Command) -> None:
    with pytest.raises(WorkbenchError, match="There is no recipe 'tinny'"):
        workbench("--debug", "data", "tinny")


def test_json_stays_whole_when_nothing_is_wrong(workbench: Command, finished_run: Run) -> None:
    answer = workbench(
        "train", finished_run.path / "recipe.toml", "--out", finished_run.path, "--json", "--quiet"
    )
    assert json.loads(answer.out)["step"] == 12
