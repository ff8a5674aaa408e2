"""What stands below a figure in a paper: what is shown, how sure it is, of which weights, and how to make it again."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.figures.cells import format_share
from workbench.figures.publication.asked_panels import ASKED_PANELS
from workbench.figures.publication.panels import Evidence, Panel
from workbench.figures.publication.request import FigureRequest
from workbench.figures.publication.sources import depth_of

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
    probed = [panel for panel in panels if panel.kind not in ASKED_PANELS]
    if probed:
        sentences.append(_probe(probed[0].evidence[0], request, list(kinds)))
        sentences.append(
            _numbers([one for panel in probed for one in panel.evidence[:1]], "texts a cell", "value")
        )
    if asked := [one for panel in panels if panel.kind in ASKED_PANELS for one in panel.evidence]:
        whose = dict.fromkeys(f"{one.source.name}, of step {one.step:,}" for one in asked)
        sentences.append(
            f"Answers: {'; '.join(whose)} (the checkpoint asked, or that the finetune started from)."
        )
        sentences.append(_numbers(asked, "questions a dot", "answer"))
    sentences += _folds(evidence)
    told = ("training", "emergence", "half-way", *ASKED_PANELS)  # what these say of empty cells themselves
    if any(np.isnan(panel.evidence[0].values).any() for panel in panels if panel.kind not in told):
        sentences.append("Hatched: no value, the attribute has already been said in every text.")
    missed = sum(int(panel.evidence[0].unsure.sum()) for panel in panels)
    if missed:
        sentences.append(
            f"Orange dot in a cell, hollow point: the probe had not converged ({missed} of them)."
        )
    sentences.append(_digests(evidence))
    sentences.append(f"Made again by: {line}")
    return " ".join(sentences)


def _kind(kind: str, panels: Sequence[Panel], request: FigureRequest) -> str:
    metric = METRIC_WORDS[request.metric]
    what = WHAT[kind].format(metric=metric, position=request.position)
    named = [_named(panel) for panel in panels]
    return f"{'; '.join(named)}: {what}."


def _named(panel: Panel) -> str:
    about = f"{panel.title}, {panel.sub}" if panel.sub else panel.title
    return f"({panel.letter}) {about}" if panel.letter else about


def _probe(evidence: Evidence, request: FigureRequest, kinds: list[str]) -> str:
    attrs = evidence.source.results[0][1].attrs
    settings: dict[str, Any] = json.loads(str(attrs.get("settings", "{}")))
    depth = depth_of(evidence.source.data) if kinds != ["layers"] else None
    layers = [f"{depth} {request.layer or evidence.source.data[depth].values[-1]}"] if depth else []
    told = [f"{name} {settings[name]}" for name in TOLD_SETTINGS if settings.get(name) is not None]
    return f"Probe: {', '.join([request.family.replace('+', ', '), *layers, *told])}."


def _numbers(shown: Sequence[Evidence], unit: str, commonest: str) -> str:
    """n, chance, and how far the intervals reach at most, over all cells that have a value."""
    known = [~np.isnan(one.values) for one in shown]
    n = np.concatenate([one.n[cells] for one, cells in zip(shown, known, strict=True)])
    chance = np.concatenate([one.chance[cells] for one, cells in zip(shown, known, strict=True)])
    reach = np.concatenate(
        [((one.high - one.low) / 2)[cells] for one, cells in zip(shown, known, strict=True)]
    )
    parts = [f"n = {_range(n, lambda value: f'{value:,.0f}')} {unit}"]
    parts.append(f"chance (the commonest {commonest}) {_range(chance, format_share)}")
    if not np.isnan(reach).all():
        parts.append(f"95 % intervals reach at most ±{100 * np.nanmax(reach):.1f} points")
    return f"{'; '.join(parts)}."


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
