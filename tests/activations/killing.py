"""Run by test_crashes.py in a process of its own: writers that are killed, and writers that meet.

python -m tests.activations.killing kill FOLDER     50 killed writers, then one that completes
python -m tests.activations.killing meet FOLDER     four writers of one store at the same time
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from workbench.activations.caching import cache_activations
from workbench.activations.store import MANIFEST_FILE, ActivationStore
from workbench.activations.verify import find_store_faults

SITES = ["resid_post", "ln_final"]
READING = make_reading(400)
MODEL = make_tiny("gpt2")


def write(folder: Path) -> ActivationStore:
    return cache_activations(MODEL, READING, SITES, folder=folder, batch_tokens=400, shard_bytes=24_000)


def fork_writer(folder: Path) -> int:
    """A child that writes the store and leaves at once."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        write(folder)
        code = 0
    finally:
        os._exit(code)


def files(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.iterdir())}


def kill(folder: Path) -> None:
    """After a kill there is no store, or the whole one; the last writer completes it to the same bytes."""
    started = time.perf_counter()
    reference = write(folder / "reference").path
    usual = time.perf_counter() - started
    expected = files(reference)
    where = folder / "killed" / reference.relative_to(folder / "reference")
    rng = random.Random(0)
    landed, partial, leftovers = 0, 0, 0
    for _ in range(50):
        pid = fork_writer(folder / "killed")
        time.sleep(rng.uniform(0, usual * 0.6))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        landed += os.WIFSIGNALED(status)
        names = {file.name for file in where.iterdir()} if where.is_dir() else set()
        leftovers += any(name.startswith(".partial-") for name in names)
        if MANIFEST_FILE in names:
            assert not find_store_faults(where), find_store_faults(where)
            # Start the next one from nothing, or from a store with a hole in it.
            for file in where.iterdir():
                if rng.random() < 0.5 or file.name == MANIFEST_FILE:
                    file.unlink()
        else:
            partial += any(name.startswith("shard-") for name in names)
    assert files(write(folder / "killed").path) == expected
    print(json.dumps({"landed": landed, "partial": partial, "leftovers": leftovers, "files": len(expected)}))


def meet(folder: Path) -> None:
    """All four end well, and the store is the one a single writer makes."""
    expected = files(write(folder / "reference").path)
    pids = [fork_writer(folder / "shared") for _ in range(4)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    store = next((folder / "shared").rglob(MANIFEST_FILE)).parent
    print(json.dumps({"codes": codes, "equal": files(store) == expected}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"kill": kill, "meet": meet}[sys.argv[1]](Path(sys.argv[2]))
