"""What stands below a figure in a paper: what is shown, how sure it is, of which weights, and how to make it again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.figures.cells import format_share
from workbench.figures.publication.asked_panels import ASKED_PANELS
from workbench.figures.publication.measured_panels import COUNTED, MEASURED_PANELS
from workbench.figures.publication.panels import Evidence, Panel
from workbench.figures.publication.request import KINDS, FigureRequest
from workbench.figures.publication.sources import depth_of
from workbench.results.provenance import facts_of

SHORT = 12  # characters of a digest
TOLD_SETTINGS = ("rank", "steps", "seed")
WHAT = {
    "p": "P-probe: {metric}, for each target (rows) just before the first, second, … value of a text is said (columns: "
    "positions, or the places named)",
    "layers": "P-probe by layer: {metric}, for each target (rows) at position {position} and each layer (columns)",
    "difference": "difference of two P-probes in points: {metric}; brackets: the difference's 95 % interval "
    "(Newcombe's, as of independent samples) holds 0",
    "q": "Q-probe: {metric}, from the entity's bare name; bars: 95 % interval, grey ticks: chance",
    "answers": "whole answers to questions about test entities that are right, by attribute; bars: 95 % interval, grey "
    "ticks: chance",
    "tasks": "questions of tasks about test entities answered right; bars: 95 % interval, grey ticks: chance",
    "training": "P-probe at position {position} over the checkpoints: {metric}; bands: 95 % interval",
    "attention": "share of each head's attention that goes to the role named, from the token before a value, mean over "
    "positions; evenly: of a head that looks everywhere alike",
    "knockout": "points of the right value's probability lost when the look at a role (rows) is cut in every block; "
    "all: over all attributes, in brackets the same for as many random tokens; 95 % intervals are known of all alone; "
    "hatched: no such token stands before that value",
    "seen": "P-probe: percent right of each target (rows) by the attributes said before (columns: {told}); "
    "hatched: it has been said itself, or no text has said just these",
    "bits": "bits of knowledge learned, as a share of all there are to learn; band: 95 % interval",
    "scaling": "bits of knowledge learned against parameters, one point a model, both axes logarithmic; bars: 95 % "
    "interval; dashed: all there is to learn; R max: the most bits a parameter of any of these models",
    "v": "V-probe: percent of variables told right, by property (rows, in brackets the share of the commonest answer) "
    "and by how many sentences of the solution have been written (columns)",
    "solved": "problems solved by number of operations; bands: 95 % interval",
    "learning": "percent of first tokens right while training, in texts and in answers, of train and of test entities; "
    "no interval is kept",
    "cases": "test entities' values by whether the probe and the answer are right; in brackets how many; "
    "intervals as if the values of an entity were independent ({told})",
    "emergence": "first step, of the checkpoints probed, at which the 95 % interval of the P-probe's accuracy lies "
    "above chance, for each target (rows) and position (columns): it became so after the checkpoint before; (100): not "
    "clear again at a later one; “≤”: so at the first one probed; hatched: never, or no value",
    "half-way": "first step, of the checkpoints probed, at which the P-probe has half of its last accuracy over "
    "chance, for each target (rows) and position (columns); (100): not clear of chance at a later one; “≤”: so at the "
    "first one probed; hatched: not clear of chance at the last one (never, or lost), or no value",
}
METRIC_WORDS = {
    "accuracy": "percent of the test entities' texts for which the probe is right",
    "accuracy_not_next": "percent right, only of texts in which the attribute is not the very next value",
    "above_chance": "accuracy minus chance, in points",
    "selectivity": "accuracy minus that of the same probe on shuffled labels, in points",
    "train_accuracy": "percent right of the entities that the probe was trained on",
}


def write_caption(panels: Sequence[Panel], request: FigureRequest, line: str) -> str:
    """The caption in plain text, one paragraph, its last sentence the command that makes the figure again."""
    kinds = dict.fromkeys(panel.kind for panel in panels)
    sentences = [_kind(kind, [panel for panel in panels if panel.kind == kind], request) for kind in kinds]
    evidence = [one for panel in panels for one in panel.evidence]
    unprobed = (*ASKED_PANELS, *MEASURED_PANELS)
    probed = [panel for panel in panels if panel.kind not in unprobed]
    if probed:
        sentences.append(_probes(probed, request))
        of_names, of_texts = ([one for one in probed if (one.kind == "q") == bare] for bare in (True, False))
        for some, unit in ((of_texts, "texts a cell"), (of_names, "names a dot")):
            if some:
                counts = _numbers(
                    [one for panel in some for one in _told(panel)], unit, "the commonest value"
                )
                both = len(some) < len(probed)
                sentences.append(f"{_probe_kind(some[0])}: {counts}" if both else counts)
    if asked := [one for panel in panels if panel.kind in ASKED_PANELS for one in panel.evidence]:
        whose = dict.fromkeys(f"{one.source.name}, of step {one.step:,}" for one in asked)
        sentences.append(
            f"Answers: {'; '.join(whose)} (the checkpoint asked, or that the finetune started from)."
        )
        sentences.append(_numbers(asked, "questions a dot", "the commonest answer"))
    for kind in (kind for kind in kinds if kind in MEASURED_PANELS):
        shown = [one for panel in panels if panel.kind == kind for one in panel.evidence]
        if counted := _numbers(shown, *COUNTED[kind]):
            sentences.append(f"{KINDS[kind].capitalize()}: {counted}" if len(kinds) > 1 else counted)
    sentences += _folds(evidence)
    told = ("training", "emergence", "half-way", *unprobed)  # what these say of empty cells themselves
    if any(np.isnan(one.values).any() for panel in panels if panel.kind not in told for one in _told(panel)):
        sentences.append("Hatched: no value, the attribute has already been said in every text.")
    missed = sum(int(one.unsure.sum()) for panel in panels for one in _told(panel))
    if missed:
        sentences.append(
            f"Orange dot in a cell, hollow point: the probe had not converged ({missed} of them)."
        )
    sentences.append(_digests(evidence))
    sentences.append(f"Made again by: {line}")
    return " ".join(sentences)


def _kind(kind: str, panels: Sequence[Panel], request: FigureRequest) -> str:
    metric = METRIC_WORDS[request.metric]
    told = _letters(panels[0]) if kind == "seen" else "; ".join(p.evidence[0].source.name for p in panels)
    what = WHAT[kind].format(metric=metric, position=request.position, told=told)
    named = [_named(panel) for panel in panels]
    return f"{'; '.join(named)}: {what}."


def _letters(panel: Panel) -> str:
    """`d birth date, b birth city, …`: what the columns' letters mean."""
    schema = facts_of(panel.evidence[0].source.data)
    return ", ".join(f"{letter} {schema.labels[key]}" for key, letter in schema.letters.items())


