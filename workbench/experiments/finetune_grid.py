"""A grid of finetunes: every combination of the given settings, and how each one did (paper, appendix A.2)."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, nearest
from workbench.experiments.grids import split_grid
from workbench.extraction.finetunes import Finetune
from workbench.extraction.settings import FinetuneSettings, choose_settings

if TYPE_CHECKING:
    from rich.table import Table

KEYS = {
    "lr": float,
    "weight_decay": float,
    "rank": int,
    "embedding_rank": int,
    "steps": int,
    "questions_per_step": int,
    "seed": int,
}


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`["lr=1e-3,3e-4", "rank=8,16"]` → `{"lr": [0.001, 0.0003], "rank": [8, 16]}`.

    Raises WorkbenchError for an unknown or repeated key and for a value that is not a number of its kind.
    """
    grid: dict[str, list[Any]] = {}
    for key, values in split_grid(texts, "lr=1e-3,3e-4").items():
        if key not in KEYS:
            raise WorkbenchError(
                f"--grid changes {key!r}, which is no setting of a finetune{nearest(key, list(KEYS)) or '.'} "
                f"There are {', '.join(KEYS)}."
            )
        text = f"{key}={','.join(values)}"
        try:
            grid[key] = [KEYS[key](value) for value in values]
        except ValueError:
            kind = "whole numbers" if KEYS[key] is int else "numbers"
            raise WorkbenchError(f"--grid {text!r}: {key} takes {kind} between commas.") from None
        if min(grid[key]) < 0 or len(set(grid[key])) < len(grid[key]):
            raise WorkbenchError(f"--grid {text!r}: the values must differ and not be negative.")
    return grid


def make_grid(
    width: int, given: dict[str, Any], grid: dict[str, list[Any]], name: str | None = None
) -> list[tuple[str, FinetuneSettings]]:
    """Name and settings of each combination, the last key changing fastest; a key given twice is refused."""
    if twice := [key for key in grid if given.get(key) is not None]:
        option = twice[0].replace("_", "-")
        raise WorkbenchError(f"{twice[0]} is given by --{option} and by --grid; leave one of them out.")
    combinations = []
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        settings = choose_settings(width, **{**given, **chosen})
        parts = [f"{key.replace('_', '-')}{value:g}" for key, value in chosen.items() if key != "seed"]
        seed = [f"seed{chosen['seed']}"] if name and "seed" in chosen else []  # the usual name has it already
        combinations.append(("+".join([settings.name if name is None else name, *parts, *seed]), settings))
    return combinations


def make_grid_table(
    grid: dict[str, list[Any]],
    made: Sequence[Finetune],
    paper: Mapping[str, tuple[float, float]] | None = None,
) -> "Table":
    """Each finetune with its settings and how its sample of entities was answered, best test entities first.

    paper: first tokens of train entities and answers of test entities by `rank/embedding rank`, or `full` (Figures 2
    and 11), beside the finetunes that have those ranks.
    """
    from rich.table import Table

    table = Table(title=f"{len(made)} finetunes", title_justify="left", box=None, pad_edge=False)
    theirs = {finetune.name: (paper or {}).get(_ranks(finetune)) for finetune in made}
    beside = ("paper test", "paper train first") if any(theirs.values()) else ()
    headings = ("best test", "at step", "last test", "last train", "train first", *beside)
    table.add_column("name", no_wrap=True)
    for heading in (*grid, *headings):
        table.add_column(heading.replace("_", " "), justify="right")
    rows = []
    for finetune in made:
        by_step = {row["step"]: row for row in finetune.info["measurements"]}
        best, last = (by_step[finetune.step(which)] for which in ("best", "last"))
        numbers = [
            _share(best, "test"), _share(last, "test"), _share(last, "train"), _share(last, "train", "first"),
        ]  # fmt: skip
        rows.append((numbers, finetune))
    for (best_test, *last_numbers), finetune in sorted(rows, key=lambda row: row[0], reverse=True):
        settings = [f"{finetune.settings[key]:g}" for key in grid]
        texts = [
            f"{best_test:.1%}",
            f"{finetune.step('best'):,}",
            *(f"{share:.1%}" for share in last_numbers),
        ]
        cell = theirs[finetune.name]
        texts += [] if not beside else ["·", "·"] if cell is None else [f"{cell[1]:.1%}", f"{cell[0]:.1%}"]
        table.add_row(finetune.name, *settings, *texts)
    table.caption = "whole answers, and first tokens; mean over attributes, a sample of entities"
    table.caption_justify = "left"
    return table


def _ranks(finetune: Finetune) -> str:
    settings = finetune.settings
    return "full" if settings["method"] == "full" else f"{settings['rank']}/{settings['embedding_rank']}"


def _share(row: dict[str, Any], split: str, key: str = "exact") -> float:
    return float(row[split][key]["mean"]) if split in row else float("nan")
