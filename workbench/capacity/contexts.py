"""Where each fact is scored: in an entry in which nothing before it tells it (Part 3.3 does not say; we do).

A company's city gives the company away, an earlier pronoun the pronoun; a name is scored where no value stands before
it. An attribute that another one determines is no fact of its own and is not scored at all.

Shapes: N spans.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.capacity.losses import Spans
from workbench.errors import WorkbenchError
from workbench.facts.entities import require_determined
from workbench.facts.schema import Schema
from workbench.studies.corpus import Corpus
from workbench.tokens.encoding import encode_entries
from workbench.tokens.spans import Start, find_tokens, iterate_encodings, start_ids
from workbench.worlds.entries import Entry, Span
from workbench.worlds.entry_sequence import FileEntries, WorldEntries
from workbench.worlds.values.world import first_chunk

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAME, PRONOUN, CHUNK = "name", "pronoun", "/chunk"
MOST_TRIES = (
    64  # entries of an endless augmentation that are looked through for a fact told by nothing before it
)


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
        told_by = schema.fixed_by(key)
        if all(entry.values[other][0] > span[0] for other in told_by if other in entry.values):
            found[key] = span
    return found


def make_contexts(
    tokenizer: "PreTrainedTokenizerFast",
    corpus: Corpus,
    entities: Sequence[int],
    *,
    names: bool = True,
    chunks: bool = False,
    start: Start = "eos",
) -> Contexts:
    """For each entity and fact the first of its entries in which nothing tells the fact.

    names:  whether names are facts too. An attribute that no entry states is none.
    chunks: also the first chunk of every value, as `id_1/chunk` (the world `values`).
    start:  what the model reads before a text.
    Raises WorkbenchError where a fact is never stated without having been told, with its name.
    """
    require_determined(corpus.entities, corpus.schema, "The corpus")
    has_pronouns = len({corpus.entities[number].pronoun for number in entities}) > 1
    scored = scored_attributes(corpus.schema)
    facts: tuple[str, ...] = (*((NAME,) if names else ()), *((PRONOUN,) if has_pronouns else ()), *scored)
    stated: set[str] = set()
    taken: dict[tuple[int, str], tuple[int, Span]] = {}
    entries: list[Entry] = []
    for number in entities:
        missing = {
            fact for fact in facts if fact in (NAME, PRONOUN) or fact in corpus.entities[number].values
        }
        for entry in _entries_of(corpus, number):
            stated |= entry.values.keys()
            found = find_facts(entry, corpus.schema, has_pronouns)
            if new := missing & set(found):
                taken |= {(number, fact): (len(entries), found[fact]) for fact in sorted(new)}
                entries.append(entry)
                missing -= new
            if not missing:
                break
    if not stated & set(scored):
        raise WorkbenchError(
            f"No entry states any of {', '.join(scored) or 'the attributes'}, so there are no bits to count; the texts "
            "need templates that name a value."
        )
    facts = tuple(fact for fact in facts if fact in (NAME, PRONOUN) or fact in stated)
    for fact in facts:
        if not any(known == fact for _, known in taken):
            raise WorkbenchError(
                f"No entry states {fact!r} before something else tells it, so its bits cannot be measured; "
                "use an augmentation that permutes the sentences, or `single`."
            )
    encoded = encode_entries(tokenizer, entries, corpus.schema, start)
    head = len(start_ids(tokenizer, start))
    rows = []
    labels = [*facts, *(f"{fact}{CHUNK}" for fact in facts if chunks and fact in corpus.schema)]
    for (entity, fact), (number, span) in taken.items():
        text = entries[number].text
        rows.append((number, *_tokens(tokenizer, text, span, head), labels.index(fact), entity))
        if f"{fact}{CHUNK}" in labels:
            part = span[0], span[0] + len(first_chunk(text[span[0] : span[1]]))
            rows.append(
                (number, *_tokens(tokenizer, text, part, head), labels.index(f"{fact}{CHUNK}"), entity)
            )
    texts, starts, ends, fact_N, entities_N = (np.array(column) for column in zip(*rows, strict=True))
    return Contexts(Spans(encoded, texts, starts, ends), tuple(labels), fact_N, entities_N)


def _entries_of(corpus: Corpus, number: int) -> Iterator[Entry]:
    """The entries of an entity; of one that has a new entry for every exposure the first `MOST_TRIES`."""
    if isinstance(corpus.entries, WorldEntries):
        world, entity = corpus.entries.world, corpus.entities[number]
        yield from (world.entry(entity, k) for k in range(world.n_entries(entity) or MOST_TRIES))
    elif isinstance(corpus.entries, FileEntries):
        yield from corpus.entries.of(number)
    else:
        yield from (entry for entry in corpus.entries if entry.entity == number)


def _tokens(tokenizer: "PreTrainedTokenizerFast", text: str, span: Span, head: int) -> tuple[int, int]:
    """The tokens [start, end) of characters, counted behind the `head` tokens that begin every text."""
    ((_, starts, ends),) = iterate_encodings(tokenizer, [text])
    first, last = find_tokens(span, starts, ends, text)
    return first + head, last + 1 + head
