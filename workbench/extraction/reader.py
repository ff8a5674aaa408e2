"""What a model has read of a batch so far, and how it is read on: with a key-value cache where that changes nothing.

Prompts of one length share a batch without padding, and each further token is read with the cache of those before. Of
a causal model neither should matter. Some architectures break it (a rotary scale that changes with the length, no cache
of this kind, statistics over a batch). So it is tried once a model, on the prompts at hand, beside each prompt read by
itself from its first token; where it fails everything is read again at each token, or each row alone.

Shapes: B rows, T tokens, V vocabulary, N prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from workbench_models import context_length, find_logits, rotary_switch

from workbench.studies.manner import agree, spread, tolerance

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ReadingOn:
    """cached: each token is read with a cache of those before. alone: one row at a time (and then without one)."""

    cached: bool = True
    alone: bool = False


# Model → how it is read on, and the tokens of the longest text that this was tried with.
_TRIED: "WeakKeyDictionary[Any, tuple[ReadingOn, int]]" = WeakKeyDictionary()


class Reader:
    """The model and what it has read so far of a batch."""

    def __init__(self, model: "PreTrainedModel", how: ReadingOn) -> None:
        from transformers import DynamicCache

        self.model, self.how = model, how
        self._say = find_logits(model)
        self._cache: Any = DynamicCache(config=model.config) if how.cached else None
        self._ids_BT: torch.Tensor | None = None

    def read(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """Read further tokens; the logits after the last: float32 [B, V]."""
        if self.how.cached:
            hidden_BTD = self.model.base_model(
                input_ids=ids_BT, past_key_values=self._cache, use_cache=True
            ).last_hidden_state
            return self._say(hidden_BTD[:, -1]).float()
        whole_BT = ids_BT if self._ids_BT is None else torch.cat([self._ids_BT, ids_BT], 1)
        self._ids_BT = whole_BT
        parts = whole_BT.split(1 if self.how.alone else len(whole_BT))
        return torch.cat([self._say(self._last(part)).float() for part in parts])

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows (indices, repeats allowed)."""
        if self.how.cached:
            self._cache.batch_select_indices(rows)
        elif self._ids_BT is not None:
            self._ids_BT = self._ids_BT[rows]

    def _last(self, ids_BT: torch.Tensor) -> torch.Tensor:
        hidden_BTD: torch.Tensor = self.model.base_model(input_ids=ids_BT).last_hidden_state
        return hidden_BTD[:, -1]


@torch.inference_mode()
def find_reading_on(model: "PreTrainedModel", prompts: Sequence[np.ndarray], max_new: int) -> ReadingOn:
    """How prompts can be read on by up to `max_new` tokens; the model in evaluation mode. Tried once a model, and again
    where texts are longer than any before.
    """
    context = context_length(model.config)
    lengths_N = np.array([len(prompt) for prompt in prompts], np.int64)
    longest = int(lengths_N.max(initial=0)) + max_new
    longest = longest if context is None else min(longest, context)
    how, known = _TRIED.get(model, (ReadingOn(), 0))
    if longest <= known or how.alone or not len(prompts):
        return how
    switch = rotary_switch(model.config)
    if switch is not None and longest > switch:
        how = ReadingOn(cached=False, alone=how.alone)

    tried = spread(lengths_N, np.arange(len(prompts))) if not known else [int(np.argmax(lengths_N))]
    if how.cached and not all(_cache_agrees(model, prompts[n], max_new, context) for n in tried):
        how = ReadingOn(cached=False)
    if any(_company_matters(model, prompts[n], how) for n in tried):
        how = ReadingOn(cached=False, alone=True)
    _TRIED[model] = how, longest
    return how


def _company_matters(model: "PreTrainedModel", prompt: np.ndarray, how: ReadingOn) -> bool:
    """Whether a prompt says something else beside another one of its length (itself from its end)."""
    ids_BT = torch.from_numpy(np.stack([prompt, prompt[::-1]]).astype(np.int64)).to(model.device)
    alone, beside = Reader(model, how).read(ids_BT[:1]), Reader(model, how).read(ids_BT)[:1]
    return not agree({"logits": alone}, {"logits": beside}, tolerance(model))


def _cache_agrees(model: "PreTrainedModel", prompt: np.ndarray, max_new: int, context: int | None) -> bool:
    """Whether a prompt and tokens behind it say the same when they are read on with a cache as when read at once."""
    room = max_new if context is None else min(max_new, context - len(prompt))
    behind = np.resize(prompt, max(1, room - 1))  # what is said last is not read any more
    ids_1T = torch.from_numpy(np.concatenate([prompt, behind]).astype(np.int64)).to(model.device)[None]
    ids_1T = ids_1T[:, :context]
    # The prompt, two tokens one by one, all but the last, the last.
    cuts = sorted(
        {min(len(prompt) + step, ids_1T.shape[1] - 1) for step in (0, 1, 2)} | {ids_1T.shape[1] - 1}
    )
    wanted = {"logits": Reader(model, ReadingOn(cached=False)).read(ids_1T)}
    reader, found = Reader(model, ReadingOn()), None
    try:
        for begin, end in zip([0, *cuts], [*cuts, ids_1T.shape[1]], strict=True):
            if end > begin:
                found = {"logits": reader.read(ids_1T[:, begin:end])}
        reader.keep(torch.zeros(2, dtype=torch.long, device=model.device))
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False
    return found is not None and agree(found, wanted, tolerance(model))
