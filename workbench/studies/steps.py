"""Steps of a series: read from names of every public naming, compared as numbers, chosen by a user's words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from numbers import Integral
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint

# How a user names checkpoints: see `select_checkpoints`.
Which = str | int | Checkpoint | Sequence[str | int | Checkpoint]
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_LARGEST = 10**15  # beyond it a number in a name is no count
# `512`, `00512`, `1k`, `1.5K`, `1e5`, `1,000`, but not `1_000`, which may be two numbers.
_AMOUNT = r"0*(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?:e(\d{1,2}))?([kmbt]?)"
_NUMBER = rf"{_AMOUNT}(?![a-z0-9]|[.,]\d|_\d{{3}}(?!\d))"
_STEP = r"(?:global[-_]?step|step|checkpoint|chkpt|ckpt|iteration|iter)s?"
# What counts in a name, the surest first: `step-512`, `checkpoint-200`, `global_step20`, `iter_0001000`, `step=5159`;
# then `1000steps`; then what may stand beside a step: `ba2000`, `update-10`, `epoch=9`, `tokens-4B`; then a bare one.
_WAYS = [
    ("step", rf"(?:^|[^a-z]){_STEP}[-_=. ]?{_NUMBER}"),
    ("step", rf"(?:^|[^a-z0-9.,]){_AMOUNT}[-_ ]?(?:steps|iters|iterations)(?![a-z])"),
    ("step", rf"(?:^|[^a-z])(?:ba|batch|update)[-_=. ]?{_NUMBER}"),
    ("epoch", rf"(?:^|[^a-z])(?:epoch|ep)[-_=. ]?{_NUMBER}"),
    ("tokens", rf"(?:^|[^a-z])tokens?[-_=. ]?{_NUMBER}"),
    ("tokens", rf"(?:^|[^a-z0-9.,]){_AMOUNT}[-_ ]?tokens?(?![a-z])"),
    ("bare", rf"^{_NUMBER}$"),
]
_COUNTED = {"step": "steps", "bare": "steps", "epoch": "epochs", "tokens": "tokens"}
_PATTERNS = [(way, re.compile(pattern, re.IGNORECASE)) for way, pattern in _WAYS]
_EPOCH = re.compile(r"(?:^|[^a-z])(?:epoch|ep)[-_=. ]?0*(\d+)", re.IGNORECASE)
_STAGE = re.compile(r"(?:^|[^a-z])(stage|phase)[-_=. ]?0*(\d+)", re.IGNORECASE)


def read_step(name: str) -> tuple[int, str] | None:
    """The number in a folder's or revision's name and what it counts: `step`, `epoch`, `tokens`, or `bare` for a plain
    number.

    `step-50K-105b` → (50000, "step"); of several steps in a name the last counts. None where it names none, or no whole
    one (`epoch_1.5`): then nothing is read of it, rather than half a number.
    """
    for way, pattern in _PATTERNS:
        if found := list(pattern.finditer(name)):
            whole, part, power, unit = found[-1].groups()
            size = (
                Decimal(whole.replace(",", "") + (part or "")) * 10 ** int(power or 0) * _UNITS[unit.lower()]
            )
            return (int(size), way) if size == int(size) and size < _LARGEST else None
    return None


def step_of(name: str) -> int | None:
    """The step in a folder's or revision's name: `step1000` → 1000; None where it names none."""
    found = read_step(name)
    return None if found is None else found[0]


def in_order(members: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The members of a series by step; those without one behind, by label, numbered by their place.

    Raises WorkbenchError where two names count different things (epochs and steps) or count anew (in two stages),
    which no order follows from.
    """
    named = [member for member in members if not member.counted]
    ways: dict[str, str] = {}
    stages: dict[str, str] = {}
    for member in named:
        name = member.label.rpartition("@")[2]
        if not member.info and (found := read_step(name)):
            ways[_COUNTED[found[1]]] = member.label
            stages[" ".join(" ".join(stage).lower() for stage in _STAGE.findall(name))] = member.label
    if len(ways) > 1:
        raise WorkbenchError(
            f"The series counts {' and '.join(sorted(ways))} in different names "
            f"({_both(ways)}); rename its folders alike."
        )
    if len(stages) > 1:
        raise WorkbenchError(
            f"The series counts its steps anew in each stage ({_both(stages)}); give each stage a folder of its own."
        )
    named.sort(key=lambda member: (member.step, member.label))
    for one, two in pairwise(named):
        before, after = (_EPOCH.search(member.label) for member in (one, two))
        if before and after and int(before[1]) > int(after[1]):
            raise WorkbenchError(
                f"The series counts its steps anew in each epoch ({one.label!r} would come before {two.label!r}); name "
                "its folders by steps of the whole training."
            )
    rest = sorted((member for member in members if member.counted), key=lambda member: member.label)
    first = named[-1].step + 1 if named else 0
    return named + [replace(member, step=first + place) for place, member in enumerate(rest)]


def _both(found: Mapping[str, str]) -> str:
    return ", ".join(repr(label) for _, label in sorted(found.items()))


def _in_words(which: Which) -> str:
    """Numbers, checkpoints and lists of them as one would write them: `0,512`."""
    if isinstance(which, str):
        return which
    if isinstance(which, Checkpoint):
        return which.label
    if isinstance(which, Integral) and not isinstance(which, bool):
        return str(which)
    if isinstance(which, Iterable):
        return ",".join(_in_words(one) for one in which)
    raise WorkbenchError(
        f"{which!r} names no checkpoint; give all, last, every:4, a step such as 512, or a list of them."
    )


def select_checkpoints(members: Sequence[Checkpoint], which: Which, where: Path | str) -> list[Checkpoint]:
    """Choose of a series: `all`, `last`, `every:4` (always with first and last), or steps and names `0,512,best`.

    From Python steps may be numbers, a checkpoint stands for itself, and several may be a list. Raises
    WorkbenchError for an unknown one, and for `last` where names tell no order.
    """
    if not members:
        raise WorkbenchError(
            f"{where} has no complete checkpoint yet; run `workbench train` on its recipe first."
        )
    which = _in_words(which)
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
        same = [member.label for member in members if member.step == members[-1].step]
        if len(same) > 1:
            raise WorkbenchError(
                f"{where} has {len(same)} checkpoints of its last step, {members[-1].step}; choose by name: "
                f"{', '.join(same)}."
            )
        return list(members[-1:])
    kind, _, number = which.partition(":")
    if kind == "every" and number.isdecimal() and int(number) > 0:
        return [*members[: -1 : int(number)], members[-1]]
    chosen: list[Checkpoint] = []
    for part in (text.strip() for text in which.split(",")):
        found = (
            select_checkpoints(members, "last", where)
            if part == "last"
            else [
                member
                for member in members
                if part == member.label
                or (not member.counted and part.isdecimal() and int(part) == member.step)
            ]
        )
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
