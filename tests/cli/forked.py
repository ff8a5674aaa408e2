"""A command in a forked child of a process that has imported everything: it costs what it does, and not its imports."""

import os
import sys
from typing import NoReturn

import sklearn.linear_model  # noqa: F401
import transformers.models.gpt_neox.modeling_gpt_neox  # noqa: F401

import workbench.activations.caching
import workbench.extraction.finetuning
import workbench.figures.tables
import workbench.probing.runner
import workbench.studies.creating  # noqa: F401
from workbench.cli import main


def run_and_exit(words: list[str], log: str) -> NoReturn:
    """Run a command with what it says in a file, and end this process with its exit status."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["workbench", *words]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
