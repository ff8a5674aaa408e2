"""What a report shows of one run, read once; what is missing or refused is kept as a sentence, not raised."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import xarray as xr

from workbench.errors import WorkbenchError
from workbench.extraction.answer_table import name_augmentation
from workbench.figures.paper import KEYS as PAPER_KEYS
from workbench.figures.paper import paper_augmentations
from workbench.results.storing import ResultSet, list_results, load_results, require_same_weights
from workbench.studies.opening import open_study
from workbench.studies.runs import Run
from workbench.studies.study import Study
from workbench.worlds.entries import Entry

T = TypeVar("T")
FAMILY = "embedding"  # the paper's probe
ON_ACTIVATIONS = "logistic"  # the first to stand in for it, under its own name


@dataclass(frozen=True)
class RunParts:
    """One run's share of the report. p, q: probe results over checkpoints (see `_load_probe`); answers: what the run's
    questions were answered with, by finetune (`none`: the checkpoints themselves); seen, curve: P-probes by what has
    been said, and over the number of entities. None, or nothing, where not made yet. group: whose p and q these are,
    None for everybody; groups: the same run's, of each group that has been probed by itself. tasks: answers to
    tasks. capacity: bits, and with rounded weights. attention: analyses, each in every variant. layers: the P-probe on
    activations, where it read several layers. called: what tells it from other runs, where that is not its folder.
    """

    run: Study
    rows: list[dict[str, Any]]
    p: xr.Dataset | None
    q: xr.Dataset | None
    answers: dict[str, xr.Dataset]
    results: list[ResultSet]
    problems: list[str] = field(default_factory=list)
    seen: xr.Dataset | None = None
    curve: xr.Dataset | None = None
    group: str | None = None
    groups: "tuple[RunParts, ...]" = ()
    tasks: tuple[xr.Dataset, ...] = ()
    capacity: tuple[xr.Dataset, ...] = ()
    attention: tuple[xr.Dataset, ...] = ()
    layers: xr.Dataset | None = None
    called: str = ""

    @property
    def name(self) -> str:
        name = self.called or self.run.name
        return name if self.group is None else f"{name}, {self.group}"

    @property
    def augmentation(self) -> str:
        """As in the paper; the groups' own where there are several."""
        return name_augmentation(self.run, self.group)

    @property
    def probed(self) -> "list[RunParts]":
        """What was probed of this run: everybody, and each group; the run itself where nothing was."""
        everybody = [self] if self.p is not None or self.q is not None or not self.groups else []
        return [*everybody, *self.groups]

    @property
    def who(self) -> tuple[str, ...]:
        """The options of a command that is about the same entities."""
        return () if self.group is None else ("--group", self.group)

    def line_below(self, *facts: str) -> str:
        """The line below a card's name; the augmentation only where the name does not say it already."""
        return " · ".join([*([self.augmentation] if self.augmentation != self.name else []), *facts])

    @property
    def trained_here(self) -> bool:
        """Whether it is a run; of models that come from elsewhere we know neither texts nor training."""
        return isinstance(self.run, Run)

    @property
    def entities(self) -> int:
        return self.run.n_entities

    @property
    def in_paper(self) -> bool:
        """Whether the paper has numbers for these facts and this augmentation (then they are laid beside)."""
        return tuple(self.run.schema.keys) == tuple(PAPER_KEYS) and self.augmentation in paper_augmentations()

    @property
    def is_gbert(self) -> bool:
        """Whether the paper's bidirectional model is the one to compare with."""
        return self.run.bidirectional

    @property
    def steps(self) -> list[int]:
        return [checkpoint.step for checkpoint in self.run.checkpoints]


def call(part: RunParts, name: str) -> RunParts:
    """The same under a name that tells its run from others of the report, which may have its folder's name, too."""
    held = {one.name: getattr(part, one.name) for one in fields(part)}
    named: dict[str, Any] = {
        key: value.assign_attrs(run=name) for key, value in held.items() if isinstance(value, xr.Dataset)
    }
    for key in ("tasks", "capacity", "attention"):
        named[key] = tuple(one.assign_attrs(run=name) for one in held[key])
    return replace(part, called=name, groups=tuple(call(group, name) for group in part.groups), **named)


