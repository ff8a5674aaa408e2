"""A process that has imported everything, and forks for each `warm_client` that asks: programs without their imports.

It is started as `python -m tests.warm_server SOCKET`, and ends when its stdin does.
"""

import json
import os
import runpy
import signal
import socket
import sys
import traceback
from typing import NoReturn

import torch

import tests.cli.forked  # noqa: F401
import workbench.experiments.measuring
import workbench.extraction.asking
import workbench.report  # noqa: F401
from workbench.recipes.recipe import load_recipe
from workbench.training.devices import choose_execution, peak_flops


def main(address: str) -> None:
    """Serve until stdin ends, which is when whoever started us does."""
    torch.set_num_threads(1)
    peak_flops(choose_execution(load_recipe("tiny").training, "cpu", 1))  # measured once a process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(16)
        print("ready", flush=True)
        if os.fork() == 0:
            _accept(door)
        sys.stdin.read()
        os.killpg(0, signal.SIGKILL)


def _accept(door: socket.socket) -> NoReturn:
    while True:
        line, _ = door.accept()
        if os.fork() == 0:
            door.close()
            _answer(line)
        line.close()


def _answer(line: socket.socket) -> NoReturn:
    """Fork once more, tell the process's number, wait for it and tell its status."""
    header, files, _, _ = socket.recv_fds(line, 8, 3)
    while len(header) < 8:
        header += line.recv(8 - len(header))
    size, content = int.from_bytes(header, "little"), b""
    while len(content) < size:
        content += line.recv(size - len(content))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        line.close()
        _run(json.loads(content), files)
    line.sendall(f"{pid}\n".encode())
    line.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _run(asked: dict, files: list[int]) -> NoReturn:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.executable, program, *words = asked["words"]
    status = 0
    try:
        if program == "-m":
            sys.argv = words
            runpy.run_module(words[0], run_name="__main__")
        else:
            sys.argv = [program, *words]
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
