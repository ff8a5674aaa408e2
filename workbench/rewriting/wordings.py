"""Which other words may state a value: lists and rules that a user declares, and dates however they are written.

Nothing is taken for a value that was not declared: without a file a value must stand as the facts write it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.facts.schema import Schema
from workbench.text_files import read_toml

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH = "|".join([*MONTHS, *(month[:3] for month in MONTHS), "Sept"])
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
DATE = re.compile(
    rf"""(?<![\w])(?:
        (?P<m1>{_MONTH})\.?\ (?P<d1>{_DAY})(?:,?\ (?P<y1>\d{{4}}))?
      | (?:the\ )?(?P<d2>{_DAY})(?:\ of)?\ (?P<m2>{_MONTH})\.?(?:,?\ (?P<y2>\d{{4}}))?
      | (?P<m3>{_MONTH})\.?,?(?:\ of)?\ (?P<y3>\d{{4}})
      | (?P<y4>\d{{4}})-(?P<m4>\d{{2}})-(?P<d4>\d{{2}})
      | (?P<odd>\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}})
    )(?!\w)(?!-\d)""",
    re.VERBOSE | re.IGNORECASE,
)
STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia", "FL": "Florida", "GA": "Georgia",
    "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas",
    "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts",
    "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri", "MT": "Montana",
    "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico",
    "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma",
    "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}  # fmt: skip
RULES = ("date", "us-state", "lower-case")

Date = tuple[int | None, int, int | None]  # year, month, day; None where it is not said


@dataclass(frozen=True)
class Wordings:
    """What is declared. rules: attribute → names of `RULES`. lists: attribute → value → other words for it.

    cues: attribute → phrases that stand beside its values, for facts that come without any text.
    """

    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    cues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, attribute: str, value: str) -> list[str]:
        """The other words declared for a value, itself left out; of a date's rule none, which are read instead."""
        found = list(self.lists.get(attribute, {}).get(value, ()))
        for rule in self.rules.get(attribute, ()):
            if rule == "us-state" and (match := re.fullmatch(r"(.+), ([A-Z]{2})", value)):
                if match[2] in STATES:
                    found.append(f"{match[1]}, {STATES[match[2]]}")
            elif rule == "lower-case":
                found.append(value.lower())
        return [words for words in dict.fromkeys(found) if words != value]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, of which the digest of a rewriting is made."""
        return {
            "rules": {key: list(rules) for key, rules in self.rules.items()},
            "lists": {key: {v: list(w) for v, w in lists.items()} for key, lists in self.lists.items()},
            "cues": {key: list(cues) for key, cues in self.cues.items()},
        }


def load_wordings(path: Path, schema: Schema) -> Wordings:
    """Read a wordings.toml: `[rules]`, `[cues]` and `[words.ATTRIBUTE]`.

    Raises WorkbenchError for an unknown section, attribute or rule, and for words that are no list of texts.
    """
    content = read_toml(path)
    known = ("rules", "words", "cues")
    if unknown := [key for key in content if key not in known]:
        raise WorkbenchError(
            f"{path} has the unknown section {unknown[0]!r}{nearest(unknown[0], known)} (known: {', '.join(known)})."
        )
    rules = {key: _texts(value, f"{path}, rules.{key}") for key, value in content.get("rules", {}).items()}
    cues = {key: _texts(value, f"{path}, cues.{key}") for key, value in content.get("cues", {}).items()}
    lists = {
        key: {value: _texts(words, f"{path}, words.{key}") for value, words in table.items()}
        for key, table in content.get("words", {}).items()
    }
    for section in (rules, cues, lists):
        schema.require_known(section, str(path))
    for key, names in rules.items():
        if wrong := [name for name in names if name not in RULES]:
            raise WorkbenchError(
                f"{path}: {key} has no rule {wrong[0]!r}{nearest(wrong[0], RULES)}; rules are {', '.join(RULES)}."
            )
    return Wordings(rules, lists, cues)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise WorkbenchError(f"{where} is {value!r}; expected a text or a list of texts.")
    return tuple(" ".join(text.split()) for text in texts)


def read_date(words: str) -> Date | None:
    """A whole text as a date, or None: `2nd October 1996` → (1996, 10, 2)."""
    match = DATE.fullmatch(words)
    return _date_of(match) if match else None


def find_dates(text: str) -> Iterator[tuple[tuple[int, int], Date | None]]:
    """Every stretch of a text that reads as a date or a part of one, and which; None for one like 10/02/1996."""
    for match in DATE.finditer(text):
        yield match.span(), _date_of(match)


def is_dates(values: Sequence[str]) -> bool:
    """Whether all values are whole dates."""
    return bool(values) and all(
        (date := read_date(value)) is not None and None not in date for value in values
    )


def _date_of(match: re.Match[str]) -> Date | None:
    if match["odd"]:
        return None
    year = next((match[k] for k in ("y1", "y2", "y3", "y4") if match[k]), None)
    month = next(match[k] for k in ("m1", "m2", "m3", "m4") if match[k])
    day = next((match[k] for k in ("d1", "d2", "d4") if match[k]), None)
    number = (
        int(month)
        if month.isdecimal()
        else [name[:3].lower() for name in MONTHS].index(month[:3].lower()) + 1
    )
    return (
        int(year) if year else None,
        number,
        int(re.sub(r"\D", "", day)) if day else None,
    )
