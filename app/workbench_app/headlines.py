"""The headline numbers of a run, each at every checkpoint, with chance and interval; and where it stands between text
and name."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.figures.cells import attribute_label, format_number, select_cells
from workbench.figures.learning_curve import targets_of_form
from workbench.results.provenance import facts_of
from workbench_app.against_answers import ask_commands, common_answers
from workbench_app.folding import members_of
from workbench_app.index import RunEntry
from workbench_app.missing import EVERY, probe_command
from workbench_app.view import View

LEAST_READ = (
    0.1  # above chance at the best position: below it there is nothing that could be tied to anything
)
SOME_ALONE = ("group-", "tasks-")  # settings of a probe of some entities, or of other targets


@dataclass(frozen=True)
class Headline:
    """One number: what it is, the page that shows it, and by step the number in words and what stands below it.

    command: what makes it, where no result has it (then there are no steps).
    """

    label: str
    page: str
    steps: list[int]
    numbers: list[str]
    notes: list[str]
    command: list[str]


def headlines(view: View, entry: RunEntry) -> list[Headline]:
    """Those that a run can have: problems of the arithmetic world are solved, facts are read and answered."""
    kinds: list[Callable[[View, RunEntry], Headline | None]] = [
        _from_name,
        _bare_name,
        _answered,
        _bits,
        _solved,
    ]
    return [found for kind in kinds if (found := kind(view, entry)) is not None]


def is_arithmetic(entry: RunEntry) -> bool:
    """Whether the run read problems in place of facts."""
    return entry.recipe is not None and entry.recipe.arithmetic is not None


def p_set(entry: RunEntry) -> str:
    """The P-probe that an overview shows: the paper's where there is one, whatever its settings, of most checkpoints.

    Others read less of the same cell: runs side by side would differ by the probe. One of a group alone, or of the
    answers of tasks, is of other entities or targets, and shown only where there is no other.
    """
    found = _of_everybody(entry.sets_of("p"))
    return max(
        found, key=lambda name: (name.startswith("p-embedding"), len(entry.result_sets[name])), default=""
    )


def _of_everybody(found: list[str]) -> list[str]:
    """Without the probes of a group or of tasks, where there are others."""
    return [
        name for name in found if not any(part.startswith(SOME_ALONE) for part in name.split("+")[1:])
    ] or found


def name_place(cells: xr.Dataset) -> int:
    """The column where no more than the name has been read: position 0, or the first place called `end:…`."""
    if "place" not in cells.coords:
        return 0
    names = [str(name) for name in cells["place"].values.tolist()]
    return next((at for at, name in enumerate(names) if name.startswith("end:")), 0)


def whole_values(cells: xr.Dataset) -> list[str]:
    """One target an attribute: its whole value, or its first token where there is no other."""
    return targets_of_form(cells, "whole")


def tied_to_name(cells: xr.Dataset) -> list[float | None]:
    """By checkpoint: how much of what is read at the best position is read from the name alone, above chance, 0 to 1.

    cells: dims (checkpoint, position, target). Mean over the attributes that rise clearly above chance anywhere; in a
    fixed order the first one does not count, whose own sentence begins at position 0. None where nothing is read.
    """
    chosen = cells.sel(target=whole_values(cells))
    accuracy = np.asarray(chosen["accuracy"].transpose("checkpoint", "target", "position").values, float)
    chance = chosen["chance"].broadcast_like(chosen["accuracy"]).transpose("checkpoint", "target", "position")
    above = accuracy - np.asarray(chance.values, float)
    at = name_place(cells)
    found: list[float | None] = []
    for one in above:
        rows = [row for row in one if not np.isnan(row[at]) and np.count_nonzero(~np.isnan(row)) > 1]
        ties = [row[at] / np.nanmax(row) for row in rows if np.nanmax(row) > LEAST_READ]
        found.append(float(np.clip(np.mean(ties), 0, 1)) if ties else None)
    return found


def _from_name(view: View, entry: RunEntry) -> Headline | None:
    if is_arithmetic(entry):
        return None
    name = p_set(entry)
    data = view.cells(entry, name)[0] if name else None
    command = probe_command(entry, name or "p-embedding")
    if data is None:
        return Headline("read from the name in a text", "p-probe", [], [], [], command)
    targets, label = whole_values(data), "read from the name in a text"
    first = facts_of(data).keys[0]
    others = [target for target in targets if target.partition("/")[0] != first]
    if "place" not in data.coords and others != targets and others:  # its own sentence may begin there
        targets, label = others, f"{label}, without {attribute_label(first)}"
    row = data.isel(position=name_place(data)).sel(target=targets)
    return _of_cells(label, "p-probe", row, command)


def _bare_name(view: View, entry: RunEntry) -> Headline | None:
    if is_arithmetic(entry):
        return None
    name = next(iter(_of_everybody(entry.sets_of("q"))), "")
    data = view.cells(entry, name)[0] if name else None
    command = probe_command(entry, name or "q-embedding")
    if data is None:
        return Headline("read from the bare name", "q-probe", [], [], [], command)
    return _of_cells(
        "read from the bare name", "q-probe", data.isel(position=-1).sel(target=whole_values(data)), command
    )


def _of_cells(label: str, page: str, row: xr.Dataset, command: list[str]) -> Headline:
    """The mean over the targets of a row of cells (checkpoint, target).

    The targets are read of the same entities, so the interval is the mean of theirs: as wide as if they went together.
    """
    order = ("checkpoint", "target")
    accuracy = np.asarray(row["accuracy"].transpose(*order).values, float)
    chance = np.asarray(row["chance"].broadcast_like(row["accuracy"]).transpose(*order).values, float)
    ends = [
        np.asarray(row[end].transpose(*order).values, float)
        if end in row
        else np.full(accuracy.shape, np.nan)
        for end in ("ci_low", "ci_high")
    ]
    flags = np.ones(accuracy.shape)
    if "converged" in row:
        flags = np.asarray(row["converged"].broadcast_like(row["accuracy"]).transpose(*order).values, float)
    numbers, notes = [], []
    for at in range(len(accuracy)):
        known = ~np.isnan(accuracy[at])
        if not known.any():
            numbers.append("–")
            notes.append("")
            continue
        numbers.append(f"{100 * accuracy[at][known].mean():.0f} %")
        note = [f"chance {100 * chance[at][known].mean():.0f} %"]
        low, high = (end[at][known] for end in ends)
        if not np.isnan(low).any():
            note.append(f"95 %: {100 * low.mean():.0f}–{100 * high.mean():.0f}")
        if (missed := int(np.sum(flags[at][known] < 1))) > 0:
            note.append(f"{missed} of {int(known.sum())} not converged")
        notes.append(" · ".join(note))
    return Headline(label, page, [int(s) for s in row["checkpoint"].values.tolist()], numbers, notes, command)


def _load(view: View, entry: RunEntry, name: str, dims: tuple[str, ...]) -> xr.Dataset | None:
    """A result by these dimensions, of runs shown as one their mean; None where there is none."""
    data = view.load(entry, name).data if name else None
    return select_cells(data, dims=dims) if data is not None and "seed" in data.dims else data


def _answered(view: View, entry: RunEntry) -> Headline | None:
    if is_arithmetic(entry):
        return None
    name = common_answers([entry])
    data = _load(view, entry, name, ("checkpoint", "split", "attribute"))
    finetune, evaluate = ask_commands(entry)
    label, command = "answered, entities never asked about", [*finetune, "&&", *evaluate]
    if data is None:
        return Headline(label, "answers", [], [], [], command)
    test = data.sel(split="test")
    asked = [a for a in test["attribute"].values.tolist() if float(test["n"].sel(attribute=a).sum())]
    row = test.sel(attribute=asked).rename(attribute="target").drop_vars("converged", errors="ignore")
    made = _of_cells(label, "answers", row, command)
    how = "not finetuned" if name.startswith("qa-none") else f"after finetuning, {name.partition('+')[2]}"
    return Headline(
        label, "answers", made.steps, made.numbers, [f"{how} · {note}" for note in made.notes], command
    )


def _bits(view: View, entry: RunEntry) -> Headline | None:
    name = next(iter(entry.sets_of("capacity")), "")
    found = [view.load(one, name).data for one in members_of([entry])] if name else []
    parts = [one for one in found if one is not None]
    if not parts or len(parts) < len(found):
        return None
    steps = [
        step
        for step in map(int, parts[0]["checkpoint"].values.tolist())
        if all(step in part["checkpoint"].values for part in parts)
    ]
    ratio, most, learned = (
        np.mean([part[one].sel(checkpoint=steps).values for part in parts], axis=0)
        for one in ("ratio", "ratio_max", "learned")
    )
    numbers = [format_number(float(one), ".2f") for one in ratio]
    notes = [
        f"bits a parameter of at most {float(high):.2f}; {format_number(100 * float(share), '.0f')} % of what there is"
        for high, share in zip(most, learned, strict=True)
    ]
    return Headline(
        "bits of knowledge", "capacity", steps, numbers, notes, ["workbench", "capacity", str(entry.path)]
    )


def _solved(view: View, entry: RunEntry) -> Headline | None:
    name = next(iter(entry.sets_of("solving")), "")
    data = _load(view, entry, name, ("checkpoint", "operations"))
    if data is None:
        command = ["workbench", "solve", str(entry.path), *EVERY]
        return Headline("problems solved", "reasoning", [], [], [], command) if is_arithmetic(entry) else None
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    within, beyond = _apart(entry, [str(name) for name in data["operations"].values])
    numbers, notes = [], []
    for step in range(len(steps)):
        one = data.isel(checkpoint=step)
        inside, n = _share_right(one, within)
        outside, n_beyond = _share_right(one, beyond)
        numbers.append(inside if within else outside)
        words = [f"{n:,} problems of {_range(within)} operations, as trained"] if within else []
        words += (
            [f"{outside} of {n_beyond:,} of {_range(beyond)}" + ", beyond training" * bool(within)]
            if beyond
            else []
        )
        notes.append("; ".join(words))
    command = ["workbench", "solve", str(entry.path), *EVERY]
    return Headline("problems solved", "reasoning", steps, numbers, notes, command)


def most_operations(entry: RunEntry) -> int:
    """Of the problems that a run was trained on; 0 where it read none."""
    return entry.recipe.arithmetic.problems.operations if entry.recipe and entry.recipe.arithmetic else 0


def _apart(entry: RunEntry, names: list[str]) -> tuple[list[str], list[str]]:
    """The test sets with as many operations as training had, and all others: longer ones, or *reask* alone."""
    most = most_operations(entry)
    counted = [name for name in names if name.isdecimal()]
    within = [name for name in counted if int(name) <= most]
    return within, [name for name in counted if name not in within] or ([] if within else names)


def _share_right(one: xr.Dataset, names: list[str]) -> tuple[str, int]:
    """Solved of these sets, and of how many problems."""
    if not names:
        return "–", 0
    chosen = one.sel(operations=names)
    n, shares = np.asarray(chosen["n"].values, float), np.asarray(chosen["accuracy"].values, float)
    return f"{100 * np.nansum(shares * n) / max(n.sum(), 1):.0f} %", int(n.sum())


def _range(names: list[str]) -> str:
    """`1 to 3`, `4`, or `reask`."""
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
