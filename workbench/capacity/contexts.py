"""Where each fact is scored: in an entry in which nothing before it tells it (Part 3.3 does not say; we do).

A company's city gives the company away, an earlier pronoun the pronoun; a name is scored where no value stands before
it. An attribute that another one determines is no fact of its own and is not scored at all.

Shapes: N spans.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.capacity.losses import Spans
from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.studies.corpus import Corpus
from workbench.tokens.encoding import encode_entries, span_to_tokens
from workbench.worlds.entries import Entry, Span

NAME, PRONOUN = "name", "pronoun"


@dataclass(frozen=True, eq=False)
class Contexts:
    """The spans to score: facts[i] is what span i states (`name`, `pronoun`, an attribute), entities[i] about whom."""

    spans: Spans
    facts: tuple[str, ...]
    fact_N: np.ndarray
    entities_N: np.ndarray

    def of(self, fact: str) -> np.ndarray:
        """int [n]: the spans that state this fact."""
        return np.flatnonzero(self.fact_N == self.facts.index(fact))


def scored_attributes(schema: Schema) -> tuple[str, ...]:
    """The attributes that no other determines."""
    return tuple(attribute.key for attribute in schema if attribute.determined_by is None)


def find_facts(entry: Entry, schema: Schema, has_pronouns: bool) -> dict[str, Span]:
    """What an entry states where nothing before it tells: fact → characters."""
    found: dict[str, Span] = {}
    first_value = min((span[0] for span in entry.values.values()), default=len(entry.text))
    if entry.names and entry.names[0][0] < first_value:
        found[NAME] = entry.names[0]
        if has_pronouns and entry.pronouns and entry.pronouns[0][0] > entry.names[0][1]:
            found[PRONOUN] = entry.pronouns[0]
    for key in scored_attributes(schema):
        span = entry.values.get(key)
        if span is None or not entry.names or entry.names[0][0] > span[0]:
            continue  # a value that is said before the name is no fact about anybody yet
        told_by = [a.key for a in schema if a.determined_by == key]
        if all(entry.values[other][0] > span[0] for other in told_by if other in entry.values):
            found[key] = span
    return found


def make_contexts(tokenizer: "object", corpus: Corpus, entities: Sequence[int]) -> Contexts:
    """For each entity and fact the first of its entries in which nothing tells the fact.

    Raises WorkbenchError where a fact is never stated without having been told, with its name.
    """
    has_pronouns = len({corpus.entities[number].pronoun for number in entities}) > 1
    facts = (NAME, *((PRONOUN,) if has_pronouns else ()), *scored_attributes(corpus.schema))
    wanted = set(entities)
    taken: dict[tuple[int, str], tuple[int, Span]] = {}
    entries: list[Entry] = []
    for entry in _of_entities(corpus.entries, wanted):
        found = find_facts(entry, corpus.schema, has_pronouns)
        new = {fact: span for fact, span in found.items() if (entry.entity, fact) not in taken}
        if new:
            taken |= {(entry.entity, fact): (len(entries), span) for fact, span in new.items()}
            entries.append(entry)
    for fact in facts:
        if not any(known == fact for _, known in taken):
            raise WorkbenchError(
                f"No entry states {fact!r} before something else tells it, so its bits cannot be measured; "
                "use an augmentation that permutes the sentences, or `single`."
            )
    encoded = encode_entries(tokenizer, entries, corpus.schema)  # type: ignore[arg-type]
    rows = []
    for (entity, fact), (number, span) in taken.items():
        start, end = _tokens(tokenizer, entries[number].text, span)
        rows.append((number, start, end, facts.index(fact), entity))
    texts, starts, ends, fact_N, entities_N = (np.array(column) for column in zip(*rows, strict=True))
    return Contexts(Spans(encoded, texts, starts, ends), facts, fact_N, entities_N)


def _of_entities(entries: Iterable[Entry], wanted: set[int]) -> Iterable[Entry]:
    return (entry for entry in entries if entry.entity in wanted)


def _tokens(tokenizer: "object", text: str, span: Span) -> tuple[int, int]:
    """The tokens [start, end) of characters, counted behind the token that begins every text."""
    encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)  # type: ignore[attr-defined]
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    first, last = span_to_tokens(span, offsets[:, 0], offsets[:, 1], text)
    return first + 1, last + 2
