"""Sentence templates: one fact about one entity as one English sentence, with the places of its words.

- `{subject}` `{subject's}` `{object}`: the one mention that may be the full name or a pronoun (he, his, him)
- `{they}` `{their}` `{them}`: further mentions, always pronouns
- `{entity}` `{entity}'s`: other names of `{subject}` and `{subject's}`, for worlds that are not about people
- `{value}`: the attribute's value, always after a space
- `[was|were]`: a verb, singular|plural; plural after the pronoun "they", singular after a name
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, NamedTuple

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.text_files import read_text

__all__ = ["Piece", "Sentence", "Template", "load_templates", "parse_template", "shortest"]

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One rendered sentence and where its mentions and value stand: spans [start, end) of `text`."""

    text: str
    name_span: Span | None  # the full name alone, without 's; None where the subject is a pronoun
    pronoun_spans: tuple[
        Span, ...
    ]  # every pronoun of the entity in reading order, the subject's own included
    value_span: Span


class Piece(NamedTuple):
    """A stretch of a template: literal text, a slot, or a verb that agrees with its subject."""

    kind: Literal["text", "mention", "pronoun", "verb", "value"]
    text: str = ""  # literal text; "they", "them" or "their" for a pronoun; a verb's singular
    plural: str = ""


MENTIONS = {"subject's": "their", "subject": "they", "object": "them"}  # slot: its form when a pronoun
SLOTS = {slot: Piece("mention", form) for slot, form in MENTIONS.items()} | {"value": Piece("value")}
SLOTS |= {form: Piece("pronoun", form) for form in ("they", "them", "their")}
PRONOUNS = {
    "he": ("he", "him", "his"),
    "she": ("she", "her", "her"),
    "they": ("they", "them", "their"),
    "it": ("it", "it", "its"),
}
MARK = re.compile(rf"\{{({'|'.join(SLOTS)})\}}|\[([^\W\d]+)\|([^\W\d]+)\]")


class Layout(NamedTuple):
    """A template once the pronoun is chosen: three literal strings around two holes, mention and value."""

    literals: tuple[str, str, str]
    mention: str  # the pronoun for the mention's hole
    possessive: bool
    value_first: bool
    pronouns: tuple[tuple[int, int, int], ...]  # further pronouns: index of the literal, start and end in it


@dataclass(frozen=True)
class Template:
    """A sentence about one attribute with a slot for an entity and one for a value; see `parse_template`."""

    attribute: str
    source: str
    pieces: tuple[Piece, ...] = field(repr=False, compare=False)

    @property
    def words_before_value(self) -> int:
        """How many words stand before the value; the entity's slot counts as one."""
        return len(self.source.partition("{value}")[0].split())

    @property
    def n_words(self) -> int:
        """How many words the template has; the entity's slot and the value count as one each."""
        return len(self.source.split())

    @cached_property
    def layouts(self) -> dict[tuple[str, bool], Layout]:
        """How the sentence lies for (pronoun, whether the name is used)."""
        return {(p, name): _lay_out(self.pieces, p, name) for p in PRONOUNS for name in (False, True)}

    def render(self, *, name: str, pronoun: str, value: str, use_name: bool) -> Sentence:
        """Write the sentence about one entity, by full name if `use_name`, else as "he", "she" or "they".

        A value that ends in a full stop ("Acme Inc.") ends the sentence too: there is no second one.
        """
        layout = self.layouts.get((pronoun, use_name))
        if layout is None:
            raise WorkbenchError(f"unknown pronoun {pronoun!r}; use one of {', '.join(PRONOUNS)}")
        (before, between, after), mention, possessive, value_first, pronouns = layout
        if use_name:
            ending = "" if not possessive else "'" if name.endswith("s") else "'s"
            mention = name + ending
        first, second = (value, mention) if value_first else (mention, value)
        if after == "." and second.endswith("."):
            after = ""
        end_1 = len(before) + len(first)
        end_2 = end_1 + len(between) + len(second)
        span_1, span_2 = (len(before), end_1), (end_1 + len(between), end_2)
        subject_span, value_span = (span_2, span_1) if value_first else (span_1, span_2)
        own, shifts = [] if use_name else [subject_span], (0, end_1, end_2)
        further = [(shifts[part] + start, shifts[part] + end) for part, start, end in pronouns]
        pronoun_spans = tuple(sorted(own + further))
        name_span = (subject_span[0], subject_span[0] + len(name)) if use_name else None
        text = before + first + between + second + after
        return Sentence(text, name_span, pronoun_spans, value_span)


