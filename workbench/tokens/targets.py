"""What probes predict: for each attribute its value's first token and its whole value (paper, section 5).

Shapes: N entities, K targets.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.tokens.encoding import answer_ids
from workbench.worlds.biographies.attributes import ATTRIBUTES, Attribute

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Form = Literal["first", "whole"]
FEW_ENTITIES = 20  # train entities per class; with 10 a linear probe reads nothing of what is there


@dataclass(frozen=True)
class Target:
    """One classification task. labels_N: int64 [people], -1 for an entity without the attribute."""

    attribute: Attribute
    form: Form
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


def make_targets(entities: Sequence[Entity], tokenizer: "PreTrainedTokenizerFast") -> list[Target]:
    """The 11 targets in the paper's order; birth date has only its first token, the month.

    A target all of whose entities share one class is refused: every probe would score 1.
    """
    targets = []
    for attribute in ATTRIBUTES:
        values = [entity.values.get(attribute) for entity in entities]
        distinct = sorted({value for value in values if value is not None})
        if not distinct:
            continue
        first_token = _first_tokens(tokenizer, distinct)
        forms: dict[Form, dict[str, str]] = {"first": first_token}
        if attribute != "birth_date":
            forms["whole"] = {value: value for value in distinct}
        for form, class_of in forms.items():
            classes = tuple(sorted(set(class_of.values())))
            index = {name: i for i, name in enumerate(classes)}
            labels_N = np.array([-1 if value is None else index[class_of[value]] for value in values])
            targets.append(Target(attribute, form, labels_N, classes))
            if len(classes) < 2:
                raise WorkbenchError(
                    f"The target {targets[-1].name} has the single class {classes[0]!r}, which every probe predicts; "
                    f"give the attribute at least two values (people.pool_sizes)."
                )
    return targets


def _first_tokens(tokenizer: "PreTrainedTokenizerFast", values: Sequence[str]) -> dict[str, str]:
    """What each value's first token is called: as it reads, or as the vocabulary writes it where two read alike.

    Byte-level BPE may cut inside a character; such pieces all read `�`, and are not one class for that.
    """
    ids = {value: answer_ids(tokenizer, value)[0] for value in values}
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