def read_parts(folder: Path) -> RunParts:
    """Read a run for the report; a damaged or outdated result becomes a problem to show."""
    run = open_study(folder)
    problems: list[str] = []
    results = _attempt(lambda: list_results(run.path), problems) or []
    p, q = (_load_probe(run, kind, results, problems) for kind in ("p", "q"))
    answers = {}
    for found in results:
        if found.kind != "qa":
            continue
        if (loaded := _load(run, "qa", found.family, results, problems)) is not None:
            answers[found.family.partition("+")[2] or found.family] = loaded
    groups = []
    for group in run.groups if len(run.groups) > 1 else ():
        own = {kind: _load(run, kind, f"{FAMILY}+group-{group}", results, problems) for kind in ("p", "q")}
        if any(probed is not None for probed in own.values()):
            groups.append(RunParts(run, [], own["p"], own["q"], {}, results, group=group))
    seen, curve = (_load_first(run, kind, results, problems) for kind in ("seen", "p_curve"))
    tasks, capacity, attention = (
        tuple(
            loaded
            for found in results
            if found.kind == kind
            and (loaded := _load(run, kind, found.family, results, problems)) is not None
        )
        for kind in ("tasks", "capacity", "attention")
    )
    return RunParts(
        run,
        run.metrics(),
        p,
        q,
        answers,
        results,
        problems,
        seen,
        curve,
        groups=tuple(groups),
        tasks=tasks,
        capacity=capacity,
        attention=attention,
        layers=_load_layers(run, results, problems),
    )


def sample_entry(parts: RunParts) -> Entry | None:
    """A short biography of a test entity, to explain positions on; None where the corpus cannot be read."""
    try:
        entities, entries = parts.run.corpus.entities, parts.run.corpus.entries
    except (WorkbenchError, OSError):
        return None
    of_test = [entry for entry in entries if entities[entry.entity].split == "test"]
    first = min((entry.entity for entry in of_test), default=None)
    candidates = [entry for entry in of_test if entry.entity == first]
    return candidates[-1] if candidates else None


def probe_words(result: xr.Dataset) -> str:
    """Which probe made a result, where it is not the paper's with its own settings; nothing where it is."""
    family, variant = str(result.attrs["family"]), str(result.attrs.get("variant", "")).replace("+", ", ")
    if family == FAMILY:
        return f"{family} probe, {variant}" if variant else ""
    layer = f", layer {result['layer'].item()}" if "layer" in result.coords else ""
    return f"{family} probe on activations{layer}" + (f", {variant}" if variant else "")


def _load_probe(run: Study, kind: str, results: list[ResultSet], problems: list[str]) -> xr.Dataset | None:
    """The paper's probe of everybody; else the same with other settings, else one on activations, at its last layer."""
    found = [
        one.family
        for one in results
        if one.kind == kind and "group-" not in one.family and "tasks-" not in one.family
    ]

    def rank(family: str) -> tuple[bool, bool, bool, int]:
        plain, _, variant = family.partition("+")
        return plain != FAMILY, plain != ON_ACTIVATIONS, bool(variant), len(family)

    result = _load(run, kind, min(found, key=rank), results, problems) if found else None
    return result.isel(layer=-1) if result is not None and "layer" in result.dims else result


def _load_layers(run: Study, results: list[ResultSet], problems: list[str]) -> xr.Dataset | None:
    """The P-probe on activations of everybody, where it read several layers."""
    there = any(one.kind == "p" and one.family == ON_ACTIVATIONS for one in results)
    result = _load(run, "p", ON_ACTIVATIONS, results, problems) if there else None
    return result if result is not None and result.sizes.get("layer", 1) > 1 else None


def _load_first(run: Study, kind: str, results: list[ResultSet], problems: list[str]) -> xr.Dataset | None:
    """The result of a kind, the plainest where there are several variants."""
    families = sorted((found.family for found in results if found.kind == kind), key=len)
    return _load(run, kind, families[0], results, problems) if families else None


def _load(
    run: Study, kind: str, family: str, results: list[ResultSet], problems: list[str]
) -> xr.Dataset | None:
    """family: with its variant, as `list_results` names it."""
    if not any((found.kind, found.family) == (kind, family) for found in results):
        return None

    def load() -> xr.Dataset:
        plain, _, variant = family.partition("+")
        dataset = load_results(run.path, kind, plain, variant)
        require_same_weights(dataset, {c.step: c.weights_digest for c in run.checkpoints})
        return dataset

    return _attempt(load, problems)


def _attempt(read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except WorkbenchError as error:
        problems.append(str(error))
        return None