def _lay_out(pieces: tuple[Piece, ...], pronoun: str, use_name: bool) -> Layout:
    forms = dict(zip(PRONOUNS["they"], PRONOUNS[pronoun], strict=True))
    parts, mention, plural = [""], "", False
    pronouns: list[tuple[int, int, int]] = []
    for kind, text, text_plural in pieces:
        word = text_plural if kind == "verb" and plural else text
        if kind in ("mention", "pronoun"):
            word = forms[text].capitalize() if parts == [""] else forms[text]
            if text == "they":  # the nearest nominative mention decides the verbs after it
                plural = pronoun == "they" and not (use_name and kind == "mention")
        if kind == "pronoun":
            pronouns.append((len(parts) - 1, len(parts[-1]), len(parts[-1]) + len(word)))
        if kind in ("mention", "value"):
            mention = word or mention  # the value's word is empty
            parts.append("")
        else:
            parts[-1] += word
    holes = [piece for piece in pieces if piece.kind in ("mention", "value")]
    possessive, value_first = SLOTS["subject's"] in holes, holes[0].kind == "value"
    return Layout((parts[0], parts[1], parts[2]), mention, possessive, value_first, tuple(pronouns))


def parse_template(attribute: str, source: str, where: str = "") -> Template:
    """Read one template line; one that breaks the rules is refused, saying what is wrong, and where it stands."""
    written, source = source, source.replace("{entity}'s", "{subject's}").replace("{entity}", "{subject}")
    if problem := _find_problem(source):
        raise WorkbenchError(f"{where or attribute} template {written!r}: {problem}")
    first, *rest = MARK.split(source)  # text, then slot, singular, plural, text for each mark
    pieces = [Piece("text", first)]
    for slot, singular, plural, text in zip(*[iter(rest)] * 4, strict=True):
        pieces += [SLOTS[slot] if slot else Piece("verb", singular, plural), Piece("text", text)]
    return Template(attribute, source, tuple(pieces))


def _find_problem(source: str) -> str | None:
    if stray := re.search(r"[][{}]\S*", MARK.sub("", source)):
        return f"{stray[0]!r} is neither a slot ({', '.join(SLOTS)}) nor a verb pair such as [was|were]"
    if (n := len(re.findall(r"\{(?:subject's|subject|object)\}", source))) != 1:
        return f"expected exactly one of {{entity}}, {{subject}}, {{subject's}} and {{object}}, found {n}"
    if (n := source.count("{value}")) != 1:
        return f"expected {{value}} exactly once, found {n}"
    if " {value}" not in source:
        return "{value} must follow a space, so that a value has the same tokens wherever it stands"
    if re.search(r"\w[{\[]|[}\]][\w{\[]", source) or source != " ".join(source.split()):
        return "put exactly one space between words, none at the ends, and let no slot touch a word"
    if not re.fullmatch(r".*[^.!?]\.", source) or re.search(r"[.!?] ", source) or source[0].islower():
        return "write one sentence that starts with a capital letter or a slot and ends in one full stop"
    if "[" in source and not re.search(r"\{(subject|they)\}", source.partition("[")[0]):
        return "its first [singular|plural] has no {subject} or {they} before it to agree with"
    return None


def load_templates(folder: Path | Traversable, schema: Schema) -> dict[str, tuple[Template, ...]]:
    """Read every attribute's templates from `<attribute>.txt` in a folder."""
    loaded: dict[str, tuple[Template, ...]] = {}
    for attribute in schema.keys:
        file, lines = folder / f"{attribute}.txt", _read_lines(folder, f"{attribute}.txt")
        if twice := [line for line in lines.values() if list(lines.values()).count(line) > 1]:
            raise WorkbenchError(f"{file} has {twice[0]!r} more than once; keep one")
        loaded[attribute] = tuple(
            parse_template(attribute, line, f"{file}, line {number}:") for number, line in lines.items()
        )
    return loaded


def _read_lines(source: Path | Traversable, name: str) -> dict[int, str]:
    """Number of the line → its text, of those that are not empty."""
    try:
        text = (
            read_text(Path(source) / name) if isinstance(source, Path) else (source / name).read_text("utf-8")
        )
    except OSError as error:
        raise WorkbenchError(f"{source / name} cannot be read ({error.strerror}).") from error
    if not text.strip():
        raise WorkbenchError(f"{source / name} is empty; write one template per line")
    return {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}


def shortest(templates: Iterable[Template], n: int) -> tuple[Template, ...]:
    """The `n` templates with the fewest words before the value, then fewest words, then first in the file."""
    return tuple(sorted(templates, key=lambda template: (template.words_before_value, template.n_words))[:n])
