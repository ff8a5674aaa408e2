"""What a vector may depend on, tried once a model: later tokens, padding, company in a batch, the length of a text.

Of a causal model none of these should matter, and then texts are cut behind the last token read and share batches.
Some architectures break it (a rotary scale that changes with the length, attention that sees all, statistics over a
batch), whatever their config says. So every command that reads texts tries it here, on the texts at hand and in the way
in which it reads them; where it fails texts are read whole, or each alone, or the command refuses.

Shapes: N texts, B batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import context_length, is_bidirectional, rotary_switch, text_config

from workbench.errors import WorkbenchError
from workbench.tokens.reading import Ints

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# Largest difference that kernels make between two ways to the same vector, relative to its site's largest entry.
_SAME = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 5e-2}
TELLING = 4  # tokens: in fewer, what other tokens do to a vector hardly shows
Read = Callable[[Ints, bool], "Mapping[str, torch.Tensor]"]


@dataclass(frozen=True)
class Manner:
    """How texts are read. whole: to their end, not only to the last position. alone: one text a batch."""

    whole: bool = False
    alone: bool = False

    @property
    def word(self) -> str:
        """`cut`, `whole`, or `whole, alone`: what a store's manifest says."""
        return ", ".join(["whole" if self.whole else "cut", *(["alone"] if self.alone else [])])


def try_manner(
    model: "PreTrainedModel", read: Read, cut_N: Ints, whole_N: Ints, precision: str | None = None
) -> Manner:
    """How texts can be read with a model without changing a vector.

    read: what a command reads of the rows [B] as one batch, cut or whole, by name [B, …]. cut_N, whole_N: tokens of
    each text up to the last that is read, and in all. precision: of the products, default the model's own.

    Compared are texts with tokens behind their last position cut and whole, and texts alone and beside the longest; of
    both a few of different lengths, since a text of one token shows nothing and what changes at some length shows only
    on both sides of it. Where the config says that angles change at a length (LongRoPE), that is taken from there: the
    shortest texts would show it least.
    """
    same = tolerance(model, precision)
    limit = context_length(model.config) or np.inf
    switch = rotary_switch(model.config)
    if switch is not None and bool((whole_N > switch).any()):
        return Manner(whole=bool((whole_N <= limit).all()), alone=True)
    whole = is_bidirectional(model.config)
    if not whole:
        behind = np.where(whole_N <= limit, whole_N - cut_N, 0)
        followed = np.flatnonzero(behind)
        for row in {*spread(behind, followed), *spread(cut_N, followed)}:
            if not agree(read(np.array([row]), False), read(np.array([row]), True), same):
                whole = True
                break
    lengths = whole_N if whole else cut_N
    long = int(np.argmax(lengths))
    for row in spread(lengths, np.delete(np.arange(len(lengths)), long)):
        alone = read(np.array([row]), whole)
        beside = read(np.array([row, long]), whole)
        if not agree(alone, {site: values[:1] for site, values in beside.items()}, same):
            return Manner(whole=True, alone=True)
    return Manner(whole)


def require_batches(model: "PreTrainedModel", manner: Manner, what: str, instead: str) -> None:
    """Refuse to read texts side by side where that would change what is read of them.

    what: the work that reads batches, to begin a clause with; instead: what to do.
    """
    if manner.alone or (manner.whole and not is_bidirectional(model.config)):
        raise WorkbenchError(
            f"In this model ({text_config(model.config).model_type}) the vectors of a text depend on later tokens, on "
            f"its length or on the texts beside it, and {what} reads texts side by side, so its numbers would not be "
            f"the texts' own; {instead}."
        )


def company_matters(
    model: "PreTrainedModel", read: "Callable[[Ints], Mapping[str, torch.Tensor]]", lengths_N: Ints
) -> bool:
    """Whether a text is another one beside a text of its own length, in batches without padding."""
    for row, beside in pairs_of_one_length(lengths_N):
        alone, both = read(np.array([row])), read(np.array([row, beside]))
        if not agree(alone, {name: values[:1] for name, values in both.items()}, tolerance(model)):
            return True
    return False


