"""Pairs for interchange: an entry, and the same entry rewritten about another entity, aligned by role.

Rewriting keeps templates, their order and the pronouns, so two entries of a pair differ in the name and the
values alone; the k-th token of a role stands for the k-th token of the same role in the other.

Shapes: B batch, T tokens.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.seeds import make_rng
from workbench.tokens.reading import Ints
from workbench.worlds.entries import Entry, Span

if TYPE_CHECKING:
    import torch

TRIES = 50


def rewrite_entry(entry: Entry, about: Entity, original: Entity) -> Entry:
    """The same sentences about another entity: name and values exchanged, pronouns kept."""
    swaps: list[tuple[Span, str, str, str]] = [(span, about.name, "name", "") for span in entry.names] + [
        (span, about.values[attribute], "value", attribute) for attribute, span in entry.values.items()
    ]
    marks = [(span, "pronoun", "") for span in entry.pronouns]
    marks += [(span, "sentence", attribute) for attribute, span in entry.sentences.items()]
    swaps.sort()
    pieces: list[str] = []
    at, bounds = 0, []  # bounds: (old start, old end, new start, new end) of every swap
    length = 0
    for (start, end), text, _, _ in swaps:
        pieces += [entry.text[at:start], text]
        length += start - at
        bounds.append((start, end, length, length + len(text)))
        length += len(text)
        at = end
    pieces.append(entry.text[at:])

    def move(place: int) -> int:
        """A place outside all swaps, or at the edge of one, in the new text."""
        shift = 0
        for start, end, _, new_end in bounds:
            if place <= start:
                return place + shift
            if place < end:
                raise WorkbenchError(
                    f"The entry of {original.name} has a span that ends inside its name or a value; "
                    "use spans of whole words."
                )
            shift = new_end - end
        return place + shift

    new_spans = [(new_start, new_end) for _, _, new_start, new_end in bounds]
    names = tuple(span for span, swap in zip(new_spans, swaps, strict=True) if swap[2] == "name")
    values = {swap[3]: span for span, swap in zip(new_spans, swaps, strict=True) if swap[2] == "value"}
    return Entry(
        about.id,
        entry.variant,
        "".join(pieces),
        names,
        tuple((move(s), move(e)) for (s, e), kind, _ in marks if kind == "pronoun"),
        {attribute: values[attribute] for attribute in entry.values},
        {a: (move(s), move(e)) for (s, e), kind, a in marks if kind == "sentence"},
    )


def choose_donors(
    entries: Sequence[Entry],
    entities: Sequence[Entity],
    seed: int,
    alike: Callable[[Entity, Entity], bool] = lambda own, other: True,
) -> list[Entity]:
    """Another entity for each entry, drawn from the entries' own entities: `alike`, and with as many different values
    as can be had in a few draws.

    Raises WorkbenchError where there is only one entity.
    """
    ids = sorted({entry.entity for entry in entries})
    if len(ids) < 2:
        raise WorkbenchError("Interchange needs entries of at least two entities; raise --entries.")
    rng = make_rng(seed, "interchange donors")
    donors = []
    for entry in entries:
        own = entities[entry.entity]
        best, most = own, (False, -1)
        for _ in range(TRIES):
            other = entities[ids[int(rng.integers(len(ids)))]]
            differing = sum(other.values.get(a) != own.values.get(a) for a in entry.values)
            complete = all(a in other.values for a in entry.values)
            if other.id != own.id and complete and (found := (alike(own, other), differing)) > most:
                best, most = other, found
            if most == (True, len(entry.values)):
                break
        if best is own:
            raise WorkbenchError(
                f"No other entity has all the attributes of the entry of {own.name}; choose complete entries."
            )
        donors.append(best)
    return donors


def align_roles(roles_T: Ints, donor_roles_T: Ints) -> tuple[Ints, list[int]]:
    """Which token of the donor stands for each token, by role: the k-th of a role for the k-th.

    Returns int64 [T], -1 where the role has another number of tokens in the donor, and those roles.
    """
    found = np.full(len(roles_T), -1, np.int64)
    refused = []
    for role in np.unique(roles_T[roles_T >= 0]).tolist():
        here, there = np.flatnonzero(roles_T == role), np.flatnonzero(donor_roles_T == role)
        if len(here) == len(there):
            found[here] = there
        else:
            refused.append(int(role))
    return found, refused


def align_batch(roles_BT: "torch.Tensor", donor_roles_BT: "torch.Tensor") -> "torch.Tensor":
    """int64 [B, T]: `align_roles` for every row of a batch."""
    import torch

    own, other = roles_BT.cpu().numpy(), donor_roles_BT.cpu().numpy()
    rows = [align_roles(a, b)[0] for a, b in zip(own, other, strict=True)]
    return torch.from_numpy(np.stack(rows)).to(roles_BT.device)
