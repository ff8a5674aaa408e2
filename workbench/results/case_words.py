"""Cases as tables for the terminal, and as files to take away."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.markup import escape

from workbench.errors import WorkbenchError
from workbench.files import write_atomically
from workbench.results.cases import FoundCases

if TYPE_CHECKING:
    from rich.table import Table

CORNERS = {
    "both-right": "both right",
    "probe-only": "probe right, answer wrong",
    "answer-only": "probe wrong, answer right",
    "both-wrong": "both wrong",
}
PROBE_ONLY = {"probe-right": "probe right", "probe-wrong": "probe wrong"}
ANSWERS_ONLY = {"answer-right": "answer right", "answer-wrong": "answer wrong"}
SEARCHED = ("name", "value", "guess", "answer")


def corners_of(found: FoundCases) -> dict[str, str]:
    """The filters that part the cases there are, with their words: four where a probe stands beside answers."""
    if not found.choice.answers:
        return PROBE_ONLY
    return CORNERS if found.choice.probe else ANSWERS_ONLY


def describe_choice(found: FoundCases) -> str:
    """`p-embedding at position 0, whole values · qa-lora+lora · step 512`."""
    of = found.choice
    parts = []
    if of.probe:
        place = found.place_names.get(of.position, f"position {of.position}")
        layer, seed = f", layer {of.layer}" if of.layer else "", f", seed {found.seed}" if found.seed else ""
        parts.append(f"{of.probe}{layer} at {place}{seed} ({of.form})")
    parts += [of.answers] if of.answers else []
    return " · ".join([*parts, f"step {found.step:,}"])


def find_text(frame: pd.DataFrame, text: str) -> pd.DataFrame:
    """The cases that hold a text, whatever its case, in name, value, guess or answer."""
    if not text.strip():
        return frame
    wanted = text.strip().casefold()
    held = [frame[column].map(lambda told: wanted in told.casefold()) for column in SEARCHED]
    kept = frame[pd.concat(held, axis=1).any(axis=1)]
    kept.attrs = frame.attrs
    return kept


def make_count_table(found: FoundCases, run: str) -> "Table":
    """How many cases of each attribute are in which corner, with their share."""
    from rich.table import Table

    corners = corners_of(found)
    table = Table(title=f"{escape(run)} · {escape(describe_choice(found))}", title_justify="left")
    table.add_column("attribute")
    for words in (*corners.values(), "cases"):
        table.add_column(words, justify="right")
    for name in (*found.table.attributes, None):
        counts = [found.table.count(where, name) for where in corners]
        cells = [f"{count:,} ({count / sum(counts):.0%})" if sum(counts) else "·" for count in counts]
        label = "all" if name is None else escape(name.replace("_", " "))
        table.add_row(label, *cells, f"{sum(counts):,}", style="bold" if name is None else "")
    return table


def make_case_table(frame: pd.DataFrame, of: int) -> "Table":
    """Some cases, of how many."""
    from rich.table import Table

    table = Table(title=f"{len(frame):,} of {of:,} cases", title_justify="left")
    for column in ("entity", "name", "attribute", "value", "probe", "", "answer", "verdict"):
        table.add_column(column, justify="right" if column in ("entity", "") else "left")
    for row in frame.to_dict("records"):
        share = row["probability"]
        sure = "" if pd.isna(share) else f"{share:.0%}"
        told = [
            str(row["entity"]), row["name"], row["attribute"].replace("_", " "), row["value"],
            _marked(row["probe_right"], row["guess"]), sure, _marked(row["answer_right"], row["answer"]),
            kind_words(row["verdict"]),
        ]  # fmt: skip
        table.add_row(*map(escape, told))
    return table


def write_cases(frame: pd.DataFrame, path: Path) -> None:
    """Write cases as .csv, .json or .parquet; each row of a table names run, step, probe, place and answers."""
    named = ["run", "step", "probe", "layer", "position", "form", "answers"]
    full = frame.copy()
    for place, key in enumerate(named):
        full.insert(place, key, frame.attrs[key])
    match path.suffix.lower():
        case ".csv":
            write_atomically(path, full.to_csv(index=False))
        case ".json":
            content = {**frame.attrs, "cases": json.loads(frame.to_json(orient="records"))}
            write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        case ".parquet":
            try:
                write_atomically(path, bytes(full.to_parquet(index=False, engine="pyarrow")))
            except ImportError as error:
                raise WorkbenchError(
                    "Parquet needs pyarrow: `pip install pyarrow`, or write .csv or .json."
                ) from error
        case other:
            raise WorkbenchError(f"Cannot write {path.name!r}: {other!r} is not .csv, .json or .parquet.")


def _marked(right: object, words: str) -> str:
    return f"{'✓' if right else '✗'} {words}" if right is not None else ""


def kind_words(kind: str) -> str:
    """How a kind of answer is told: results keep `malformed` for whatever is no value that the book knows.

    >>> kind_words("malformed"), kind_words("right")
    ('no known value', 'right')
    """
    return "no known value" if kind == "malformed" else kind
