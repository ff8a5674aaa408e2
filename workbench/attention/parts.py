"""The parts of a network that attention analyses hook: blocks, attention, head outputs, feed-forward, output head.

Shapes: B batch, T tokens, D width, H heads, V vocabulary.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from workbench_models import (
    ModelError,
    evaluating,
    find_logits,
    is_bidirectional,
    locate,
    parse_site,
    text_config,
)

from workbench.activations.capture import find_module
from workbench.errors import WorkbenchError, as_sentence

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

logger = logging.getLogger("workbench")

Edit = Callable[[], Any]  # registers a hook and returns its handle
DEEP = 12  # blocks; of a deeper network analyses that cost passes at each layer take some of them by default


def spread_layers(n_blocks: int) -> tuple[int, ...]:
    """The layers 0 to n_blocks, in more than 12 blocks about 12 of them at even distances, the last always."""
    step = -(-n_blocks // DEEP)
    return tuple(sorted({*range(0, n_blocks + 1, step), n_blocks}))


@dataclass(frozen=True, eq=False)
class Parts:
    """Modules by block, from the table of sites. What an architecture lacks is refused when it is asked for.

    norm: the final norm; head: the matrix from the width to the vocabulary; `say` is what the model makes of it.
    """

    model: "PreTrainedModel"
    blocks: "list[nn.Module]"
    norm: "nn.Module"
    head: "nn.Module"

    @cached_property
    def say(self) -> "Callable[[torch.Tensor], torch.Tensor]":
        """From states after the final norm to the model's own logits."""
        return find_logits(self.model)

    @cached_property
    def attention(self) -> "list[nn.Module]":
        """Their output is (what they add, pattern)."""
        return _modules(self.model, "pattern")

    @cached_property
    def writers(self) -> "list[nn.Module]":
        """Their input is every head's output, [.., H · width]."""
        return _modules(self.model, "z")

    @cached_property
    def values(self) -> "list[nn.Module]":
        """Their output holds the values."""
        return _modules(self.model, "v")

    @cached_property
    def mlp(self) -> "list[nn.Module]":
        """Their output is what the feed-forward parts add."""
        return _modules(self.model, "mlp_out")

    @property
    def n_heads(self) -> int:
        return require_heads(self.model.config)

    @property
    def n_blocks(self) -> int:
        return len(self.blocks)

    def head_outputs(self, flow: "torch.Tensor") -> "torch.Tensor":
        """[…, H · width] → […, H, width]."""
        return flow.reshape(*flow.shape[:-1], self.n_heads, -1)

    def writer_weights(self, block: int) -> "torch.Tensor":
        """[H, width, D]: how each head's output is written into the residual stream."""
        weight: Any = self.writers[block].weight
        into = weight if type(self.writers[block]).__name__ == "Conv1D" else weight.T  # Conv1D is [in, out]
        return into.reshape(self.n_heads, -1, into.shape[-1])  # type: ignore[no-any-return]

    def states(self, ids_BT: "torch.Tensor", **inputs: Any) -> "torch.Tensor":
        """[B, T, D] after the final norm: one forward pass without the output head."""
        return self.model.base_model(input_ids=ids_BT, **inputs).last_hidden_state  # type: ignore[no-any-return]

    def check_blocks(self, blocks: Iterable[int]) -> tuple[int, ...]:
        """The blocks themselves; one the model does not have is refused."""
        chosen = tuple(blocks)
        if wrong := [block for block in chosen if not 0 <= block < self.n_blocks]:
            raise WorkbenchError(
                f"block {wrong[0]} does not exist; the model has {self.n_blocks}, numbered 0 to {self.n_blocks - 1}."
            )
        return chosen

    def check_heads(self, heads: Iterable[int] | None) -> tuple[int, ...]:
        """The heads themselves, all of them for None; one the model does not have is refused."""
        chosen = tuple(range(self.n_heads)) if heads is None else tuple(heads)
        if wrong := [head for head in chosen if not 0 <= head < self.n_heads]:
            raise WorkbenchError(
                f"head {wrong[0]} does not exist; each block has {self.n_heads}, numbered 0 to {self.n_heads - 1}."
            )
        return chosen


