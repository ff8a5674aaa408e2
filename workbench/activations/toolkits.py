"""Doors to TransformerLens and nnsight: a checkpoint handed out as a ready TransformerBridge or NNsight."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from workbench_models import is_bidirectional

from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_config, load_model
from workbench.studies.series import as_checkpoint
from workbench.tokens.opening import has_tokenizer, load_tokenizer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def bridge(checkpoint: "Checkpoint | Path | str", *, device: str = "cpu", dtype: str = "float32") -> Any:
    """A checkpoint as a ready TransformerBridge, for everything TransformerLens does.

    checkpoint: a run (its last checkpoint), a model folder, a hub name, or what `find_series` found. Its
                tokenizer is handed over where it has one.

    Its activations equal the Hugging Face model's own, unless `enable_compatibility_mode()` is called, which changes
    residuals: never probe in it. Raises WorkbenchError for a bidirectional model, which the bridge would silently
    run as a causal one.
    """
    found = as_checkpoint(checkpoint)
    if is_bidirectional(load_config(found)):
        raise WorkbenchError(
            f"{found.label} is bidirectional, and a TransformerBridge reads it as causal unless every "
            "call passes a 4-D mask; use `workbench.trace`, or cache it with engine='transformer-lens'."
        )
    tokenizer = load_tokenizer(found.path) if has_tokenizer(found.path) else None
    return make_bridge(load_model(found, device=device, dtype=dtype), tokenizer)


def trace(checkpoint: "Checkpoint | Path | str", *, device: str = "cpu", dtype: str = "float32") -> Any:
    """A checkpoint as a ready NNsight, for everything nnsight does: `with traced.trace(input_ids=ids): …`.

    checkpoint: as for `bridge`. Module names are Hugging Face's.

    Importing nnsight changes Python's `object` for the whole process, so keep it out of a server's.
    """
    return make_trace(load_model(as_checkpoint(checkpoint), device=device, dtype=dtype))


def copy_sharing_weights(model: "PreTrainedModel") -> "PreTrainedModel":
    """A copy of a model's module tree and config around the same weight tensors.

    What a toolkit does to the copy's modules (hooks, replaced parts, another attention) never reaches it.
    """
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    copied: PreTrainedModel = copy.deepcopy(model, shared)
    return copied


def make_bridge(model: "PreTrainedModel", tokenizer: Any = None) -> Any:
    """A TransformerBridge around a model, which it changes (give it a copy).

    Its tensors equal the Hugging Face model's own: no norm is folded, nothing is centred. Never call its
    `enable_compatibility_mode()` before probing, which changes residuals.
    """
    try:
        from transformer_lens.model_bridge.sources import build_bridge_from_module
    except ImportError as error:
        raise WorkbenchError(
            "The engine 'transformer-lens' needs TransformerLens 4.3 or later; "
            "install it with `pip install 'transformer-lens>=4.3'`."
        ) from error
    architecture = type(model).__name__
    try:
        with _closed_vocabularies_welcome():
            return build_bridge_from_module(
                model, architecture, hf_config=copy.deepcopy(model.config), tokenizer=tokenizer
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise WorkbenchError(
            f"TransformerLens cannot bridge architecture {architecture} ({error}); use the engine 'hooks'."
        ) from error


@contextmanager
def _closed_vocabularies_welcome() -> Iterator[None]:
    """Let TransformerLens boot with a vocabulary that lacks the word `a`.

    It encodes `a` to see whether a tokenizer puts a token before or after every text; a closed vocabulary without
    that word raises. It is asked with a word of its own then.
    """
    from transformer_lens.model_bridge.sources import _bridge_builder as builder

    detect = builder.detect_tokenizer_bos_eos

    def detect_by_own_word(tokenizer: Any) -> tuple[bool, bool]:
        try:
            found: tuple[bool, bool] = detect(tokenizer)
        except Exception as error:  # the tokenizers library raises nothing more specific
            special = set(tokenizer.all_special_tokens)
            word = next((token for token in tokenizer.get_vocab() if token not in special), None)
            if word is None:
                raise WorkbenchError("The model's tokenizer has no word beside its special ones.") from error
            names = ("bos_token_id", "cls_token_id", "eos_token_id")
            ids = {name: getattr(tokenizer, name, None) for name in names}
            found = detect(SimpleNamespace(encode=lambda _: tokenizer.encode(word), **ids))
        return found

    builder.detect_tokenizer_bos_eos = detect_by_own_word
    try:
        yield
    finally:
        builder.detect_tokenizer_bos_eos = detect


def make_trace(root: "nn.Module") -> Any:
    """An NNsight around a module, which it instruments (give it a copy)."""
    try:
        from nnsight import NNsight
    except ImportError as error:
        raise WorkbenchError(
            "The engine 'nnsight' needs nnsight 0.8 or later; install it with `pip install 'nnsight>=0.8'`."
        ) from error
    return NNsight(root)
