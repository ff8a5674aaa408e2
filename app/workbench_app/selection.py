"""The one shared selection: what the address says, and what it means for the runs that exist.

    /p-probe?runs=single,multi5%2Bpermute&step=1018&metric=accuracy&cell=single:0:birth_city/first

An address may say anything; whatever does not exist is replaced by the nearest sensible choice, and what was
replaced is told on the page.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from workbench_app.index import RunEntry

PAGES = {  # the first is what the bare address shows; each is the module of its name in workbench_app.pages
    "overview": "Overview",
    "runs": "Runs",
    "p-probe": "P-probe",
    "compare": "Compare",
    "q-probe": "Q-probe",
    "layers": "Layers",
    "sets": "Sets",
    "attention": "Attention",
    "answers": "Answers",
    "cases": "Cases",
    "tasks": "Tasks",
    "capacity": "Capacity",
    "reasoning": "Reasoning",
    "training": "Training",
    "entity": "Entity",
    "paper": "Paper",
    "claims": "Claims",
}
FIRST_PAGE = next(iter(PAGES))
MOST_RUNS = 12
DEFAULT_RUNS = 4
LONGEST_VALUE = 2000
WORDS = ("metric", "set", "baseline", "layer", "target", "form", "arm", "fold", "cell")


@dataclass(frozen=True)
class Selection:
    """What is shown. Empty text means: the page's own default. `step` None is the newest checkpoint.

    at: dimension → label, where a result has dimensions that no other key names (`at-role=name_last`).
    """

    page: str = "overview"
    runs: tuple[str, ...] = ()
    step: int | None = None
    metric: str = ""
    set: str = ""
    baseline: str = ""
    layer: str = ""
    target: str = ""
    position: int | None = None
    entity: int | None = None
    form: str = ""
    arm: str = ""
    fold: str = ""
    cell: str = ""
    at: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = field(default=())


def parse_selection(pathname: str | None, search: str | None, prefix: str = "/") -> Selection:
    """Read an address. Nothing in it can fail: what makes no sense is dropped, and told in `told`."""
    tail = (pathname or "/").removeprefix(prefix.rstrip("/")).strip("/")
    told = []
    page = tail or FIRST_PAGE
    if page not in PAGES:
        told.append(f"There is no page {page[:60]!r}; this is the overview.")
        page = FIRST_PAGE
    try:
        query = parse_qs((search or "").removeprefix("?")[: LONGEST_VALUE * 4], keep_blank_values=False)
    except ValueError:
        query = {}
    text = {name: values[-1][:LONGEST_VALUE] for name, values in query.items()}
    runs = tuple(dict.fromkeys(part for part in text.get("runs", "").split(",") if part))
    if len(runs) > MOST_RUNS:
        told.append(f"At most {MOST_RUNS} runs are shown side by side; these are the first of {len(runs)}.")
    plain: dict[str, Any] = {name: text.get(name, "") for name in WORDS}
    numbers: dict[str, Any] = {name: _number(text.get(name)) for name in ("step", "position", "entity")}
    told += [
        f"The {name} {text[name][:60]!r} is no whole number from 0 on; it is left out."
        for name, number in numbers.items()
        if number is None and text.get(name)
    ]
    at = {name.removeprefix("at-"): value for name, value in text.items() if name.startswith("at-")}
    return Selection(page=page, runs=runs[:MOST_RUNS], told=tuple(told), at=at, **plain, **numbers)


def resolve_runs(
    selection: Selection, entries: Mapping[str, RunEntry], reads: Collection[str] = ()
) -> tuple[Selection, list[RunEntry]]:
    """The runs that are meant: those named, or the first ones that have something to show.

    reads: the kinds of results that the page shows. Where the first runs have none of them, the first that have.
    """
    named = [entries[run_id] for run_id in selection.runs if run_id in entries]
    unknown = [run_id for run_id in selection.runs if run_id not in entries]
    told = selection.told
    if unknown:
        told += (f"There is no run {', '.join(repr(name[:60]) for name in unknown)} here (any more).",)
    if not named:
        probed = [entry for entry in entries.values() if entry.result_sets]
        named = (probed or list(entries.values()))[:DEFAULT_RUNS]
        if not any(_fills(entry, reads) for entry in named):
            named = [entry for entry in probed if _fills(entry, reads)][:DEFAULT_RUNS] or named
    runs = tuple(entry.id for entry in named)
    of_these = all(part in runs for part in selection.baseline.split(","))  # one run, or several shown as one
    baseline = selection.baseline if of_these else ""
    if selection.baseline not in ("", "none", baseline):
        told += (f"The baseline {selection.baseline[:60]!r} is none of the runs shown.",)
    return replace(selection, runs=runs, baseline=baseline, told=told), named


def _fills(entry: RunEntry, kinds: Collection[str]) -> bool:
    """Whether a run has results of one of these kinds."""
    return any(entry.sets_of(kind) for kind in kinds)


def choose(wanted: str, choices: list[str], default: str = "") -> str:
    """What was wanted if there is such a choice, else the default, else the first (or empty)."""
    if wanted in choices:
        return wanted
    return default if default in choices else (choices[0] if choices else "")


def parse_cell(text: str) -> tuple[str, int, str] | None:
    """`run:position:target` → its parts; None for anything else."""
    run, _, rest = text.partition(":")
    position, _, target = rest.partition(":")
    return (run, int(position), target) if run and target and _number(position) is not None else None


def _number(text: Any) -> int | None:
    return (
        int(text)
        if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 12
        else None
    )
