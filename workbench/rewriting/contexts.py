"""Which attribute a place in a text is about, by the words around it: what tells exchanged values.

A text that states every value once may still say that somebody was born where they work. The words around each place
are scored for each attribute (naive Bayes over words of the corpus's own texts), and a text passes only if the
assignment that it makes is the best of all by a margin. The score does not look at the values themselves, so
whatever it has learned, a text that passes and has any of its values exchanged no longer passes: the scores are the
same, and the best assignment is now another one.

Shapes: A attributes, P places.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.facts.schema import Schema
from workbench.worlds.entries import Entry

Span = tuple[int, int]
VALUE, NAME = "\x02", "\x03"  # what values and names read as; no text has these characters
MARGIN = 0.5  # nats by which each value must sit better at its place
SMOOTHING = 0.5
# How much a word counts by where it stands; chosen on texts that were written by hand.
WEIGHTS = {"before": 1.0, "close": 1.0, "left": 1.0, "right": 0.6, "behind": 0.5, "far": 0.3}
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+")
_TOKEN = re.compile(rf"{VALUE}+|{NAME}+|[^\W]+(?:'s)?|[^\w\s]")

Feature = tuple[str, str]


def mask(text: str, values: Iterable[Span], names: Iterable[Span] = ()) -> str:
    """The text with every value and name covered, as long as before, so that a dot in them ends no sentence."""
    chars = list(text)
    for mark, spans in ((NAME, names), (VALUE, values)):
        for start, end in spans:
            chars[start:end] = mark * (end - start)
    return "".join(chars)


def split_sentences(masked: str) -> list[Span]:
    """The sentences of a masked text, each with its full stop and without the space behind it."""
    spans, at = [], 0
    for match in SENTENCE_END.finditer(masked):
        spans.append((at, match.start() + len(match[0].rstrip())))
        at = match.end()
    if at < len(masked):
        spans.append((at, len(masked)))
    return spans


def describe_places(text: str, places: Sequence[Span], names: Iterable[Span] = ()) -> list[set[Feature]]:
    """For each place, in order, the words around it and where they stand; what stands at the places is not read."""
    masked = mask(text, places, names)
    described: list[set[Feature]] = []
    sentences = split_sentences(masked)
    for number, (start, end) in enumerate(places):
        first, last = next(((a, b) for a, b in sentences if a <= start < b), (0, len(text)))
        previous = max(first, places[number - 1][1] if number else 0)
        following = min(last, places[number + 1][0] if number + 1 < len(places) else last)
        left = _words(masked[previous:start])
        right = _words(masked[end:following])
        far = _words(masked[first:previous]) if previous > first else []
        features = {("left", word) for word in left} | {("right", word) for word in right}
        features |= {("far", word) for word in far if word not in left and word != VALUE}
        features.add(("before", " ".join(left[-2:]) if left else VALUE if far else ""))
        features.add(("close", left[-1] if left else VALUE if far else ""))
        features.add(("behind", right[0] if right else VALUE))
        described.append(features)
    return described


def _words(masked: str) -> list[str]:
    return [
        VALUE if word[0] == VALUE else NAME if word[0] == NAME else word.lower()
        for word in _TOKEN.findall(masked)
    ]


@dataclass(frozen=True)
class Contexts:
    """What stands around the values of each attribute. counts: feature → how often for each attribute.

    totals: attribute → how many different contexts it was learned from.
    """

    keys: tuple[str, ...]
    counts: Mapping[Feature, Mapping[str, int]]
    totals: Mapping[str, int]

    def score(self, places: Sequence[set[Feature]]) -> np.ndarray:
        """float64 [P, A]: how well each attribute sits at each place, in nats; 0 for words never seen."""
        scores_PA = np.zeros((len(places), len(self.keys)))
        for place, features in enumerate(places):
            for kind, word in features:
                known = ("left" if kind == "far" else kind, word)
                if known in self.counts:
                    scores_PA[place] += WEIGHTS[kind] * self._logs(known)
        return scores_PA

    def _logs(self, feature: Feature) -> np.ndarray:
        """float64 [A]: log share of each attribute's contexts that have the feature, less their mean."""
        if feature not in self._cached:
            seen = self.counts[feature]
            shares = [
                math.log((seen.get(key, 0) + SMOOTHING) / (self.totals.get(key, 0) + 2 * SMOOTHING))
                for key in self.keys
            ]
            self._cached[feature] = np.array(shares) - np.mean(shares)
        return self._cached[feature]

    @cached_property
    def _cached(self) -> dict[Feature, np.ndarray]:
        return {}

    def find_exchange(
        self, text: str, values: Mapping[str, Span], names: Iterable[Span] = ()
    ) -> tuple[str, str] | None:
        """An attribute and the one whose place its value seems to stand at; None where each stands at its own."""
        if len(values) < 2:
            return None
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

        ordered = sorted(values, key=lambda key: values[key])
        scores_PA = self.score(describe_places(text, [values[key] for key in ordered], names))
        scores_PP = scores_PA[:, [self.keys.index(key) for key in ordered]]
        handicapped = scores_PP - MARGIN * np.eye(len(ordered))
        _, best = linear_sum_assignment(handicapped, maximize=True)
        as_said = float(np.trace(handicapped))
        if as_said >= float(handicapped[np.arange(len(ordered)), best].sum()) - 1e-9:
            return None
        wrong = next(place for place, other in enumerate(best) if place != other)
        return ordered[wrong], ordered[int(best[wrong])]


def learn_contexts(
    schema: Schema, entries: Iterable[Entry], cues: Mapping[str, Sequence[str]] | None = None
) -> Contexts:
    """Learn from texts whose values are known, from the attributes' labels and questions, and from declared cues."""
    seen: dict[str, set[frozenset[Feature]]] = {key: set() for key in schema.keys}
    for entry in entries:
        keys = list(entry.values)
        places = describe_places(entry.text, [entry.values[key] for key in keys], entry.names)
        for key, features in zip(keys, places, strict=True):
            seen[key].add(frozenset(features))
    counts: dict[Feature, Counter[str]] = {}
    totals = {key: len(contexts) for key, contexts in seen.items()}
    for key, contexts in seen.items():
        for context in contexts:
            for feature in context:
                counts.setdefault(feature, Counter())[key] += 1
    for key in schema.keys:
        said = [schema.labels[key], schema.questions.get(key, "").replace("{name}", " ").rstrip("?")]
        weight = max(1, totals[key] // 10)
        for phrase in said:
            _count(counts, key, phrase, weight)
        for phrase in (cues or {}).get(key, ()):
            _count(counts, key, phrase, max(2, totals[key] // 3))
        totals[key] = max(totals[key], 4)
    return Contexts(schema.keys, counts, totals)


def _count(counts: dict[Feature, Counter[str]], key: str, phrase: str, weight: int) -> None:
    for word in {word.lower() for word in re.findall(r"\w+", phrase)}:
        for kind in ("left", "right"):
            counts.setdefault((kind, word), Counter())[key] += weight
