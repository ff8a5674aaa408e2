"""Steps of a series: read from names of every public naming, compared as numbers, chosen by a user's words."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
# `step-512`, `step1000`, `step-1k`, `checkpoint-200`, `ckpt_2000`, `global_step20`, `iter_0001000`, `step=5159`.
_STEP = re.compile(
    r"(?:^|[^a-z])(?:global[-_]?step|step|checkpoint|ckpt|iteration|iter)s?[-_=. ]?0*(\d+)([km]?)(?![a-z0-9])",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(?:^|[^a-z])(?:epoch|ep)[-_=. ]?0*(\d+)(?![a-z0-9])", re.IGNORECASE)
_BARE = re.compile(r"0*(\d+)(k?)", re.IGNORECASE)


def read_step(name: str) -> tuple[int, str] | None:
    """The number in a folder's or revision's name and what it counts: `step`, `epoch`, or `bare` for a plain number.

    `step-50K-105b` → (50000, "step"); of several steps in a name the last counts; None where it names none.
    """
    if found := list(_STEP.finditer(name)):
        return int(found[-1][1]) * _UNITS[found[-1][2].lower()], "step"
    if match := _EPOCH.search(name):
        return int(match[1]), "epoch"
    if match := _BARE.fullmatch(name):
        return int(match[1]) * _UNITS[match[2].lower()], "bare"
    return None


def step_of(name: str) -> int | None:
    """The step in a folder's or revision's name: `step1000` → 1000; None where it names none."""
    found = read_step(name)
    return None if found is None else found[0]


def in_order(members: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The members of a series by step; those without one behind, by label, numbered by their place.

    Raises WorkbenchError where two names count different things (epochs and steps), which no order follows from.
    """
    named = [member for member in members if not member.counted]
    ways = {
        way: member.label
        for member in named
        if not member.info and (found := read_step(member.label.rpartition("@")[2])) and (way := found[1])
    }
    if len({"epoch" if way == "epoch" else "step" for way in ways}) > 1:
        others = ", ".join(repr(label) for _, label in sorted(ways.items()))
        raise WorkbenchError(
            f"The series counts epochs in one name and steps in another ({others}); rename its folders alike."
        )
    named.sort(key=lambda member: (member.step, member.label))
    rest = sorted((member for member in members if member.counted), key=lambda member: member.label)
    first = named[-1].step + 1 if named else 0
    return named + [replace(member, step=first + place) for place, member in enumerate(rest)]


def select_checkpoints(members: Sequence[Checkpoint], which: str, where: Path | str) -> list[Checkpoint]:
    """Choose of a series: `all`, `last`, `every:4` (always with first and last), or steps and names `0,512,best`.

    Raises WorkbenchError for an unknown one, and for `last` where names tell no order.
    """
    if not members:
        raise WorkbenchError(
            f"{where} has no complete checkpoint yet; run `workbench train` on its recipe first."
        )
    if which == "all":
        return list(members)
    known = ", ".join(member.label if member.counted else str(member.step) for member in members)
    if not any(member.counted for member in members):
        known = f"the steps {known}"
    if which == "last":
        unordered = [member.label for member in members if member.counted]
        if unordered and len(members) > 1:
            raise WorkbenchError(
                f"{where}: the name {unordered[0]!r} tells no step, so no checkpoint is the last; "
                f"choose from {known}, or all."
            )
        return list(members[-1:])
    kind, _, number = which.partition(":")
    if kind == "every" and number.isdigit() and int(number) > 0:
        return [*members[: -1 : int(number)], members[-1]]
    chosen = []
    for part in (text.strip() for text in which.split(",")):
        found = [
            member
            for member in members
            if part == member.label or (not member.counted and part.isdigit() and int(part) == member.step)
        ]
        if not found:
            raise WorkbenchError(
                f"{where} has no checkpoint {part!r}; choose all, last, every:n, or from {known}."
            )
        if len(found) > 1:
            raise WorkbenchError(
                f"{where} has {len(found)} checkpoints of step {part}; choose by name: "
                f"{', '.join(member.label for member in found)}."
            )
        chosen.append(found[0])
    return chosen