def require_heads(config: Any) -> int:
    """How many heads each block has; an architecture without attention is refused."""
    config = text_config(config)
    heads = getattr(config, "num_attention_heads", None)
    if heads is None:
        raise WorkbenchError(
            f"The architecture {config.model_type!r} has no attention heads to analyse; "
            "use --what lens, or probes (`workbench probe`)."
        )
    return int(heads)


def open_parts(model: "PreTrainedModel") -> Parts:
    """Find the parts of a causal model of a known architecture.

    Raises WorkbenchError for a bidirectional one (what comes next is then no question) or an unknown one.
    """
    if is_bidirectional(model.config):
        raise WorkbenchError(
            "This model is bidirectional: it sees the value it would be asked for. Attention analyses need a causal "
            "one (gpt2, gpt2-rotary, llama)."
        )
    untyped: Any = model
    (norm,) = _modules(model, "ln_final")
    return Parts(model, _modules(model, "resid_post"), norm, untyped.get_output_embeddings())


def _modules(model: "PreTrainedModel", kind: str) -> "list[nn.Module]":
    """The module that a kind of site is read at, of every block."""
    blocks = range(int(text_config(model.config).num_hidden_layers))
    names = [kind] if kind == "ln_final" else [f"{kind}.{block}" for block in blocks]
    try:
        return [find_module(model, site, locate(site, model.config)) for site in map(parse_site, names)]
    except ModelError as error:
        raise WorkbenchError(as_sentence(error)) from error


def written_out(model: "PreTrainedModel") -> "contextlib.AbstractContextManager[None]":
    """Run a model with written-out (eager) attention, the only one that has a whole pattern; put its own back."""
    if (before := model.config._attn_implementation) != "eager":
        logger.info("attention is switched from %s to eager for the analysis", before)
    return use_attention(model, "eager")


@contextlib.contextmanager
def use_attention(model: "PreTrainedModel", kernel: str) -> Iterator[None]:
    """Run a model with this attention, without gradients and dropout; put everything back."""
    import torch

    before = model.config._attn_implementation
    if before != kernel:
        model.set_attn_implementation(kernel)
    try:
        with torch.no_grad(), evaluating(model):
            yield
    finally:
        if before != kernel:
            model.set_attn_implementation(before)


@contextlib.contextmanager
def hooks(*edits: Edit) -> Iterator[None]:
    """Make edits for the length of a `with` block; they are taken back however it ends.

    An edit is nothing until then: one that is refused leaves nothing of those before it on the model.
    """
    with contextlib.ExitStack() as made:
        for edit in edits:
            made.callback(edit().remove)
        yield


def on_output(module: "nn.Module", change: "Callable[[Any], Any]") -> Edit:
    """An edit of a module's output; what `change` returns takes its place (None leaves it)."""
    return partial(module.register_forward_hook, lambda _module, _args, output: change(output))


def on_input(module: "nn.Module", change: "Callable[[torch.Tensor], torch.Tensor | None]") -> Edit:
    """An edit of a module's first input; what `change` returns takes its place (None leaves it)."""

    def hook(_module: "nn.Module", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            new = change(args[0])
            return None if new is None else ((new, *args[1:]), kwargs)
        name = next(iter(kwargs))
        new = change(kwargs[name])
        return None if new is None else (args, {**kwargs, name: new})

    return partial(module.register_forward_pre_hook, hook, with_kwargs=True)


def on_layer(parts: Parts, layer: int, change: "Callable[[torch.Tensor], torch.Tensor | None]") -> Edit:
    """An edit of the residual stream at a layer: 0 before the first block, l after block l - 1 (`resid_post.{l-1}`)."""
    if not 0 <= layer <= parts.n_blocks:
        raise WorkbenchError(f"layer {layer} does not exist; expected 0 to {parts.n_blocks}.")
    if layer == 0:
        return on_input(parts.blocks[0], change)

    def change_state(output: Any) -> Any:
        if not isinstance(output, tuple):
            return change(output)
        new = change(output[0])
        return (
            None if new is None else (new, *output[1:])
        )  # some architectures' blocks return more than the state

    return on_output(parts.blocks[layer - 1], change_state)
