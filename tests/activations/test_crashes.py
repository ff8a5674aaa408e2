"""Killed writers, full disks, flipped bits, two writers: nothing is lost and nothing wrong is served."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import workbench_models

from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from workbench.activations import writing
from workbench.activations.caching import cache_activations
from workbench.activations.store import ActivationStore, open_store
from workbench.activations.verify import find_store_faults
from workbench.errors import WorkbenchError

ROOT = Path(__file__).parents[2]


def run_killing(what: str, folder: Path) -> dict[str, Any]:
    """What tests/activations/killing.py prints."""
    path = os.pathsep.join([str(ROOT), str(Path(workbench_models.__file__).parents[1])])
    result = subprocess.run(
        [sys.executable, "-m", "tests.activations.killing", what, str(folder)],
        capture_output=True, text=True, cwd=ROOT, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout.splitlines()[-1]))


def write(folder: Path, **options: Any) -> ActivationStore:
    """A store of several shards."""
    return cache_activations(
        make_tiny("gpt2"), make_reading(), ["resid_post"], folder=folder, shard_bytes=20_000, **options
    )


def bytes_of(store: ActivationStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.path.iterdir())}


def test_fifty_writers_killed_at_random_moments(tmp_path: Path) -> None:
    figures = run_killing("kill", tmp_path)
    assert figures["landed"] >= 25, figures  # most died before they were done
    assert figures["partial"] >= 5, figures  # and many in the midst of their shards
    assert figures["files"] > 20, figures


def test_writers_of_one_store_wait_for_each_other(tmp_path: Path) -> None:
    assert run_killing("meet", tmp_path) == {"codes": [0, 0, 0, 0], "equal": True}


@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
@pytest.mark.parametrize("victim", ["shard-00002.safetensors", "reading.safetensors"])
def test_damage_is_noticed_named_and_mended(damage: str, victim: str, tmp_path: Path) -> None:
    store = write(tmp_path)
    sound = bytes_of(store)
    file = store.path / victim
    if damage == "gone":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-100] ^= 4
        file.write_bytes(content if damage == "bit" else content[:-7])
    words = {
        "bit": "has been altered: its sha256",
        "cut": "bytes where its manifest has",
        "gone": "is missing",
    }[damage]
    with pytest.raises(WorkbenchError, match=words) as error:
        open_store(store.path)["resid_post.0"].to_numpy()
    assert victim in str(error.value) and "cache it again" in str(error.value)
    (fault,) = find_store_faults(store.path)
    assert words in fault and victim in fault
    assert bytes_of(write(tmp_path)) == sound


def test_a_manifest_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    store = write(tmp_path)
    sound = bytes_of(store)
    manifest = store.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("resid_post.1", "resid_post.2", 1))
    with pytest.raises(WorkbenchError, match="has been altered: its own digest differs"):
        open_store(store.path)
    assert bytes_of(write(tmp_path)) == sound
    manifest.write_text(manifest.read_text()[:-20])
    with pytest.raises(WorkbenchError, match="is not valid JSON"):
        open_store(store.path)
    assert bytes_of(write(tmp_path)) == sound


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match=r"cannot be written \(.*\); choose another folder"):
        write(tmp_path / "file")


def test_every_single_bit_counts(tmp_path: Path) -> None:
    store = write(tmp_path)
    file = store.path / "shard-00001.safetensors"
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content) * 8, 40):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        file.write_bytes(flipped)
        assert find_store_faults(store.path), place
    file.write_bytes(content)
    assert not find_store_faults(store.path)


def test_an_undamaged_shard_is_kept_while_another_is_mended(tmp_path: Path) -> None:
    store = write(tmp_path)
    stamps = {file.name: file.stat().st_mtime_ns for file in store.path.iterdir()}
    (store.path / "shard-00002.safetensors").unlink()
    write(tmp_path)
    after = {file.name: file.stat().st_mtime_ns for file in store.path.iterdir()}
    changed = {name for name in stamps if stamps[name] != after[name]}
    assert changed == {"shard-00002.safetensors", "manifest.json"}


def test_the_journal_of_one_that_was_killed_at_the_very_end_goes(tmp_path: Path) -> None:
    store = write(tmp_path)
    sound = bytes_of(store)
    (store.path / "progress.jsonl").write_text('{"plan": "this"}\n')
    assert bytes_of(write(tmp_path)) == sound


def test_a_store_half_made_with_other_settings_is_made_anew(tmp_path: Path) -> None:
    store = write(tmp_path)
    sound = bytes_of(store)
    (store.path / "manifest.json").unlink()
    (store.path / "progress.jsonl").write_text('{"plan": "another"}\n{"file": "shard-00000.safetensors"}\n')
    (store.path / "shard-00009.safetensors").write_text("of another cut")
    (store.path / ".partial-x").write_text("left by a kill")
    assert bytes_of(write(tmp_path)) == sound


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    original = writing.write_atomically

    def write_until_full(path: Path, content: str | bytes) -> None:
        nonlocal calls
        calls += path.name.startswith("shard-")
        if calls > 2 and path.name.startswith("shard-"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        original(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_atomically", write_until_full)
        with pytest.raises(WorkbenchError, match=r"The disk of .* is full; the finished shards are kept"):
            write(tmp_path)
    (shard,) = tmp_path.rglob("shard-00000.safetensors")
    stamp = shard.stat().st_mtime_ns
    with pytest.raises(WorkbenchError, match="no finished store"):
        open_store(shard.parent)
    assert find_store_faults(write(tmp_path).path) == []
    assert shard.stat().st_mtime_ns == stamp


def test_a_write_cut_off_by_the_system_leaves_nothing_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, hard))
    try:
        with pytest.raises(WorkbenchError, match="is full; the finished shards are kept"):
            write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob("shard-*")) and not list(tmp_path.rglob(".partial-*"))
    assert find_store_faults(write(tmp_path).path) == []


def test_a_disk_too_small_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(WorkbenchError, match=r"Caching 60 texts of memory needs about .* has 1000 B free"):
        write(tmp_path)
    assert not list(tmp_path.rglob("shard-*"))
