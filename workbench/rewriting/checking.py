"""Whether an answer may be kept: a pure function from a text and its entity to an entry with spans, or to reasons.

What is kept states the name, and every value of the entity once, as written or as declared, each where the words
around it speak of it; no value of another entity, and nothing of the prompt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.facts.entities import PRONOUNS, Entity, one_spelling
from workbench.facts.schema import Schema
from workbench.rewriting.contexts import Contexts, mask, split_sentences
from workbench.rewriting.mentions import Mentions, find_name
from workbench.worlds.entries import Entry, Span

# In this order they are looked for; the first is the one that a refusal is counted under.
REASONS = (
    "empty", "refusal", "cut", "prompt", "markup", "copied", "length", "name", "missing", "wording", "repeated",
    "foreign", "glued", "exchanged",
)  # fmt: skip
ACCEPTED = "accepted"
WORDS = {
    "empty": "no text at all",
    "refusal": "the model declined",
    "cut": "ends within a sentence",
    "prompt": "words of the prompt, or of an assistant",
    "markup": "markup, lists or placeholders",
    "copied": "the given text unchanged",
    "length": "too short or too long",
    "name": "the full name does not stand in it",
    "missing": "a value is not stated",
    "wording": "a value in words that are not declared",
    "repeated": "a value, or a part of it, said more than once",
    "foreign": "a value of somebody else",
    "glued": "a value without a space before it",
    "exchanged": "a value may stand for another attribute",
}
PRONOUN_FORMS = {
    "he": ("he", "him", "his", "himself"),
    "she": ("she", "her", "hers", "herself"),
    "they": ("they", "them", "their", "theirs", "themselves"),
    "it": ("it", "its", "itself"),
}
assert set(PRONOUN_FORMS) == set(PRONOUNS)
SHINGLE = 5  # so many words of the prompt in a row are no accident
_REFUSAL = re.compile(
    r"\b(?:I(?:'|’)m sorry|I am sorry|I can(?:'|’)?t|I cannot|I(?:'|’)m unable|I am unable|as an AI|"
    r"I(?:'|’)m not able)\b",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(
    r"^\W*(?:sure|certainly|of course|absolutely|okay|here(?:'|’)s|here is|here are)\b|"
    r"\b(?:note|rewritten (?:text|version|biography|paragraph)|revised (?:text|version)|output|answer|biography|"
    r"paragraph)\s*:",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"\*\*|```|^#|<\|?/?\w+\|?>|\[/?INST\]|[{}]|\[[^\]]*\]|(?:^|\s)[-•*]\s|(?:^|\s)\d\.\s|https?://"
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


@dataclass(frozen=True)
class Reason:
    """Why a text is refused. detail: the attribute and the words at fault."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass(frozen=True)
class Verdict:
    """entry: the text with its spans where it is accepted, else None and at least one reason."""

    entry: Entry | None
    reasons: tuple[Reason, ...] = ()

    @property
    def kind(self) -> str:
        """`accepted`, or the first reason's kind."""
        return self.reasons[0].kind if self.reasons else ACCEPTED


