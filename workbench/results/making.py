"""One process at a time makes a result; a second one that is asked for the same is told who does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.locks import hold


@contextmanager
def making(path: Path, doing: str) -> Iterator[None]:
    """Be the only process that makes the result `path` (see `result_path`); doing: `probed`, `asked`, `analysed`.

    Raises Busy where another one is at it: `runs/tiny is being probed (p-embedding, step-00000512) by process …`.
    """
    of, run = path.parent.name, path.parents[2]
    with hold(run, f"{of}-{path.stem}", f"{doing} ({of}, {path.stem})"):
        yield
