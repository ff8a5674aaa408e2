"""How long, how fast, and when to save: tables worked out by hand."""

import math
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.training.micro_runs import PLANNED, STEPS, micro_recipe
from tests.training.test_resume import stop_after
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Packing, TrainingRecipe, load_recipe
from workbench.studies.runs import Run, create_run, open_run
from workbench.training.data import encode_run
from workbench.training.interruption import Interrupted
from workbench.training.loop import train
from workbench.training.optimizers import learning_rate
from workbench.training.plan import count_steps, plan_checkpoints, plan_evaluations

# entities, exposures, rows a step, rows an entry, further keys → steps
STEPS_BY_HAND: list[tuple[int, float, int, float, dict[str, Any], int]] = [
    (60, 6, 16, 1, {}, 23),  # 360 rows / 16 = 22.5
    (60, 6, 15, 1, {}, 24),  # exactly
    (60, 0.1, 16, 1, {}, 1),  # 6 rows are one step, never none
    (60, 6, 16, 1, {"training.accumulation": 4}, 23),  # smaller batches, the same steps
    (60, 6, 16, 1, {"training.objective": "mixed", "training.qa_ratio": 0.5}, 45),  # questions come on top
    (60, 6, 16, 1, {"training.objective": "mixed", "training.qa_ratio": 0.8}, 113),  # 1800 / 16 = 112.5
    (60, 6, 16, 1 / 2, {}, 12),  # two entries a row
    (100_000, 540, 96, 1 / 7, {}, 80_358),  # the paper's, seven entries a row: 80,000
]


@pytest.mark.parametrize(("entities", "exposures", "rows", "rows_an_entry", "keys", "steps"), STEPS_BY_HAND)
def test_steps_follow_from_exposures(
    entities: int, exposures: float, rows: int, rows_an_entry: float, keys: dict[str, Any], steps: int
) -> None:
    recipe = load_recipe("tiny", {"training.exposures": exposures, "training.rows_per_step": rows, **keys})
    assert count_steps(recipe, rows_an_entry, entities) == steps


@pytest.mark.parametrize("packing", get_args(Packing))
@pytest.mark.parametrize("row_length", [100, 128])
def test_the_steps_show_as_many_entries_as_the_recipe_says(
    packing: Packing, row_length: int, tmp_path: Path
) -> None:
    """Counted in the rows themselves; a row of 100 tokens holds one entry of some 55 and leaves the rest empty."""
    recipe = micro_recipe(
        tokens__packing=packing, tokens__row_length=row_length, biographies__augmentation="multi5",
        training__exposures=40,
    )  # fmt: skip
    run = create_run(recipe, tmp_path / "run")
    rows = encode_run(run).stream.rows(0, encode_run(run).count_steps() * 16)
    starts = (rows.ids_BT == run.tokenizer.eos_token_id).sum()
    assert starts / 60 == pytest.approx(40, rel=0.02)


