"""What training refuses: finished runs, other recipes, folders that are no runs, rows that do not fit."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.micro_runs import files_of, micro_recipe
from tests.training.test_resume import interrupt
from workbench.errors import WorkbenchError
from workbench.studies.runs import Run, create_run, open_run
from workbench.training import loop
from workbench.training.loop import train


def refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a step was trained")

    monkeypatch.setattr(loop._Training, "_step", never)


@pytest.mark.parametrize("resume", [False, True])
def test_a_finished_run_is_not_trained_twice(
    resume: bool, trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    before = files_of(trained_run.path)
    again = train(micro_recipe(), trained_run.path, resume=resume, device="cpu")
    assert again.path == trained_run.path
    assert files_of(trained_run.path) == before


@pytest.mark.parametrize("changes", [{"name": "renamed"}, {"probing__steps": 3}])
def test_what_does_not_change_the_weights_does_not_make_another_recipe(
    changes: dict[str, Any], trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    train(micro_recipe(**changes), trained_run.path, device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training__lr": 0.5}, "training.lr is 0.004 there and 0.5 here"),
        ({"seed": 7}, "seed is 0 there and 7 here"),
        (
            {"biographies__augmentation": "multi5"},
            "biographies.augmentation is 'single' there and 'multi5' here",
        ),
        ({"people__pool_sizes": {"major": 9}}, "people.pool_sizes.first_name is 50 there and None here"),
        ({"training__checkpoints": "last"}, "training.checkpoints is [0, 4, 8, 16] there and 'last' here"),
    ],
)
def test_a_changed_recipe_never_lands_in_an_old_folder(
    changes: dict[str, Any], message: str, trained_run: Run
) -> None:
    before = files_of(trained_run.path)
    with pytest.raises(WorkbenchError) as refusal:
        train(micro_recipe(**changes), trained_run.path, resume=True, device="cpu")
    assert str(refusal.value) == (
        f"{trained_run.path} holds a run of another recipe ({message}); "
        "give --out another folder, or delete this one."
    )
    assert files_of(trained_run.path) == before


def test_a_recipe_that_was_refused_at_its_start_is_mended_in_the_same_folder(tmp_path: Path) -> None:
    """A toy model reads fewer tokens than its texts have: nothing was trained, so nothing is in the way."""
    folder = tmp_path / "run"
    with pytest.raises(WorkbenchError, match=r"set model\.max_length to at least"):
        train(micro_recipe(model__max_length=8), folder, device="cpu")
    assert open_run(folder).status["state"] == "new"
    mended = create_run(micro_recipe(training__lr=0.5), folder)
    assert mended.recipe.training.lr == 0.5 and mended.status["state"] == "new"
    (folder / "results").mkdir()
    with pytest.raises(WorkbenchError, match=r"holds a run of another recipe \(training.lr is 0.5 there"):
        create_run(micro_recipe(), folder)


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(
        WorkbenchError, match=r"exists and is not a run \(it has no run.json\); give --out another"
    ):
        train(micro_recipe(), tmp_path, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_train(monkeypatch)
    with pytest.raises(AssertionError, match="a step was trained"):
        train(micro_recipe(), tmp_path, device="cpu")


def test_an_unfinished_run_wants_resume(tmp_path: Path) -> None:
    interrupt(micro_recipe(), tmp_path / "run", 6)
    with pytest.raises(
        WorkbenchError, match=r"holds an unfinished run \(step 6\); add --resume to continue it, or"
    ):
        train(micro_recipe(), tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model__max_length": 16},
            r"The longest row has \d+ tokens but the model reads 16; set model.max_length to",
        ),
        (
            {"tokens__packing": "resampled", "tokens__row_length": 512},
            "The longest row has 512 tokens but the model reads 128; set model.max_length to at least 512",
        ),
        (
            {"tokens__packing": "resampled", "tokens__row_length": 24},
            r"Text \d+ has \d+ tokens but a row holds 24; raise tokens.row_length and model.max_length",
        ),
        (
            {"people__number": 200_000},
            r"200000 people need at least 400000 possible full names, but the pools give",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    with pytest.raises(WorkbenchError, match=message):
        train(micro_recipe(**changes), tmp_path / "run", device="cpu")


def test_an_absent_device_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"The device 'cuda:99' is not available here; leave --device out"
    ):
        train(micro_recipe(), tmp_path / "run", device="cuda:99")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lr", [1e9])
def test_a_diverged_run_stops_with_advice(lr: float, tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"The loss is (nan|inf) at step \d+; lower training.lr \(now 1000000000"
    ):
        train(micro_recipe(training__lr=lr, training__optimizer="adamw"), tmp_path / "run", device="cpu")
