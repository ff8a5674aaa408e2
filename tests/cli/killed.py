"""Commands that die: run by test_kills.py, which writes a line of JSON for each and reads one back.

One process imports everything and forks, so that a command costs what it does itself and not its imports.

[words, moment, log] → [exit status, writes]. moment: null (run to the end), {"write": n} (SIGKILL right before or after
the n-th call that brings something to the disk), or {"seconds": s}. writes: how many such calls there were.
"""

import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

import torch

from tests.cli.forked import run_and_exit

WRITES = ("fsync", "replace", "rename", "unlink", "rmdir", "link", "mkdir")


def count_writes(die_at: int | None, told: int) -> None:
    """Count what reaches the disk, tell the number by the pipe `told`, and die at the given one."""
    count = 0

    def counting(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if die_at is None:
                os.pwrite(told, count.to_bytes(4, "little"), 0)
            elif count == die_at and die_at % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in WRITES:
        setattr(os, name, counting(getattr(os, name)))


def run(words: list[str], die_at: int | None, log: str, told: int) -> NoReturn:
    count_writes(die_at, told)
    run_and_exit(words, log)


def serve() -> None:
    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        words, moment, log = json.loads(line)
        told = os.open(f"{log}.writes", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        die_at = (moment or {}).get("write")
        pid = os.fork()
        if not pid:
            run(words, die_at, log, told)
        if moment and "seconds" in moment:
            time.sleep(moment["seconds"])
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        writes = int.from_bytes(os.pread(told, 4, 0), "little")
        os.close(told)
        print(json.dumps([status, writes]), flush=True)


if __name__ == "__main__":
    serve()
