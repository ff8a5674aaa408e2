"""From a journal to a corpus: the accepted texts in order, with templates where texts are missing, as a folder.

The folder is one that recipes read (`own.folder`, `biographies.corpus`): schema, entities, entries with spans.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.rewriting.augmenting import permute_sentences, write_full_names
from workbench.rewriting.budget import Budget
from workbench.rewriting.checking import REASONS, WORDS
from workbench.rewriting.work import Order, State
from workbench.studies.corpus import Corpus
from workbench.tasks.questions import make_questions
from workbench.worlds.entries import Entry

RATES_FILE = "rates.json"
SAMPLES = 5


@dataclass(frozen=True)
class Shape:
    """How accepted texts become entries.

    fullname: pronouns become names. permute: so many orders of its sentences of each text; 0: as written. fill: entries
    made from templates stand in for texts that were not accepted.
    """

    fullname: bool = False
    permute: int = 0
    fill: bool = False


@dataclass(frozen=True)
class Collected:
    """entries: by entity. notes: what was left out or filled in, in words."""

    corpus: Corpus
    notes: tuple[str, ...]
    written: int
    filled: int


def collect(order: Order, state: State, shape: Shape, corpus: Corpus) -> Collected:
    """The corpus of all accepted texts about the order's entities; one that has no text is left out.

    corpus: what the facts' own world says, whose entries fill gaps. Raises WorkbenchError where no text is accepted.
    """
    counts: Counter[str] = Counter()
    kept: list[Entity] = []
    entries: list[Entry] = []
    templates = _entries_by_entity(corpus) if shape.fill else {}
    askable = set(state.askable)
    for entity in order.entities:
        written = list(_texts_of(order, state, shape, entity, counts)) if entity.id in askable else []
        counts["written"] += len(written)
        wanted = order.per_entity * max(1, shape.permute)
        filling = templates.get(entity.id, [])[: wanted - len(written)]
        counts["filled"] += len(filling)
        texts = [*written, *filling]
        if not texts:
            counts["left out"] += 1
            continue
        counts["short"] += len(texts) < wanted
        number = len(kept)
        kept.append(replace(entity, id=number))
        entries += [replace(text, entity=number, variant=k) for k, text in enumerate(texts)]
    if not entries:
        raise WorkbenchError(
            "No text has been accepted, so there is no corpus; see the reasons and samples in rates.json, and try "
            "other prompts, another model, or --fill."
        )
    nouns = order.checker.schema.nouns
    words = {
        "left out": f"{{}} {nouns} left out: they have no text",
        "short": f"{{}} {nouns} have fewer texts than were asked for",
        "filled": "{} entries filled in from templates",
        "unnamed": "{} texts not augmented: a pronoun could not be replaced, or what came out failed the check",
    }
    notes = tuple(words[key].format(counts[key]) for key in words if counts[key])
    made = Corpus(corpus.schema, kept, entries, make_questions(kept, corpus.schema))
    return Collected(made, notes, counts["written"], counts["filled"])


def _texts_of(
    order: Order, state: State, shape: Shape, entity: Entity, counts: Counter[str]
) -> Iterator[Entry]:
    for number in range(order.per_entity):
        line = state.accepted(entity.id, number)
        if line is None:
            continue
        entry = order.judge(line).entry
        assert entry is not None  # that is what accepted means
        yield from _augment(order, shape, entity, entry, counts)


def _augment(
    order: Order, shape: Shape, entity: Entity, entry: Entry, counts: Counter[str]
) -> Iterator[Entry]:
    """An accepted text as its entries; what an augmentation makes is checked again; where it fails the text stays."""
    orders: Sequence[int | None] = range(shape.permute) if shape.permute else [None]
    for number in orders:
        made = entry
        for step in ("permute", "fullname"):
            if step == "permute" and number is not None:
                text = permute_sentences(made, entity, order.seed, number)
            elif step == "fullname" and shape.fullname:
                text = write_full_names(made, entity)
            else:
                continue
            verdict = order.loose.check(text, entity, made.variant) if text is not None else None
            if verdict is None or verdict.entry is None:
                counts["unnamed"] += 1
            else:
                made = verdict.entry
        yield made


def _entries_by_entity(corpus: Corpus) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in corpus.entries:
        found.setdefault(entry.entity, []).append(entry)
    return found


def rate(order: Order, state: State, budget: Budget) -> dict[str, Any]:
    """Rates of acceptance: by reason (the first of each refusal), by attempt; samples of what was refused; the cost."""
    kinds = Counter(state.kinds.values())
    n = len(state.kinds)
    attempts: dict[int, Counter[bool]] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for place, kind in state.kinds.items():
        attempts.setdefault(place[2], Counter())[kind == "accepted"] += 1
        here = samples.setdefault(kind, [])
        if len(here) < SAMPLES:
            line = state.lines[place]
            reasons = [str(reason) for reason in order.judge(line).reasons]
            here.append({"entity": order.entities[place[0]].name, "answer": line.answer, "reasons": reasons})
    accepted = [
        (entity, text)
        for entity in state.askable
        for text in range(order.per_entity)
        if state.accepted(entity, text)
    ]
    return {
        "answers": n,
        "texts": {"wanted": state.texts, "accepted": len(accepted)},
        "entities": {
            "asked about": len(state.askable),
            "with a text": len({entity for entity, _ in accepted}),
            "not asked about: two values alike": len(order.entities) - len(state.askable),
        },
        "answers by verdict": {
            kind: {
                "answers": kinds[kind],
                "share": round(kinds[kind] / n, 4),
                "is": WORDS.get(kind, "accepted"),
            }
            for kind in ("accepted", *REASONS)
            if kinds[kind]
        },
        "accepted by attempt": {
            str(attempt + 1): {"answers": sum(found.values()), "accepted": found[True]}
            for attempt, found in sorted(attempts.items())
        },
        "samples": samples,
        "tokens": {"prompts": budget.prompt_tokens, "answers": budget.answer_tokens},
        "money": round(budget.spent, 6),
    }


def first_texts(corpus: Corpus, number: int) -> dict[int, list[str]]:
    """For each entity the first texts that its world writes, for prompts that show one."""
    found: dict[int, list[str]] = {}
    for entry in corpus.entries:
        here = found.setdefault(entry.entity, [])
        if len(here) < number:
            here.append(entry.text)
    return found


def sample_entries(corpus: Corpus, number: int) -> list[Entry]:
    """Entries spread over a corpus, from which the words around values are learned."""
    step = max(1, len(corpus.entries) // number)
    return [corpus.entries[row] for row in islice(range(0, len(corpus.entries), step), number)]
