"""In place of `python`: has a process that has imported everything fork and run the program, and ends as it does.

    python -I -S warm_client.py SOCKET EXECUTABLE -m MODULE WORDS        or a script's path in place of `-m MODULE`

It hands on its stdin, stdout, stderr, folder and environment, and the signals that ask it to end.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType


def main(address: str, words: list[str]) -> int:
    """Run a program over there, and return its exit status; a negative one is the signal that ended it."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        asked = json.dumps(
            {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        ).encode()
        socket.send_fds(line, [len(asked).to_bytes(8, "little")], [0, 1, 2])
        line.sendall(asked)
        answers = line.makefile("r")
        pid = int(answers.readline())

        def hand_on(number: int, _frame: FrameType | None) -> None:
            os.kill(pid, number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, hand_on)
        return int(answers.readline())


if __name__ == "__main__":
    status = main(sys.argv[1], sys.argv[2:])
    if status < 0:  # it died of a signal, and so do we
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
