"""The paper's `fullname` and `permute` for texts that were not made from templates; what comes out is checked again.

`fullname` writes the name for each pronoun that can be replaced without harm to grammar; `permute` shuffles the
sentences, of which the first must name the entity.
"""

import re
from collections.abc import Sequence

from workbench.facts.entities import Entity
from workbench.rewriting.contexts import mask, split_sentences
from workbench.seeds import make_rng
from workbench.worlds.entries import Entry

_VERBS = {"were": "was", "are": "is", "have": "has", "do": "does"}
_AFTER_OBJECT_HER = {
    "a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "is", "of", "on", "or", "that", "the", "to",
    "was", "when", "where", "which", "while", "who", "with",
}  # fmt: skip


def write_full_names(entry: Entry, entity: Entity) -> str:
    """The text with the name in place of pronouns; a plural verb behind `they` follows, other plurals keep theirs."""
    made, at = "", 0
    for start, end in entry.pronouns:
        pronoun = entry.text[start:end].lower()
        behind = entry.text[end:]
        next_word = re.match(r" (\w+)", behind)
        word = next_word[1] if next_word else ""
        replaced, stop = "", end
        if pronoun in ("he", "she") or (pronoun == "it" and _begins_sentence(entry.text, start)):
            replaced = entity.name
        elif pronoun == "they" and word in _VERBS:
            replaced, stop = f"{entity.name} {_VERBS[word]}", end + 1 + len(word)
        elif pronoun in ("his", "their", "its") or (
            pronoun == "her" and word.islower() and word not in _AFTER_OBJECT_HER
        ):
            replaced = f"{entity.name}'s" if word else ""
        elif pronoun in ("him", "her", "them"):
            replaced = entity.name
        if replaced:
            made += entry.text[at:start] + replaced
            at = stop
    return made + entry.text[at:]


def permute_sentences(entry: Entry, entity: Entity, seed: int, number: int) -> str | None:
    """The text with its sentences in a drawn order; the first one's first pronoun becomes the name if need be.

    None where the sentence that comes first can be given no name.
    """
    sentences = split_sentences(mask(entry.text, entry.values.values(), entry.names))
    order = make_rng(seed, "permute", entity.name, entry.variant, number).permutation(len(sentences))
    first = sentences[int(order[0])]
    texts = [entry.text[start:end] for start, end in (sentences[int(i)] for i in order)]
    if not any(first[0] <= start < first[1] for start, _ in entry.names):
        alone = Entry(
            entry.entity,
            entry.variant,
            texts[0],
            (),
            tuple(_shift(span, first[0]) for span in entry.pronouns if first[0] <= span[0] < first[1])[:1],
            {},
            {},
        )
        texts[0] = write_full_names(alone, entity)
        if entity.name not in texts[0]:
            return None
    return " ".join(texts)


def _begins_sentence(text: str, start: int) -> bool:
    return start == 0 or text[:start].rstrip()[-1:] in (".", "!", "?")


def _shift(span: Sequence[int], by: int) -> tuple[int, int]:
    return span[0] - by, span[1] - by
