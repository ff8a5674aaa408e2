"""Several runs shown as one: an entry that stands for seeds of an experiment, or for runs that share a recipe's key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError
from workbench.probing.pooling import pool_results
from workbench.recipes.differences import flatten_sections
from workbench.studies.folds import SEED, fold_runs
from workbench_app.index import RunEntry
from workbench_app.library import Loaded, ResultLibrary

PAGES_THAT_FOLD = ("overview", "p-probe", "compare", "q-probe", "layers", "training")
APART = "none"
SEPARATOR = ","  # between the ids of a folded entry; no id holds one


@dataclass(frozen=True, eq=False)
class FoldedEntry(RunEntry):
    """Runs as one. Its id holds theirs, so that an address names it; result sets and steps are those that all have."""

    members: tuple[RunEntry, ...] = ()
    label: str = ""
    words: str = ""

    @property
    def title(self) -> str:
        return self.label

    @property
    def about(self) -> str:
        return f"mean over {self.words}: {', '.join(entry.id for entry in self.members)}"


def fold_entries(entries: Sequence[RunEntry], by: str) -> list[RunEntry]:
    """The runs as they are shown; by: `seed` or another key of a recipe, empty for each by itself."""
    if by in ("", APART):
        return list(entries)
    folds = fold_runs([entry.id for entry in entries], [entry.recipe for entry in entries], by)
    return [
        entries[fold.members[0]]
        if len(fold.members) == 1
        else _as_one([entries[place] for place in fold.members], fold.name, fold.words)
        for fold in folds
    ]


def find_entry(run_id: str, entries: Mapping[str, RunEntry], shown: Sequence[RunEntry]) -> RunEntry | None:
    """The run of an id, or the folded ones that are shown under it."""
    folded = next((entry for entry in shown if entry.id == run_id), None)
    return folded or entries.get(run_id)


def members_of(entries: Sequence[RunEntry]) -> list[RunEntry]:
    """Every single run among entries that may be folded."""
    return [
        one for entry in entries for one in (entry.members if isinstance(entry, FoldedEntry) else (entry,))
    ]


def fold_choices(entries: Sequence[RunEntry]) -> list[tuple[str, str]]:
    """By what the runs can be folded: not at all, by seed, by any key in which their recipes differ."""
    flat = [flatten_sections(entry.recipe.to_json()) for entry in entries if entry.recipe is not None]
    keys = dict.fromkeys(key for one in flat for key in one if key not in ("name", SEED))
    differ = [key for key in keys if len({str(one.get(key)) for one in flat}) > 1]
    if len(flat) < 2:
        return []
    return [(APART, "each by itself"), (SEED, "seeds as one"), *[(key, f"same {key}") for key in differ]]


def load_folded(library: ResultLibrary, entry: FoldedEntry, set_name: str) -> Loaded:
    """The results of the runs along `seed`, pooled once for the files there are; what is wrong with any is told."""
    parts = [(one, library.load(one, set_name)) for one in entry.members]
    faults = [f"{one.id}: {fault}" for one, loaded in parts for fault in loaded.faults]
    stale = sorted({step for _, loaded in parts for step in loaded.stale})
    stamps = {step: stamp for _, loaded in parts for step, stamp in loaded.stamps.items()}
    if any(loaded.data is None for _, loaded in parts):
        lacking = ", ".join(one.id for one, loaded in parts if loaded.data is None)
        return Loaded(None, [*faults, f"{lacking}: no result to take the mean with."], stale, {}, stamps)
    key = (entry.id, set_name, tuple(tuple(sorted(loaded.stamps.items())) for _, loaded in parts))

    def pool() -> Loaded:
        seeds = [one.recipe.seed if one.recipe else None for one, _ in parts]
        results = [loaded.data for _, loaded in parts if loaded.data is not None]
        try:
            data = pool_results(results, [one.id for one, _ in parts], seeds)
        except WorkbenchError as error:
            return Loaded(None, [*faults, str(error)], stale, {}, stamps)
        return Loaded(data, faults, stale, parts[0][1].attrs, stamps)

    made: Loaded = library.remember(key, pool)
    return made


def mean_rows(runs: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was measured while training, the mean over runs at the steps that all measured; one run's as it is."""
    if len(runs) == 1:
        return runs[0]
    by_step = [{row["step"]: row for row in rows} for rows in runs]
    return [
        _mean([rows[step] for rows in by_step])
        for step in by_step[0]
        if all(step in rows for rows in by_step)
    ]


def _mean(values: list[Any]) -> Any:
    """Of numbers the mean, of dictionaries that of each key all have; of anything else the first."""
    if all(isinstance(value, dict) for value in values):
        return {
            key: _mean([value[key] for value in values]) for key in values[0] if all(key in v for v in values)
        }
    known = all(isinstance(value, int | float) for value in values)
    return sum(values) / len(values) if known else values[0]


def _as_one(members: list[RunEntry], name: str, words: str) -> FoldedEntry:
    first = members[0]
    steps = [step for step in first.steps if all(step in one.steps for one in members)]
    sets = {
        name: {
            step: stamp
            for step, stamp in files.items()
            if all(step in one.result_sets[name] for one in members)
        }
        for name, files in first.result_sets.items()
        if all(name in one.result_sets for one in members)
    }
    return FoldedEntry(
        id=SEPARATOR.join(one.id for one in members),
        path=first.path,
        stamps={},
        state="finished",
        recipe=first.recipe,
        fault=next((one.fault for one in members if one.fault), None),
        steps=steps,
        result_sets={name: files for name, files in sets.items() if files},
        notes=first.notes,
        members=tuple(members),
        label=f"{name} ({len(members)} runs)",
        words=words,
    )
