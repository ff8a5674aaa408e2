"""A real OpenAI-compatible server, transformers' own, started here with a random network: its answers are refused as
nonsense, each with its reason, and the journal is what a client must get."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Command, workbench  # noqa: F401
from tests.rewriting.test_local_model import make_model
from workbench.rewriting.journal import read_journal
from workbench.studies.corpus import load_corpus

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_transformers_serve(workbench: Command, tmp_path: Path) -> None:  # noqa: F811
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name)
    model, tokenizer = make_model()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"  # type: ignore[attr-defined]
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(str(tmp_path / "model"))  # type: ignore[attr-defined]
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "transformers"), "serve", str(tmp_path / "model"),
        "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
    ]  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            answer = workbench(
                "rewrite", "tiny", "--set", "people.number=60", "--model", tmp_path / "model", "--entities", 6,
                "--server", f"http://127.0.0.1:{port}/v1", "--attempts", 2, "--max-tokens", 20, "--fill",
                "--out", "made", "-q",
            )  # fmt: skip
        finally:
            server.terminate()
            server.wait()
    assert answer.status == 0, answer.err
    lines = list(read_journal(tmp_path / "made"))
    assert len(lines) >= 8
    assert all(line.answer and line.prompt_tokens > 100 and 0 < line.answer_tokens <= 20 for line in lines)
    assert not any(line.estimated for line in lines)
    assert "accepted" not in {line.verdict for line in lines}
    assert len(load_corpus(tmp_path / "made").entries) == 6


def wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the server did not come up")
