"""What probes predict: for each attribute its value's first token and its whole value (paper, section 5).

Shapes: N entities, K targets.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.schema import Attribute, Schema
from workbench.tasks.families import Classification, Retrieval
from workbench.tasks.task import Task
from workbench.tokens.encoding import answers_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger("workbench.tokens")
FEW_ENTITIES = 20  # train entities per class; with 10 a linear probe reads nothing of what is there
MANY_UNSEEN = 0.1


@dataclass(frozen=True)
class Target:
    """One classification task. labels_N: int64 [people], -1 for an entity without the attribute."""

    attribute: str
    form: str
    labels_N: np.ndarray
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """`birth_city/whole`."""
        return f"{self.attribute}/{self.form}"

    def chance(self, chosen_N: np.ndarray) -> float:
        """Share of the commonest class among the chosen entities: what a constant answer scores."""
        labels = self.labels_N[chosen_N]
        labels = labels[labels >= 0]
        return float(np.bincount(labels).max() / len(labels)) if len(labels) else float("nan")


def warn_of_few_entities(target: str, n_entities: int, n_classes: int) -> list[str]:
    """One sentence where a target has too few train entities per class for a low accuracy to mean absent knowledge."""
    if n_entities >= FEW_ENTITIES * n_classes:
        return []
    return [
        f"{target}: {n_entities} train entities for {n_classes} classes ({n_entities / n_classes:.1f} per class, "
        f"fewer than {FEW_ENTITIES}): a low accuracy may be the probe's, see the learning curve."
    ]


def warn_of_unseen(labels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """One sentence on the targets of which no probe can be right for a tenth of the test entities or more.

    labels: target → classes of its train entities, and of its test entities.
    """
    found = []
    for target, (train, test) in labels.items():
        unseen = int((~np.isin(test, train)).sum())
        if unseen >= MANY_UNSEEN * len(test) > 0:
            found.append(f"{target} {unseen} of {len(test)}")
    if not found:
        return []
    more = f", and of {len(found) - 3} more targets" if len(found) > 3 else ""
    return [
        f"Test entities whose class no train entity has, so that no probe can be right: {', '.join(found[:3])}{more}."
    ]


def make_targets(
    entities: Sequence[Entity], schema: Schema, tokenizer: "PreTrainedTokenizerFast", *, told: bool = False
) -> list[Target]:
    """The schema's targets in its order: of each attribute the forms that it names. told: the warnings have been given.

    A target all of whose entities share one class, or none of whose entities share one, is left out with a warning: a
    probe of it would always be right, or never. Raises WorkbenchError where no target is left.
    """
    targets: list[Target] = []
    left_out: list[str] = []
    for attribute in schema:
        values = [entity.values.get(attribute.key) for entity in entities]
        distinct = sorted({value for value in values if value is not None})
        if not distinct:
            continue
        for form in attribute.forms:
            class_of = _classes(attribute, form, distinct, tokenizer)
            if without := [value for value in distinct if value not in class_of and not told]:
                log.warning(
                    "%s/%s: %d of %d values have no such part, as %r; they are no class of it.",
                    attribute.key, form, len(without), len(distinct), without[0],
                )  # fmt: skip
            classes = tuple(sorted(set(class_of.values())))
            index = {name: i for i, name in enumerate(classes)}
            labels_N = np.array([index.get(class_of.get(value or "", ""), -1) for value in values])
            target = Target(attribute.key, form, labels_N, classes)
            if reason := _reason_against(target):
                left_out.append(f"{target.name} {reason}")
            else:
                targets.append(target)
    for words in left_out if not told else ():
        log.warning("left out: %s", words)
    if not targets:
        raise WorkbenchError(
            f"Nothing can be probed: {'; '.join(left_out) or 'no entity has a value'}; give an attribute with "
            "at least two values that entities share."
        )
    return targets


def make_task_targets(tasks: Sequence[Task], entities: Sequence[Entity]) -> list[Target]:
    """Targets derived from facts: the answers of tasks about one value of one entity, such as a month's parity.

    A target is of the attribute that it is derived from, so a P-probe asks for it where that has not been said.
    Raises WorkbenchError for other tasks, and for one whose answers are all the same.
    """
    targets = []
    for task in tasks:
        if not isinstance(task, Retrieval | Classification):
            raise WorkbenchError(
                f"The task {task.name!r} cannot be a probe's target; expected a retrieval or a classification, whose "
                "answer follows from one value of one entity."
            )
        key = task.source.attribute.key
        spec = task.name.partition(":")[2] or task.name  # a task of the user's own is its name
        form = "whole" if spec == key else spec.removeprefix(f"{key}.").replace("/", "_")
        asked = [task.ask(entity) for entity in entities]
        classes = tuple(sorted({one.answer for one in asked if one is not None}))
        if len(classes) < 2:
            raise WorkbenchError(
                f"The task {task.name!r} has the single answer {classes[0]!r}, which every probe predicts."
            )
        labels_N = np.array([-1 if one is None else classes.index(one.answer) for one in asked])
        targets.append(Target(key, form, labels_N, classes))
    return targets


def _reason_against(target: Target) -> str | None:
    """Why a probe of this target would tell nothing, or None."""
    if len(target.classes) < 2:
        return f"has the single class {', '.join(map(repr, target.classes))}, which every probe predicts"
    n_entities = int((target.labels_N >= 0).sum())
    if len(target.classes) == n_entities:
        return f"has as many classes as entities ({n_entities}), so no test entity's class is ever seen in training"
    return None


def _classes(
    attribute: Attribute, form: str, values: Sequence[str], tokenizer: "PreTrainedTokenizerFast"
) -> dict[str, str]:
    """Value → class; a value without the named part has none."""
    if form == "first":
        return _first_tokens(tokenizer, values)
    if form == "whole":
        return {value: value for value in values}
    parts = {value: attribute.part_of(value, form) for value in values}
    return {value: part for value, part in parts.items() if part is not None}


def _first_tokens(tokenizer: "PreTrainedTokenizerFast", values: Sequence[str]) -> dict[str, str]:
    """What each value's first token is called: as it reads, or as the vocabulary writes it where two read alike.

    Byte-level BPE may cut inside a character; such pieces all read `�`, and are not one class for that.
    """
    ids = {value: found[0] for value, found in zip(values, answers_ids(tokenizer, values), strict=True)}
    texts = {token: str(tokenizer.decode([token])).strip() for token in set(ids.values())}
    shared = {text for text, number in Counter(texts.values()).items() if number > 1}
    names = {
        t: str(tokenizer.convert_ids_to_tokens(t)) if text in shared else text for t, text in texts.items()
    }
    return {value: names[token] for value, token in ids.items()}


def distinct_targets(targets: Sequence[Target]) -> list[int]:
    """For each target the index of the first one of its attribute that splits the entities alike (or its own).

    Where a value's first token determines it, `first` and `whole` are one task: it is trained once. Targets of
    two attributes stay two even where one determines the other (a company its city): they are read at
    different places.
    """
    seen: dict[tuple[str, bytes, bytes], int] = {}
    stands_for = []
    for i, target in enumerate(targets):
        _, canonical = np.unique(target.labels_N, return_inverse=True)
        order: dict[int, int] = {}
        relabelled = np.array([order.setdefault(int(label), len(order)) for label in canonical])
        missing = target.labels_N < 0
        stands_for.append(seen.setdefault((target.attribute, relabelled.tobytes(), missing.tobytes()), i))
    return stands_for