def test_a_run_begun_with_other_steps_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate would follow another schedule, and the exposures of what is saved already would be wrong."""
    recipe = micro_recipe()
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        stop_after(patch, 5)
        train(recipe, tmp_path / "run", device="cpu")
    open_run(tmp_path / "run").set_status(steps=20)
    with pytest.raises(
        WorkbenchError,
        match=r"run was begun as a training of 20 steps, but its recipe asks for 23 now: an earlier version counted "
        r"other entries in a row\. Train it anew into another folder\.",
    ):
        train(recipe, tmp_path / "run", device="cpu", resume=True)


def test_a_trained_run_took_these_steps(trained_run: Run) -> None:
    assert trained_run.status["steps"] == STEPS
    assert trained_run.checkpoints[-1].info["exposures"] == 6


@pytest.mark.parametrize(
    ("plan", "steps", "expected"),
    [
        ("last", 100, [0, 100]),
        ("linear:1", 100, [0, 100]),
        ("linear:4", 100, [0, 25, 50, 75, 100]),
        ("linear:3", 100, [0, 33, 67, 100]),
        ("linear:9", 3, [0, 1, 2, 3]),  # more checkpoints than steps: every step
        ("log:1", 64, [0, 32, 64]),
        ("log:3", 64, [0, 8, 23, 64]),
        ("log:6", 64, [0, 1, 2, 5, 12, 28, 64]),
        ("log:20", 4, [0, 1, 2, 3, 4]),
        ((), 100, [0, 100]),
        ((10, 5, 5), 100, [0, 5, 10, 100]),
        ((0, 100, 101, 5000), 100, [0, 100]),  # beyond the end: left out
        ("log:6", 1, [0, 1]),
    ],
)
def test_checkpoint_plan(plan: str | tuple[int, ...], steps: int, expected: list[int]) -> None:
    assert plan_checkpoints(plan, steps) == expected


def test_a_trained_run_has_the_planned_checkpoints(trained_run: Run) -> None:
    assert [checkpoint.step for checkpoint in trained_run.checkpoints] == PLANNED
    assert {checkpoint.info["reason"] for checkpoint in trained_run.checkpoints} == {"planned"}


@pytest.mark.parametrize(
    ("number", "steps", "expected"),
    [
        (1, 100, {0, 100}),
        (4, 100, {0, 25, 50, 75, 100}),
        (3, 100, {0, 33, 67, 100}),
        (20, 5, {0, 1, 2, 3, 4, 5}),
    ],
)
def test_evaluation_plan(number: int, steps: int, expected: set[int]) -> None:
    assert plan_evaluations(number, steps) == expected


def test_every_evaluation_wrote_the_curves_of_figure_1(trained_run: Run) -> None:
    rows = list(trained_run.metrics())
    assert [row["step"] for row in rows] == sorted(plan_evaluations(4, STEPS))
    assert rows[0]["loss"] is None
    assert all(row["loss"] > 0 for row in rows[1:])
    assert [row["exposures"] for row in rows] == pytest.approx(
        [6 * row["step"] / STEPS for row in rows], abs=1e-3
    )
    for row in rows:
        for kind in ("biographies", "answers"):
            for split in ("train", "test"):
                shares = row[kind][split]
                assert list(shares) == [
                    "mean", "birth_date", "birth_city", "university", "major", "company", "company_city",
                ]  # fmt: skip
                assert all(0 <= share <= 1 for share in shares.values())
                assert shares["mean"] == pytest.approx(sum(list(shares.values())[1:]) / 6)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.1),  # warm-up of ten steps: the first already moves
        (4, 0.5),
        (9, 1.0),
        (10, 1.0),  # the top of the cosine
        (55, 0.55),  # half-way between 1 and 0.1
        (40, 0.1 + 0.9 * 0.75),  # a third of the way: (1 + cos 60°) / 2
        (70, 0.1 + 0.9 * 0.25),
        (100, 0.1),  # the end
    ],
)
def test_learning_rate_by_hand(step: int, expected: float) -> None:
    recipe = TrainingRecipe(lr=1.0, final_lr=0.1, warmup=0.1)  # type: ignore[call-arg]
    assert learning_rate(recipe, step, 100) == pytest.approx(expected)


def test_learning_rate_of_the_paper() -> None:
    """Peak 1e-3, 1,000 of 80,000 steps of warm-up, cosine to 1e-4."""
    paper = TrainingRecipe()  # type: ignore[call-arg]
    rates = [learning_rate(paper, step, 80_000) for step in (0, 999, 1000, 40_500, 79_999)]
    assert rates == pytest.approx([1e-6, 1e-3, 1e-3, 5.5e-4, 1e-4], rel=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_learning_rate_of_the_shortest_runs_is_never_zero(steps: int) -> None:
    recipe = micro_recipe(training__final_lr=0.0).training
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    assert all(rate > 0 and math.isfinite(rate) for rate in rates)
    assert max(rates) == recipe.lr
