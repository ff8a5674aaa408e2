"""What every test runs under: one thread of arithmetic a worker, no accelerator needed, no network."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported anywhere
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browsers import ARGUMENTS, NO_BROWSER, find_browser
from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import Corpus, make_corpus

DEVICE_TESTS = Path(__file__).parent / "devices"
# Those of more than half a minute, the longest first.
LONG_FILES = (
    "test_examples.py",
    "test_reproduce.py",
    "test_reproduce_claims.py",
    "test_slurm.py",
    "test_two_at_once.py",
    "test_grids.py",
    "test_workers.py",
    "test_placing.py",
    "test_reader_in_place.py",
    "test_selection_in_browser.py",
    "test_entity.py",
    "test_live.py",
)
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: processes get whole files in this order, and none should begin a long one at the end.

    The simulated device is made known before any test: PyTorch's autograd counts devices once a process, at the first
    backward pass, and has no queue for one that is named later.
    """
    items.sort(
        key=lambda item: LONG_FILES.index(item.path.name) if item.path.name in LONG_FILES else len(LONG_FILES)
    )
    if any(DEVICE_TESTS in item.path.parents for item in items):
        from tests.devices.simulated import register

        register()


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            raise OSError(f"a test tried to reach {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An executable in place of `python`, whose programs find everything imported: each a process of its own, forked.

    Most of what a small command costs is its imports. Where a fresh process is what is tested, `sys.executable` is it.
    """
    folder = tmp_path_factory.mktemp("warm")
    root, door, python = Path(__file__).parents[1], folder / "door", folder / "python"
    client = shlex.join(
        [sys.executable, "-I", "-S", str(root / "tests/warm_client.py"), str(door), str(python)]
    )
    python.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    python.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm_server", door],
        cwd=root, env=os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}:{root / 'app'}"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None and server.stdout.readline() == "ready\n"
    yield python
    server.communicate()


@pytest.fixture(scope="session")
def small_corpus() -> Callable[..., Corpus]:
    """`small_corpus("multi2+permute", entities=40)`: the tiny recipe's corpus for a few entities."""

    def make(augmentation: str = "single", entities: int = 40, seed: int = 0) -> Corpus:
        changes = {"people.number": entities, "biographies.augmentation": augmentation, "seed": seed}
        return make_corpus(load_recipe("tiny", changes))

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real Chromium, one for all tests of a process; without one they fail, they do not skip."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = find_browser(playwright.chromium.executable_path)
        if found is None:
            pytest.fail(NO_BROWSER)
        instance = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield instance
        instance.close()