@dataclass(frozen=True)
class Checker:
    """What texts are checked against. words: fewest and most; exchanges: whether exchanged values are looked for."""

    schema: Schema
    mentions: Mentions
    contexts: Contexts
    words: tuple[int, int]
    exchanges: bool = True

    def check(
        self,
        answer: str | None,
        entity: Entity,
        variant: int,
        *,
        finished: bool = True,
        instructions: Sequence[str] = (),
        given: str = "",
    ) -> Verdict:
        """Judge one answer.

        finished: whether the model ended by itself. instructions: the prompt's own words. given: a text that it was to
        rewrite.
        """
        text = tidy(answer or "")
        if not text:
            return Verdict(None, (Reason("empty"),))
        reasons = list(self._judge_words(text, finished, instructions, given))
        names = find_name(one_spelling(entity.name), text)
        if not names:
            reasons.append(Reason("name", entity.name))
        spans, more = self._judge_values(text, entity, names)
        reasons += more
        if not reasons and self.exchanges:
            exchange = self.contexts.find_exchange(text, spans, names)
            if exchange:
                reasons.append(Reason("exchanged", f"{exchange[0]} where {exchange[1]} seems meant"))
        if reasons:
            return Verdict(None, tuple(sorted(reasons, key=lambda reason: REASONS.index(reason.kind))))
        return Verdict(_make_entry(text, entity, variant, spans, names))

    def _judge_words(
        self, text: str, finished: bool, instructions: Sequence[str], given: str
    ) -> list[Reason]:
        reasons = []
        if match := _REFUSAL.search(text):
            reasons.append(Reason("refusal", match[0]))
        if not finished or text.rstrip("\"'”’)")[-1:] not in (".", "!", "?"):
            reasons.append(Reason("cut", text[-30:]))
        said = _shingles(text)
        left = [shingle for words in instructions for shingle in _shingles(words) if shingle in said]
        if left:
            reasons.append(Reason("prompt", " ".join(left[0])))
        elif match := _ASSISTANT.search(text):
            reasons.append(Reason("prompt", match[0].strip()))
        elif listed := re.search(
            rf"\b(?:{'|'.join(map(re.escape, self.schema.labels.values()))})\s*:", text, re.IGNORECASE
        ):
            reasons.append(Reason("prompt", listed[0]))
        if match := _MARKUP.search(text):
            reasons.append(Reason("markup", match[0].strip()))
        if given and tidy(given).casefold() == text.casefold():
            reasons.append(Reason("copied"))
        n_words, (fewest, most) = len(text.split()), self.words
        if not fewest <= n_words <= most:
            reasons.append(Reason("length", f"{n_words} words, not {fewest} to {most}"))
        return reasons

    def _judge_values(
        self, text: str, entity: Entity, names: Sequence[Span]
    ) -> tuple[dict[str, Span], list[Reason]]:
        """Where each value stands; and what is missing, in other words, repeated, of others, or without a space."""
        reasons = []
        stated: dict[str, list[Span]] = {key: [] for key in entity.values}
        otherwise: dict[str, list[Span]] = {key: [] for key in entity.values}
        for mention in self.mentions.find(text, entity):
            start, end = mention.span
            if any(first <= start and end <= last for first, last in names):
                continue
            own = [key for key, value in mention.values if entity.values.get(key) == value]
            if not own:
                reasons.append(Reason("foreign", f"{mention.values[0][0]} {text[start:end]!r}"))
            for key in own:
                (stated if mention.exact and not mention.partial else otherwise)[key].append(mention.span)
        for key, value in entity.values.items():
            n, m = len(stated[key]), len(otherwise[key])
            if n + m == 0:
                reasons.append(Reason("missing", f"{key} {value!r}"))
            elif n == 0:
                reasons.append(Reason("wording", f"{key} {text[slice(*otherwise[key][0])]!r}"))
            elif n + m > 1:
                reasons.append(Reason("repeated", f"{key} {value!r}"))
            elif stated[key][0][0] == 0 or text[stated[key][0][0] - 1] != " ":
                reasons.append(Reason("glued", f"{key} {value!r}"))
        return {key: spans[0] for key, spans in stated.items() if spans}, reasons


def tidy(answer: str) -> str:
    """An answer in one line and one spelling, without what cannot be seen and without quotation marks around it."""
    text = " ".join(one_spelling(answer.translate(_INVISIBLE)).split())
    for opening, closing in ('""', "“”", "''"):
        inner = text[1:-1]
        if (
            len(text) > 2
            and text[0] == opening
            and text[-1] == closing
            and not {opening, closing} & set(inner)
        ):
            text = inner.strip()
    return text


def find_pronouns(text: str, pronoun: str, names: Sequence[Span]) -> tuple[Span, ...]:
    """Every form of the entity's pronoun outside its name."""
    forms = "|".join(PRONOUN_FORMS[pronoun])
    found = [match.span() for match in re.finditer(rf"\b(?:{forms})\b", text, re.IGNORECASE)]
    return tuple(
        span for span in found if not any(start <= span[0] and span[1] <= end for start, end in names)
    )


def _make_entry(
    text: str, entity: Entity, variant: int, spans: dict[str, Span], names: Sequence[Span]
) -> Entry:
    values = dict(sorted(spans.items(), key=lambda item: item[1]))
    covered = [*values.values()]
    pronouns = tuple(
        span
        for span in find_pronouns(text, entity.pronoun, names)
        if not any(start < span[1] and span[0] < end for start, end in covered)
    )
    worded = tuple(key for key, (start, end) in values.items() if text[start:end] != entity.values[key])
    return Entry(
        entity.id, variant, text, tuple(names), pronouns, values, find_sentences(text, values, names), worded
    )


def find_sentences(text: str, values: dict[str, Span], names: Sequence[Span]) -> dict[str, Span]:
    """For each value its sentence; one with several values is cut behind each of them but the last."""
    sentences: dict[str, Span] = {}
    for start, end in split_sentences(mask(text, values.values(), names)):
        here = [key for key, span in values.items() if start <= span[0] < end]
        at = start
        for key in here:
            stop = end if key == here[-1] else values[key][1]
            sentences[key] = (at, stop)
            at = stop
    return sentences


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
