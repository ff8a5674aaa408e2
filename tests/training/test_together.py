"""Networks trained as one batch end where each would have ended alone; their runs can be continued either way."""

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import make_recipe
from workbench.studies.loading import load_model
from workbench.training.loop import train
from workbench.training.together import train_together

SMALL = {
    "world": "values",
    "values": {
        "entities": 20, "attributes": 2, "chunks": 1, "diversity": 8, "length": 1, "alphabet": 30,
        "pool_sizes": {"first_name": 20, "middle_name": 20, "last_name": 30},
    },
    "model": {"n_layers": 1, "d_model": 16, "n_heads": 2, "max_length": 40},
    "training": {
        "exposures": 8, "rows_per_step": 8, "lr": 3e-3, "clip": 0.5, "precision": "fp32", "evaluations": 1,
        "checkpoints": "linear:2",
    },
}  # fmt: skip


def recipe(seed: int, **sections):
    content = {
        key: {**value, **sections.get(key, {})} if isinstance(value, dict) else value
        for key, value in SMALL.items()
    }
    return make_recipe({"name": f"many{seed}", "seed": seed, **content})


def weights(run, step="last"):
    return {name: p.detach() for name, p in load_model(run.checkpoint(step)).named_parameters()}


def differ(one, two) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one.values(), two.values(), strict=True))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three seeds alone and together: each seed is also a corpus, with as many words as it happens to use."""
    folder = tmp_path_factory.mktemp("together")
    recipes = [recipe(seed) for seed in range(3)]
    alone = [train(one, folder / f"alone{one.seed}") for one in recipes]
    together = train_together(recipes, [folder / f"together{one.seed}" for one in recipes])
    return alone, together


def test_each_ends_where_it_would_have_ended_alone(runs) -> None:
    assert len({len(run.tokenizer) for run in runs[0]}) > 1  # different vocabularies
    for one, other in zip(*runs, strict=True):
        assert [c.step for c in one.checkpoints] == [c.step for c in other.checkpoints] == [0, 10, 20]
        assert differ(weights(one, 0), weights(other, 0)) == 0.0
        moved = differ(weights(one, 0), weights(one))
        assert differ(weights(one), weights(other)) < 2e-3 * moved
        assert one.metrics()[-1]["loss"] == pytest.approx(other.metrics()[-1]["loss"], rel=1e-4)
        assert one.metrics()[-1]["biographies"] == other.metrics()[-1]["biographies"]
        assert other.status["state"] == "finished"
        assert other.status["execution"]["together"] == 3


def test_what_is_saved_can_be_continued_alone(runs, tmp_path) -> None:
    """The optimizer state of a slice is the optimizer state of the run."""
    from workbench.studies.checkpoints import load_trainer_state

    for one, other in zip(*runs, strict=True):
        alone, together = (load_trainer_state(run.checkpoints[-1])[0] for run in (one, other))
        assert alone.keys() == together.keys()
        for key, tensor in alone.items():
            scale = float(tensor.abs().max()) + 1e-12
            assert torch.allclose(tensor / scale, together[key] / scale, atol=5e-3), key


def test_an_interrupted_batch_goes_on_to_the_same_weights(runs, tmp_path, monkeypatch) -> None:
    from workbench.training import together as module
    from workbench.training.interruption import Interrupted

    recipes = [recipe(seed) for seed in range(2)]
    folders = [tmp_path / str(seed) for seed in range(2)]
    plain, seen = module.learning_rate, []

    class Stop:
        raised = False

    def stop_at_13(training, step, steps):
        seen.append(step)
        Stop.raised = step == 12
        return plain(training, step, steps)

    from contextlib import contextmanager

    @contextmanager
    def signals():
        yield Stop

    monkeypatch.setattr(module, "learning_rate", stop_at_13)
    monkeypatch.setattr(module, "signals_as_flag", signals)
    with pytest.raises(Interrupted, match="Stopped at step 13 of 20"):
        train_together(recipes, folders)
    monkeypatch.undo()
    continued = train_together(recipes, folders)
    whole = train_together(recipes, [tmp_path / f"whole{seed}" for seed in range(2)])
    for one, other in zip(continued, whole, strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True)
        )


def test_only_what_is_alike_is_one_batch(tmp_path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(
        WorkbenchError, match=r"many1 and many0 differ in \[model\], \[training\] or tokens.packing"
    ):
        train_together([recipe(0), recipe(1, model={"d_model": 32})], folders)
    with pytest.raises(WorkbenchError, match=r"The runs have 20 to 40 steps, so they are no one batch"):
        train_together([recipe(0), recipe(1, values={"entities": 40})], folders)
    muon = {"training": {"optimizer": "muon"}}
    with pytest.raises(WorkbenchError, match=r"trained together cannot have training.optimizer = 'muon'"):
        train_together([recipe(0, **muon), recipe(1, **muon)], folders)


def test_rows_of_others_do_not_enter(runs) -> None:
    """A network's gradient is of its own rows: alone in a batch, or beside others, it is the same."""
    from workbench.tokens.packing import Rows
    from workbench.training.devices import Execution
    from workbench.training.loop import make_fresh_model
    from workbench.training.stacking import StackedNetworks

    rng = np.random.default_rng(0)
    rows = [Rows(ids := rng.integers(2, 30, (3, 9)), ids.copy()) for _ in range(2)]
    grads = []
    for chosen in ((0,), (0, 1)):
        models = [make_fresh_model(recipe(seed), 30 + 5 * seed, 0, 1) for seed in chosen]
        execution = Execution("cpu", False, "eager", False)
        for model in models:
            execution.prepare(model)
        stack = StackedNetworks(models, 1e9, execution)
        stack.backward([rows[seed] for seed in chosen])
        grads.append({name: p.grad[0].clone() for name, p in stack.stacked.items()})
    for name, one in grads[0].items():
        other = grads[1][name][tuple(slice(size) for size in one.shape)]
        assert torch.allclose(one, other, atol=1e-6), name
