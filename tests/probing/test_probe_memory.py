"""Probes in bounded memory: activations from the store, cell by cell, give what they give in memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.probing.probed_runs import PROBING, train_micro
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.memory import _left_by_cgroups, free_memory, read_bytes
from workbench.probing import layer_features
from workbench.probing.cached_probe import make_cached_task, run_cached_curve, run_cached_probe
from workbench.probing.linear import fit_probes
from workbench.probing.p_probe import make_p_probe_data
from workbench.probing.q_probe import make_q_probe_data
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.studies.runs import Run

MEMORY = 1 << 30


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("memory") / "run"
    changes: dict[str, Any] = {"people__number": 120, "biographies__augmentation": "multi5+permute"}
    return train_micro(folder, **(PROBING | changes))


def stores_of(run: Run) -> list[Path]:
    return [path.parent for path in (run.path / "activations").rglob("manifest.json")]


@pytest.mark.parametrize("family", ["logistic", "ridge", "lda", "nearest-mean"])
@pytest.mark.parametrize("kind", ["p", "q"])
def test_a_probe_of_the_store_is_that_of_memory(
    run: Run, kind: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_p_probe_data(run) if kind == "p" else make_q_probe_data(run)
    task, checkpoint = make_cached_task(run, data), run.checkpoint("last")
    held = run_cached_probe(run, checkpoint, task, probe=family, memory=MEMORY)
    monkeypatch.setattr(layer_features, "HELD_SHARE", 0.0)
    stored = run_cached_probe(run, checkpoint, task, probe=family, memory=MEMORY)
    read_from = [json.loads(result.attrs["notes"])["read_from"] for result in (held, stored)]
    assert read_from == ["memory", "store"]
    for variable in ("n", "converged", "strength", "chance"):
        np.testing.assert_array_equal(held[variable], stored[variable], err_msg=variable)
    for variable in ("accuracy", "control", "train_accuracy"):  # a text or two may stand on the edge
        assert float(abs(held[variable] - stored[variable]).max()) < 0.04, variable
    assert float(abs(held.accuracy - stored.accuracy).mean()) < 0.001


def test_the_store_is_made_once_for_all_families(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_features, "HELD_SHARE", 0.0)
    task = make_cached_task(run, make_p_probe_data(run))
    run_cached_probe(run, run.checkpoint("last"), task, probe="nearest-mean", memory=MEMORY)
    before = {path: path.stat().st_mtime_ns for path in stores_of(run)}
    assert before
    run_cached_curve(run, run.checkpoint("last"), task, probe="ridge", numbers=[25, 50], memory=MEMORY)
    assert {path: path.stat().st_mtime_ns for path in stores_of(run)} == before


def test_a_cell_that_does_not_fit_is_refused_before_it_is_fitted(run: Run) -> None:
    task = make_cached_task(run, make_p_probe_data(run))
    with pytest.raises(WorkbenchError) as refusal:
        run_cached_probe(run, run.checkpoint("last"), task, memory=10_000)
    assert str(refusal.value).startswith("The probes of one layer and position need about ")
    assert str(refusal.value).endswith(
        ", more than 9.8 KiB; give more (--memory), read fewer entries of each entity (--entries-per-entity 2), "
        "or take a probe in closed form (--family ridge)."
    )


def test_blocks_of_stored_texts_are_those_of_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks of a few hundred texts every path that reads anew is taken."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=2000)
    features = (rng.normal(size=(3, 2000, 12)) + np.eye(4, 12)[labels]).astype(np.float32)
    arguments: Any = (labels, np.arange(2000), np.arange(2000) % 2 == 0)
    for family in ("logistic", "ridge", "lda", "nearest-mean", "mlp"):
        whole = fit_probes(features, *arguments, probe=family)
        with monkeypatch.context() as patch:
            patch.setattr("workbench.probing.linear.batch.BLOCK_BYTES", 20_000)
            blocks = fit_probes(features, *arguments, probe=family, memory=1 << 30)
        np.testing.assert_allclose(whole.accuracy, blocks.accuracy, atol=0.003, err_msg=family)
        np.testing.assert_array_equal(whole.strength, blocks.strength, err_msg=family)


def test_entries_of_each_entity_are_drawn_and_recorded(run: Run) -> None:
    all_of_them, two = make_p_probe_data(run), make_p_probe_data(run, entries_per_entity=2)
    counts = np.bincount(two.entries.entities[two.train])
    assert set(counts[counts > 0].tolist()) == {2}
    assert len(two.train) * 5 == len(all_of_them.train) * 2
    same_test = [data.entries.entities[data.test].tolist() for data in (all_of_them, two)]
    assert same_test[0] == same_test[1]
    for text, other in zip(all_of_them.test, two.test, strict=True):
        np.testing.assert_array_equal(all_of_them.entries.text_ids(text), two.entries.text_ids(other))
    for family in ("ridge", "embedding"):
        request = ProbeRequest("p", family, entries_per_entity=2)
        assert request.variant == "entries2"
        (result,) = run_probes(run, [run.checkpoint("last")], request, device="cpu")
        assert json.loads(result.attrs["notes"])["entries_per_entity"] == 2
        assert result.attrs["variant"] == "entries2"


def test_a_name_has_no_entries_to_draw() -> None:
    with pytest.raises(WorkbenchError) as refusal:
        ProbeRequest("q", "ridge", entries_per_entity=2)
    assert str(refusal.value) == (
        "--entries-per-entity belongs to probes of texts; a Q-probe reads bare names."
    )


def test_the_command_takes_memory_and_entries(run: Run) -> None:
    words = [
        "probe",
        str(run.path),
        "--family",
        "ridge",
        "--memory",
        "100MB",
        "--entries-per-entity",
        "3",
        "-q",
    ]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert {row["position"] for row in json.loads(result.stdout)} == set(range(6))


@pytest.mark.parametrize(
    ("text", "number"),
    [("4GiB", 4 << 30), ("800M", 800 << 20), ("1.5 gb", 3 << 29), ("2048", 2048), ("12 KiB", 12288)],
)
def test_sizes_as_people_write_them(text: str, number: int) -> None:
    assert read_bytes(text) == number


@pytest.mark.parametrize("text", ["much", "0", "-3GiB", "4 GiB 2", "0MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        read_bytes(text)
    assert str(refusal.value) == (f"{text!r} is no amount of memory; give a size such as `4GiB` or `800MiB`.")


def test_free_memory_is_some() -> None:
    assert 1 << 20 < free_memory() < 1 << 50


# What a group's folder holds, of either version → bytes left: the limit without what is used but for caches of files.
GROUPS = [
    (
        "0::/box",
        {"box/memory.max": "2000", "box/memory.current": "900", "box/memory.stat": "inactive_file 300"},
        [1400],
    ),
    ("0::/hidden", {"memory.max": "2000", "memory.current": "2100"}, [0]),  # a container's own is its root
    ("0::/box", {"box/memory.max": "max", "box/memory.current": "900"}, []),
    (
        "4:cpu:/a\n3:memory:/jobs/one",
        {
            "memory/jobs/one/memory.limit_in_bytes": "5000", "memory/jobs/one/memory.usage_in_bytes": "1000",
            "memory/jobs/memory.limit_in_bytes": "6000", "memory/jobs/memory.usage_in_bytes": "5500",
            "memory/jobs/memory.stat": "cache 7\ntotal_inactive_file 100",
        },
        [4000, 600],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "files", "left"), GROUPS)
def test_memory_of_a_control_group(
    lines: str, files: dict[str, str], left: list[int], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text(lines + "\n")
    for name, text in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(text + "\n")
    assert list(_left_by_cgroups(tmp_path / "mine", tmp_path / "mounted")) == left
