"""Augmentations in the paper's notation: how many entries an entity gets and how they differ."""

import re
from dataclasses import dataclass
from typing import Literal

from workbench.errors import WorkbenchError

Order = Literal["fixed", "shuffled", "paired"]

EXAMPLES = (
    "single", "single+fullname", "single+permute5", "single+permute5+fullname",
    "multi5", "multi5+permute", "multi5+fullname", "multi5+permute+fullname", "couple2", "multi5+reverse1",
)  # fmt: skip


@dataclass(frozen=True)
class Augmentation:
    """How entries are made from an entity (paper, section 2.1 and appendix A).

    entries: how many entries each entity gets; None for `multi∞`, whose every exposure is a fresh entry (Part 3.3).
    rewrite: every entry draws its own sentence templates (`multiM`, `coupleM`); otherwise all entries of a
        entity use the same sentences (`single`).
    order: the sentences' order is `fixed`; `shuffled` in each entry; or `paired`: the schema's
        pairs in their own order, the pairs shuffled (of people: birth date and city, university and major, …).
    fullname: every sentence names the entity in full; otherwise only the first does and pronouns follow.
    reverse: so many sentences come before the name (Part 3.2, section 5): their subject is "the person", in the
        schema's word. As many as there are sentences, or more, and a closing sentence gives the name.
    """

    entries: int | None
    rewrite: bool
    order: Order
    fullname: bool
    reverse: int = 0

    def __str__(self) -> str:
        if self.order == "paired":
            parts = [f"couple{self.entries}"]
        elif self.rewrite:
            parts = [f"multi{'∞' if self.entries is None else self.entries}"] + (
                ["permute"] if self.order == "shuffled" else []
            )
        else:
            parts = ["single"] + ([f"permute{self.entries}"] if self.order == "shuffled" else [])
        parts += ["fullname"] if self.fullname else []
        return "+".join(parts + ([f"reverse{self.reverse}"] if self.reverse else []))


_PATTERNS = {
    "single": re.compile(r"single(?:\+permute([1-9]\d*))?(\+fullname)?"),
    "multi": re.compile(r"multi([1-9]\d*|∞|inf)(\+permute)?(\+fullname)?(?:\+reverse([1-9]\d*))?"),
    "couple": re.compile(r"couple([1-9]\d*)(\+fullname)?"),
}


def parse_augmentation(text: str) -> Augmentation:
    """Read the paper's notation, e.g. `multi5+permute+fullname`; anything else is refused with examples."""
    text = text.strip()
    if match := _PATTERNS["single"].fullmatch(text):
        permutations, fullname = match.groups()
        return Augmentation(
            int(permutations or 1), False, "shuffled" if permutations else "fixed", bool(fullname)
        )
    if match := _PATTERNS["multi"].fullmatch(text):
        entries, permute, fullname, reverse = match.groups()
        number = int(entries) if entries.isdecimal() else None
        order: Order = "shuffled" if permute else "fixed"
        return Augmentation(number, True, order, bool(fullname), int(reverse or 0))
    if match := _PATTERNS["couple"].fullmatch(text):
        entries, fullname = match.groups()
        return Augmentation(int(entries), True, "paired", bool(fullname))
    raise WorkbenchError(
        f"Unknown augmentation {text!r}; write it as in the paper, e.g. {', '.join(EXAMPLES)}."
    )