def one_text_a_batch(model: "PreTrainedModel", texts: Sequence[Ints], *, causal: bool) -> bool:
    """Whether texts of one length that a command reads whole, in batches without padding, must be read one by one.

    texts: their ids. causal: refuse a model in which later tokens matter, since what is asked of it stands in the text.
    """
    import torch

    lengths_N = np.array([len(text) for text in texts], np.int64)

    def read(rows: Ints, before: int | None = None) -> "dict[str, torch.Tensor]":
        ids_BT = np.stack([texts[n][:before] for n in rows]).astype(np.int64)
        with torch.no_grad():
            return {"states": final_states(model, torch.from_numpy(ids_BT).to(model.device))}

    # Angles that change with the length are the text's own.
    if causal and rotary_switch(model.config) is None:
        for n in spread(lengths_N, np.arange(len(texts))):
            before = max(1, int(lengths_N[n]) // 2)
            cut, whole = read(np.array([n]), before)["states"], read(np.array([n]))["states"][:, :before]
            if not agree({"states": cut}, {"states": whole}, tolerance(model)):
                raise WorkbenchError(
                    f"This model ({text_config(model.config).model_type}) sees the tokens behind the one it reads, "
                    "though its config calls it causal, so in a text it sees what it is asked for; use probes on "
                    "activations (`workbench probe --family logistic`), which read texts as it needs them."
                )
    return company_matters(model, read, lengths_N)


def final_states(model: "PreTrainedModel", ids_BT: "torch.Tensor") -> "torch.Tensor":
    """[B, T, D] after the final norm. Raises WorkbenchError for a model whose body does not hand them out (Llama 4)."""
    states: torch.Tensor | None = getattr(model.base_model(input_ids=ids_BT), "last_hidden_state", None)
    if states is None:
        raise WorkbenchError(
            f"The architecture {text_config(model.config).model_type!r} hands out no last state, so what it says "
            "cannot be read; use probes on activations (`workbench probe --family logistic`)."
        )
    return states


def pairs_of_one_length(lengths_N: Ints) -> list[tuple[int, int]]:
    """Two texts each of a few lengths that several have."""
    order = np.argsort(lengths_N, kind="stable")
    firsts = np.flatnonzero(np.diff(lengths_N[order]) == 0)
    return [(int(order[at]), int(order[at + 1])) for at in spread(lengths_N[order], firsts)]


def spread(sizes: Ints, rows: Ints) -> list[int]:
    """Some rows: of the smallest and largest size, the smallest of `TELLING` and more, and in between."""
    if not len(rows):
        return []
    ordered = rows[np.argsort(sizes[rows], kind="stable")]
    of_size, first = np.unique(sizes[ordered], return_index=True)
    telling = int(np.searchsorted(of_size, TELLING))
    places = {0, min(telling, len(of_size) - 1), len(of_size) // 2, len(of_size) - 1}
    return [int(ordered[first[place]]) for place in sorted(places)]


def require_numbers(states: "torch.Tensor") -> None:
    """Refuse what is no number: every comparison with NaN is false, and a likeliest token comes out all the same."""
    if bool(states.isnan().any()):
        raise WorkbenchError(
            "The model gives vectors that are not numbers (NaN): its weights hold some, or its precision is too small; "
            "run `workbench verify` on it, or use float32."
        )


def tolerance(model: "PreTrainedModel", precision: str | None = None) -> float:
    """The largest relative difference that rounding makes at this precision, default the model's own."""
    return _SAME.get(precision or str(model.dtype).removeprefix("torch."), 1e-3)


def agree(one: "Mapping[str, torch.Tensor]", two: "Mapping[str, torch.Tensor]", same: float) -> bool:
    """Whether two readings of one text are the same up to kernels; of patterns the keys that both have."""
    for site, first in one.items():
        second: Any = two[site]
        keys = min(first.shape[-1], second.shape[-1])
        if first.shape[:-1] != second.shape[:-1]:
            return False
        a, b = first[..., :keys].float(), second[..., :keys].float()
        require_numbers(a)
        require_numbers(b)
        if not bool((a - b).abs().max() <= same * b.abs().max().clamp_min(1e-12)):
            return False
    return True
