"""Where a text mentions values: of the entity it is about, and of any other, the longest mention counting.

`University of Washington Tacoma`, where the facts know it, is no mention of `University of Washington`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.facts.entities import Entity, one_spelling
from workbench.facts.schema import Schema
from workbench.rewriting.wordings import Wordings, find_dates, is_dates, read_date

Span = tuple[int, int]
YEAR = re.compile(r"(?:18|19|20)\d\d")


@dataclass(frozen=True)
class Mention:
    """A stretch of a text that reads as a value.

    values: (attribute, value) of each that it may state; a date's value is None where it is nobody's.
    exact: it reads as written or as declared. partial: it says less than the value, as `October 1996` or `Houston`.
    """

    span: Span
    values: tuple[tuple[str, str | None], ...]
    exact: bool
    partial: bool


@dataclass(frozen=True)
class _Surface:
    words: str
    attribute: str
    value: str
    partial: bool
    any_case: bool


class Mentions:
    """Every value of every entity, with its declared wordings, ready to be looked for."""

    def __init__(self, schema: Schema, entities: Sequence[Entity], wordings: Wordings) -> None:
        self.wordings = wordings
        values: dict[str, dict[str, None]] = {key: {} for key in schema.keys}
        for entity in entities:
            for key, value in entity.values.items():
                values[key][value] = None
        self.dates = tuple(key for key, known in values.items() if is_dates(list(known)))
        self._by_word: dict[str, list[tuple[int, _Surface]]] = {}
        for key, known in values.items():
            if key not in self.dates:
                for value in known:
                    self._add(key, value)

    def find(self, text: str, entity: Entity) -> list[Mention]:
        """The mentions in a text, in order, none within a longer one; `entity`: whose dates count as known."""
        found = [*self._find_surfaces(text), *self._find_dates(text, entity)]
        by_span: dict[Span, list[Mention]] = {}
        for mention in found:
            by_span.setdefault(mention.span, []).append(mention)
        spans = sorted(by_span, key=lambda span: (span[0], -span[1]))
        kept: list[Mention] = []
        reach = -1
        for span in spans:
            if span[1] <= reach:
                continue  # within a longer mention
            reach = span[1]
            here = by_span[span]
            best = [one for one in here if one.exact and not one.partial] or here
            merged = tuple(dict.fromkeys(pair for one in best for pair in one.values))
            kept.append(Mention(span, merged, best[0].exact, all(one.partial for one in best)))
        return kept

    def _add(self, key: str, value: str) -> None:
        written = one_spelling(value)
        surfaces = [
            (words, False) for words in dict.fromkeys([value, written, *self.wordings.of(key, value)])
        ]
        head = written.partition(",")[0]
        if head != written and re.search(r"[^\W\d]", head):
            surfaces.append((head, True))
        for words, partial in surfaces:
            if match := re.search(r"\w+", words):
                surface = _Surface(words, key, value, partial, " " in words.strip())
                self._by_word.setdefault(match[0].casefold(), []).append((match.start(), surface))

    def _find_surfaces(self, text: str) -> Iterator[Mention]:
        for word in re.finditer(r"\w+", text):
            for offset, surface in self._by_word.get(word[0].casefold(), ()):
                start = word.start() - offset
                end = start + len(surface.words)
                read = text[max(start, 0) : end]
                exact = read == surface.words
                if start < 0 or not (
                    exact or (surface.any_case and read.casefold() == surface.words.casefold())
                ):
                    continue
                if stands_alone(text, start, end):
                    yield Mention((start, end), ((surface.attribute, surface.value),), exact, surface.partial)

    def _find_dates(self, text: str, entity: Entity) -> Iterator[Mention]:
        if not self.dates:
            return
        for span, date in find_dates(text):
            words = text[slice(*span)]
            pairs: list[tuple[str, str | None]] = []
            exact = partial = False
            for key in self.dates:
                value = entity.values.get(key)
                own = read_date(value) if value is not None else None
                if value is None or own is None or date is None:
                    continue
                if date == own:
                    declared = "date" in self.wordings.rules.get(key, ()) or words in self.wordings.of(
                        key, value
                    )
                    exact = exact or words == value or declared
                    pairs.append((key, value))
                elif all(said is None or said == is_own for said, is_own in zip(date, own, strict=True)):
                    partial = True
                    pairs.append((key, value))
            yield Mention(span, tuple(pairs) or ((self.dates[0], None),), exact, partial and not exact)
        own_years = {
            key: date[0] for key in self.dates if (date := read_date(entity.values.get(key, ""))) is not None
        }
        for match in YEAR.finditer(text):  # by itself; one within a date is no mention of its own
            if stands_alone(text, *match.span()):
                of = tuple(
                    (key, entity.values[key]) for key, year in own_years.items() if year == int(match[0])
                )
                yield Mention(match.span(), of or ((self.dates[0], None),), False, bool(of))


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a stretch is whole words: `York` in `York-born`, not in `Yorkshire`; `12` not in `12.5` nor `1,120`."""
    if start > 0 and text[start].isalnum() and (text[start - 1].isalnum() or text[start - 1] == "_"):
        return False
    if end < len(text) and text[end - 1].isalnum() and (text[end].isalnum() or text[end] == "_"):
        return False
    before = start > 1 and text[start].isdecimal() and text[start - 1] in ".," and text[start - 2].isdecimal()
    behind = (
        end + 1 < len(text) and text[end - 1].isdecimal() and text[end] in ".," and text[end + 1].isdecimal()
    )
    return not (before or behind)


def find_name(name: str, text: str) -> list[Span]:
    """Every place where the full name stands as whole words."""
    return [m.span() for m in re.finditer(re.escape(name), text) if stands_alone(text, *m.span())]


def indistinct(entity: Entity, wordings: Wordings) -> tuple[str, str] | None:
    """Two attributes of an entity that the same words may state, so that no text can be checked; or None."""
    said: dict[str, str] = {}
    for key, value in entity.values.items():
        for words in {one.casefold() for one in (value, *wordings.of(key, value))}:
            if words in said:
                return said[words], key
            said[words] = key
    return None
