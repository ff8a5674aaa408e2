"""P- and Q-probes of micro runs from end to end: what is read, what is written, and when it is made again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.probing.probed_runs import CHECKPOINTS
from tests.training.micro_runs import files_of
from workbench.errors import WorkbenchError
from workbench.figures.paper import TARGETS
from workbench.files import read_json, sha256_file, write_json
from workbench.probing import runner
from workbench.probing.p_probe import make_p_probe_data
from workbench.probing.q_probe import make_q_probe_data
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.results.statistics import wilson_interval
from workbench.results.storing import load_result, load_results, result_path, weights_digests
from workbench.studies.checkpoints import TRAINER_FILE
from workbench.studies.runs import Run
from workbench.studies.weight_files import SINGLE_FILE
from workbench.tasks.plan import TaskPlan
from workbench.worlds.biographies.schema import ATTRIBUTES


@pytest.fixture
def copy_of(tmp_path: Path) -> Any:
    """`copy_of(run)`: the run in a folder of its own, without results."""

    def make(run: Run) -> Run:
        skip = shutil.ignore_patterns("results")
        return Run(Path(shutil.copytree(run.path, tmp_path / run.name, ignore=skip)), run.recipe)

    return make


def probe_last(run: Run, **request: Any) -> xr.Dataset:
    (dataset,) = run_probes(run, run.checkpoints[-1:], ProbeRequest(**request), device="cpu")
    return dataset


def held_out(run: Run, group: str | None = None) -> list[int]:
    return [p.id for p in run.corpus.entities if p.split == "test" and group in (None, p.group)]


# --- P-probe


def test_a_p_probe_of_single_fills_the_upper_triangle(single_run: Run, copy_of: Any) -> None:
    """In `single` a value stands at one place for all: cells after it are NaN with n = 0, all others full."""
    run = copy_of(single_run)
    dataset = probe_last(run)
    assert dict(dataset["accuracy"].sizes) == {"position": 6, "target": 11}
    assert tuple(dataset["target"].values) == TARGETS
    n_test = len(held_out(run))
    for target in TARGETS:
        stands_at = ATTRIBUTES.index(target.split("/")[0])  # type: ignore[arg-type]
        cells = dataset.sel(target=target)
        n = [n_test if position <= stands_at else 0 for position in range(6)]
        distant = [n_test if position < stands_at else 0 for position in range(6)]
        assert cells["n"].values.tolist() == n
        assert cells["n_not_next"].values.tolist() == distant
        for name, counts in (
            ("accuracy", n),
            ("train_accuracy", n),
            ("ci_low", n),
            ("accuracy_not_next", distant),
        ):
            assert (np.isnan(cells[name].values) == (np.array(counts) == 0)).all(), name


def test_the_written_result_is_the_returned_one_with_its_provenance(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    dataset = probe_last(run)
    path = result_path(run.path, "p", "embedding", CHECKPOINTS[-1])
    xr.testing.assert_identical(load_result(path), dataset)
    assert dataset.attrs["recipe_digest"] == run.recipe.digest
    assert dataset.attrs["weights_digest"] == sha256_file(run.checkpoints[-1].path / SINGLE_FILE)
    settings = json.loads(dataset.attrs["settings"])
    assert settings == {
        "rank": 2, "norm": "layer", "steps": 6, "texts_per_step": 12, "lr": run.recipe.probing.lr,
        "lr_embedding": run.recipe.probing.lr_embedding, "weight_decay": run.recipe.probing.weight_decay,
        "dropout": True, "seed": 0,
    }  # fmt: skip
    notes = json.loads(dataset.attrs["notes"])
    assert notes["test_examples"] == len(held_out(run))
    assert notes["precision"] in ("bf16", "fp32")


def test_accuracies_are_shares_with_their_intervals(single_run: Run, copy_of: Any) -> None:
    dataset = probe_last(copy_of(single_run)).drop_dims(["true_value", "said_value"])
    dataset = dataset.stack(cell=("position", "target"))
    full = dataset.isel(cell=np.flatnonzero(dataset["n"].values > 0))
    right = (full["accuracy"] * full["n"]).values
    np.testing.assert_allclose(right, right.round(), atol=1e-9)
    low, high = wilson_interval(right.round(), full["n"].values)
    np.testing.assert_allclose(full["ci_low"], low)
    np.testing.assert_allclose(full["ci_high"], high)


def test_chance_is_that_of_the_test_entities(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    dataset = probe_last(run)
    majors = [run.corpus.entities[i].values["major"] for i in held_out(run)]
    expected = max(majors.count(major) for major in set(majors)) / len(majors)
    assert float(dataset["chance"].sel(target="major/whole")) == pytest.approx(expected)


def test_a_permuted_corpus_has_examples_in_every_cell(permuted_run: Run, copy_of: Any) -> None:
    """An attribute stands anywhere with probability 1/6: about (6 - i)/6 of the entries count at position i."""
    run = copy_of(permuted_run)
    dataset = probe_last(run, group="many")
    assert dataset.attrs["variant"] == "group-many"
    n_test = len(held_out(run, "many"))
    assert (dataset["n"].sel(position=0) == n_test).all()
    assert (dataset["n"].diff("position") <= 0).all()
    at_five = dataset["n"].sel(position=5, target=[t for t in TARGETS if t.endswith("/first")])
    assert int(at_five.sum()) == n_test  # one attribute is last in every entry
    assert (dataset["n_not_next"].sel(position=5) == 0).all()


def test_train_and_test_never_share_an_entity(permuted_run: Run) -> None:
    for group in (None, "many", "few"):
        data = make_p_probe_data(permuted_run, group)
        entities = permuted_run.corpus.entities
        chosen = {"train": data.entries.entities[data.train], "test": data.entries.entities[data.test]}
        for split, ids in chosen.items():
            assert {entities[i].split for i in ids} == {split}
            assert {entities[i].group for i in ids} == ({group} if group else {"many", "few"})
        assert sorted(chosen["test"]) == held_out(permuted_run, group)  # one entry each
        n_entries = {"many": 3, "few": 1}
        expected = sum(
            n_entries[p.group] for p in entities if p.split == "train" and group in (None, p.group)
        )
        assert len(chosen["train"]) == expected


# --- Q-probe


def test_a_q_probe_reads_the_last_token_after_the_bare_name(single_run: Run) -> None:
    data = make_q_probe_data(single_run)
    readings, tokenizer = data.readings(), single_run.tokenizer
    assert readings.places_NP.shape == (60, 1)
    for entity in single_run.corpus.entities:
        ids = data.names.text_ids(entity.id)
        assert readings.places_NP[entity.id].tolist() == [len(ids) - 1]
        assert ids[0] == ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids[1:-1]) == entity.name


def test_a_q_probe_writes_one_position(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    dataset = probe_last(run, kind="q")
    assert dict(dataset["accuracy"].sizes) == {"position": 1, "target": 11}
    assert (dataset["n"] == len(held_out(run))).all()
    assert dataset["accuracy"].notnull().all()
    settings = json.loads(dataset.attrs["settings"])
    assert (settings["rank"], settings["norm"], settings["texts_per_step"]) == (16, "batch", 48)
    assert load_result(result_path(run.path, "q", "embedding", CHECKPOINTS[-1])).attrs["kind"] == "q"


# --- when a result is made, and when not


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("a probe was trained")


def test_an_existing_result_is_not_made_twice(
    single_run: Run, copy_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(single_run)
    made = [probe_last(run, kind=kind) for kind in ("p", "q")]
    before = files_of(run.path)
    monkeypatch.setattr(runner, "run_p_probe", never)
    monkeypatch.setattr(runner, "run_q_probe", never)
    for kind, dataset in zip(("p", "q"), made, strict=True):
        xr.testing.assert_identical(probe_last(run, kind=kind), dataset)
    assert files_of(run.path) == before
    for changed in ({"again": True}, {"steps": 5}, {"rank": 3}, {"seeds": (1,)}):
        with pytest.raises(AssertionError, match="a probe was trained"):
            probe_last(run, **changed)


def test_a_result_of_other_weights_is_made_again(single_run: Run, copy_of: Any) -> None:
    """The weights of step 0 under the name of the last step: a changed checkpoint is never served the old result."""
    run = copy_of(single_run)
    old = probe_last(run)
    first, last = run.checkpoints[0], run.checkpoints[-1]
    shutil.copy(first.path / SINGLE_FILE, last.path / SINGLE_FILE)
    with pytest.raises(WorkbenchError, match="Checkpoint step 12 is damaged"):
        probe_last(run, again=True)
    digests = {**last.info["sha256"], SINGLE_FILE: first.weights_digest}
    write_json(last.path / "checkpoint.json", {**read_json(last.path / "checkpoint.json"), "sha256": digests})
    new = probe_last(run)
    assert set(weights_digests(new).values()) == {first.weights_digest} != set(weights_digests(old).values())


def test_several_checkpoints_are_joined_along_their_steps(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    run_probes(run, run.checkpoints, ProbeRequest(), device="cpu")
    joined = load_results(run.path, "p", "embedding")
    assert joined["checkpoint"].values.tolist() == CHECKPOINTS
    assert list(weights_digests(joined).values()) == [c.weights_digest for c in run.checkpoints]


def test_a_probe_is_the_same_twice(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    once, twice = probe_last(run), probe_last(run, again=True)
    xr.testing.assert_equal(once, twice)


def test_probing_touches_nothing_but_the_results_and_their_cases(single_run: Run, copy_of: Any) -> None:
    run = copy_of(single_run)
    before = files_of(run.path)
    probe_last(run)
    after = files_of(run.path)
    assert {name: after[name] for name in before} == before
    assert {Path(name).parts[0] for name in after.keys() - before.keys()} == {"results", "cases"}
    assert (run.checkpoints[-1].path / TRAINER_FILE).is_file()


def test_an_unknown_group_is_refused_with_the_known_ones(permuted_run: Run) -> None:
    with pytest.raises(WorkbenchError, match=r"has no group 'may'; its groups are few, many\."):
        probe_last(permuted_run, group="may")


@pytest.mark.parametrize(
    ("request_keys", "steps", "rank", "variant"),
    [
        ({}, 6, 2, ""),
        ({"rank": 0}, 6, 0, "rank0"),
        ({"rank": 4, "steps": 9, "seeds": (2,)}, 9, 4, "rank4+steps9+seed2"),
        ({"seeds": (0, 1)}, 6, 2, "seeds0-1"),
        ({"group": "few"}, 6, 2, "group-few"),
        ({"kind": "q"}, 6, 16, ""),
        ({"kind": "q", "rank": 2}, 6, 2, "rank2"),
    ],
)
def test_what_a_request_means(
    request_keys: dict[str, Any], steps: int, rank: int, variant: str, permuted_run: Run
) -> None:
    request = ProbeRequest(**request_keys)
    settings = request.settings(permuted_run)
    assert (settings.steps, settings.rank, request.variant) == (steps, rank, variant)


@pytest.mark.parametrize("kind", ["p", "q"])
def test_the_answers_of_a_task_as_targets(single_run: Run, copy_of: Any, kind: str) -> None:
    plan = TaskPlan(("classification:month%2", "classification:major%2"))
    run = copy_of(single_run)
    for family in ("embedding", "logistic"):
        found = probe_last(run, kind=kind, family=family, tasks=plan)
        assert found["target"].values.tolist() == ["birth_date/month%2", "major/luck%2"]
        assert found["chance"].max() < 0.8
        assert found.attrs["variant"] == "tasks-month2.major2"