def _named(panel: Panel) -> str:
    about = f"{panel.title}, {panel.sub}" if panel.sub else panel.title
    return f"({panel.letter}) {about}" if panel.letter else about


def _told(panel: Panel) -> tuple[Evidence, ...]:
    """What a panel's numbers are: of a difference the difference, which stands first; else of every run."""
    return panel.evidence[:1] if panel.kind == "difference" else panel.evidence


def _probe_kind(panel: Panel) -> str:
    return "Q-probe" if panel.kind == "q" else "P-probe"


def _probes(panels: Sequence[Panel], request: FigureRequest) -> str:
    """Each probe's settings once; where they differ, whose they are: a Q-probe has more ranks, a recipe other steps."""
    whose: dict[str, dict[str, None]] = {}
    kinds: dict[str, dict[str, None]] = {}
    for panel in panels:
        for one in panel.evidence:
            for run, result in one.source.results:
                told = _settings(one, result.attrs, request, panel.kind)
                whose.setdefault(told, {})[run] = None
                kinds.setdefault(told, {})[_probe_kind(panel)] = None
    if len(whose) == 1:
        return f"Probe: {next(iter(whose))}."
    alike = len({tuple(runs) for runs in whose.values()}) == 1
    named = []
    for told, runs in whose.items():
        of = "" if alike else f" of {', '.join(runs)}"
        named.append(f"{' and '.join(kinds[told])}{of}: {told}")
    return f"{'; '.join(named)}."


def _settings(evidence: Evidence, attrs: Mapping[Any, Any], request: FigureRequest, kind: str) -> str:
    settings: dict[str, Any] = json.loads(str(attrs.get("settings", "{}")))
    depth = depth_of(evidence.source.data) if kind != "layers" else None
    layers = [f"{depth} {request.layer or evidence.source.data[depth].values[-1]}"] if depth else []
    told = [f"{name} {settings[name]}" for name in TOLD_SETTINGS if settings.get(name) is not None]
    return ", ".join([request.family.replace("+", ", "), *layers, *told])


def _numbers(shown: Sequence[Evidence], unit: str, guess: str) -> str:
    """n, chance, and how far the intervals reach at most, over all cells with a value, as far as known."""
    known = [~np.isnan(one.values) for one in shown]
    n = np.concatenate([one.n[cells] for one, cells in zip(shown, known, strict=True)])
    chance = np.concatenate([one.chance[cells] for one, cells in zip(shown, known, strict=True)])
    reach = np.concatenate(
        [((one.high - one.low) / 2)[cells] for one, cells in zip(shown, known, strict=True)]
    )
    parts = []
    if unit and not np.isnan(n).all():
        parts.append(f"n = {_range(n[~np.isnan(n)], lambda value: f'{value:,.0f}')} {unit}")
    if guess and not np.isnan(chance).all():
        parts.append(f"chance ({guess}) {_range(chance[~np.isnan(chance)], format_share)}")
    if not np.isnan(reach).all():
        parts.append(f"95 % intervals reach at most ±{100 * np.nanmax(reach):.1f} points")
    return f"{'; '.join(parts)}." if parts else ""


def _range(values: np.ndarray, spell: Any) -> str:
    low, high = spell(float(values.min())), spell(float(values.max()))
    return str(low if low == high else f"{low} to {high}")


def _folds(evidence: Sequence[Evidence]) -> list[str]:
    folded = {one.source.name: one.source.fold for one in evidence if len(one.source.fold.members) > 1}
    return [
        f"{name}: mean over {fold.words}, intervals by Student's t over the runs."
        for name, fold in folded.items()
    ]


def _digests(evidence: Sequence[Evidence]) -> str:
    told: dict[str, None] = {}
    for one in evidence:
        for run, recipe, weights in one.source.digests(one.step):
            told[f"{run} recipe {recipe[:SHORT]}, step {one.step:,} weights {weights[:SHORT]}"] = None
    return f"SHA-256: {'; '.join(told)}."
