"""From the state after the last norm to the logits, as a model itself gets there.

Not every model only multiplies by its output matrix: some scale (Cohere, Granite), cap (Gemma 2) or pass a head of
several layers (BERT). The likeliest token is often the same, its probability is not. So it is tried once a model
whether the output matrix alone gives the model's own logits; where it does not, the model's own way is taken.

Shapes: X states, D width, V vocabulary.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench_models.errors import ModelError
from workbench_models.families import text_config
from workbench_models.modes import evaluating

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_OWN: "WeakKeyDictionary[Any, bool]" = WeakKeyDictionary()  # model → whether its own way is another
_SAME = 1e-6  # relative: one product of the same numbers, made twice
_TOKENS = 4


class _State:
    """What a base model hands to its head: a last hidden state, and nothing of all else that it may be asked for."""

    def __init__(self, last_hidden_state: "torch.Tensor") -> None:
        self.last_hidden_state = last_hidden_state

    def __getattr__(self, name: str) -> None:
        return None

    def __getitem__(self, place: Any) -> Any:
        return (self.last_hidden_state,)[place]


def find_logits(model: "PreTrainedModel") -> "Callable[[torch.Tensor], torch.Tensor]":
    """The function from states after the last norm [..., D] to the model's own logits [..., V].

    Raises ModelError for a model whose logits are made of more than that state.
    """
    if model not in _OWN:
        _OWN[model] = _tried(model)
    untyped: Any = model
    return (lambda states: _own_logits(model, states)) if _OWN[model] else untyped.get_output_embeddings()


def is_misplaced(error: Exception) -> bool:
    """Whether tensors lay on two devices: a fault of the caller's, not of the architecture."""
    return "same device" in str(error)


def _tried(model: "PreTrainedModel") -> bool:
    """Whether a model's own logits are others than its output matrix's; one whose are neither is refused."""
    import torch

    untyped: Any = model
    kind = text_config(model.config).model_type
    vocabulary = int(text_config(model.config).vocab_size)
    ids = (vocabulary // 3 + torch.arange(_TOKENS, device=model.device)[None]) % vocabulary
    try:
        with torch.no_grad(), evaluating(model):
            wanted = untyped(input_ids=ids).logits
            if bool(wanted.isnan().any()):
                raise ModelError(
                    "The model says no numbers (NaN): its weights hold some, or its precision is too small."
                )
            states = untyped.base_model(input_ids=ids).last_hidden_state
            if _plain_is(untyped.get_output_embeddings(), states, wanted):
                return False
            if _same(_own_logits(model, states), wanted):
                return True
    except ModelError:
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if is_misplaced(error):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"What the architecture {kind!r} says next cannot be read from its last state ({said}); probes and "
            "activations can."
        ) from error
    raise ModelError(
        f"What the architecture {kind!r} says next does not follow from its last state alone, so it cannot be asked "
        "for answers; probes and activations can."
    )


def _plain_is(matrix: Any, states: "torch.Tensor", wanted: "torch.Tensor") -> bool:
    """Whether the output matrix alone gives the logits; of another width (RemBERT) it does not."""
    try:
        return matrix is not None and _same(matrix(states), wanted)
    except RuntimeError:
        return False


def _own_logits(model: "PreTrainedModel", states: "torch.Tensor") -> "torch.Tensor":
    """The model's own forward pass, with these states in the place of what its blocks would give."""
    import torch

    untyped: Any = model
    states_1XD = states.reshape(1, -1, states.shape[-1])
    base = untyped.base_model
    ids = torch.zeros(states_1XD.shape[:2], dtype=torch.long, device=states.device)
    base.forward = lambda *_, **__: _State(states_1XD)
    try:
        logits = untyped(input_ids=ids).logits
    finally:
        del base.forward  # the class's own is there again
    return logits.reshape(*states.shape[:-1], -1)  # type: ignore[no-any-return]


def _same(one: "torch.Tensor", two: "torch.Tensor") -> bool:
    """Whether two makings of the same logits agree."""
    if one.shape != two.shape:
        return False
    return bool((one.float() - two.float()).abs().max() <= _SAME * two.float().abs().max().clamp_min(1e-12))
