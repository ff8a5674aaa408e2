"""Load a source's weights into a model: a new one, or the module that held the checkpoint before."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.studies.series import ModelSource, first_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


class ModelLoader:
    """Loads one source after another, into the same module where their configs agree.

    A series of checkpoints then needs one model's memory, and no start-up each. The model handed out before
    changes its weights with the next `load`.

    dtype: `float32`, `bfloat16` or `float16`: of weights, computation and activations alike.
    """

    def __init__(self, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.device, self.dtype = device, dtype
        self._model: PreTrainedModel | None = None
        self._source: ModelSource | None = None
        self._names: dict[str, str] | None = None

    def load(self, source: ModelSource) -> "PreTrainedModel":
        """A source's model in evaluation mode, on SDPA attention.

        Raises WorkbenchError for a folder that cannot be opened as a causal language model.
        """
        model, before = self._model, self._source
        if model is not None and before is not None and source.config_digest == before.config_digest:
            if source.weights_digest == before.weights_digest:
                return model
            if self._names is None:
                self._names = match_names(model, before)
            self._source = None  # while weights are exchanged the module is neither
            if overwrite_weights(model, source, self._names):
                self._source = source
                return model
        self._model = load_source(source, device=self.device, dtype=self.dtype)
        self._source, self._names = source, None
        return self._model


def load_source(source: ModelSource, *, device: str = "cpu", dtype: str = "float32") -> "PreTrainedModel":
    """A source's model in evaluation mode, on SDPA attention; `dtype` as in `ModelLoader`.

    Raises WorkbenchError for an unreadable folder or a config Hugging Face cannot make a causal model of.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    _ = source.weight_files  # refuses pickles and missing shards
    try:
        with quiet_transformers():
            model: Any = loader.from_pretrained(
                source.path,
                dtype=getattr(torch, dtype),
                attn_implementation="sdpa",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WorkbenchError(
            f"{source.path} cannot be opened as a causal language model ({first_line(error)}); "
            "run `workbench verify` on it."
        ) from error
    ready: PreTrainedModel = model.to(device).eval()
    return ready


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no load reports: a mistake reaches the user as one sentence of ours."""
    from transformers.utils import logging

    untyped: Any = logging
    level, bars = untyped.get_verbosity(), untyped.is_progress_bar_enabled()
    untyped.set_verbosity_error()
    untyped.disable_progress_bar()
    try:
        yield
    finally:
        untyped.set_verbosity(level)
        if bars:
            untyped.enable_progress_bar()


def has_tokenizer(source: ModelSource) -> bool:
    """Whether tokenizer files lie beside a model."""
    return any((source.path / name).is_file() for name in TOKENIZER_FILES)


def load_source_tokenizer(source: ModelSource) -> "PreTrainedTokenizerFast":
    """The tokenizer saved beside a model; a folder without one is refused."""
    from transformers import AutoTokenizer

    if not has_tokenizer(source):
        raise WorkbenchError(
            f"{source.path} has no tokenizer (no {TOKENIZER_FILES[0]}); copy the tokenizer files the model "
            "was trained with into it, or name a tokenizer folder with --tokenizer."
        )
    loader: Any = AutoTokenizer
    try:
        tokenizer: PreTrainedTokenizerFast = loader.from_pretrained(
            source.path, local_files_only=True, use_fast=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise WorkbenchError(
            f"The tokenizer in {source.path} cannot be opened ({first_line(error)})."
        ) from error
    return tokenizer


def match_names(model: "PreTrainedModel", source: ModelSource) -> dict[str, str]:
    """Which tensor of its files each parameter of a freshly loaded model came from: parameter → tensor.

    Mostly the names are equal; where a library renames (GPT-NeoX's `embed_out` is now `lm_head`) the values
    tell. A parameter found nowhere (made of several tensors) is left out.
    """
    import torch
    from safetensors import safe_open

    state: dict[str, torch.Tensor] = {**dict(model.named_parameters()), **_saved_buffers(model)}
    names: dict[str, str] = {}
    unnamed: dict[str, torch.Tensor] = {}
    for file in source.weight_files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118
                if name in state:
                    names[name] = name
                else:
                    unnamed[name] = stored.get_tensor(name)
    for parameter, own in state.items():
        if parameter in names:
            continue
        for name, tensor in unnamed.items():
            if tensor.shape == own.shape and torch.equal(tensor.to(own.device, own.dtype), own):
                names[parameter] = name
                break
    return names


def overwrite_weights(model: "PreTrainedModel", source: ModelSource, names: dict[str, str]) -> bool:
    """Copy a source's weights into a model in place; False, with nothing changed, where they do not fit.

    names: parameter → tensor of the files, as `match_names` found them for an earlier source.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    state = {**dict(model.named_parameters()), **_saved_buffers(model)}
    if state.keys() - names.keys():
        return False
    files: dict[str, Path] = {}
    try:
        for file in source.weight_files:
            with safe_open(file, framework="pt") as stored:
                shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
            files |= dict.fromkeys(shapes, file)
            if any(shapes.get(name, state[own].shape) != state[own].shape for own, name in names.items()):
                return False
        if set(names.values()) - files.keys():
            return False
        with torch.no_grad():
            for file in source.weight_files:
                with safe_open(file, framework="pt") as stored:
                    for own, name in names.items():
                        if files[name] == file:
                            state[own].copy_(stored.get_tensor(name))
    except SafetensorError as error:
        raise WorkbenchError(
            f"{source.path} cannot be read ({first_line(error)}); run `workbench verify` on it."
        ) from error
    return True


def _saved_buffers(model: "PreTrainedModel") -> "dict[str, torch.Tensor]":
    """The buffers that belong to a checkpoint (not tables such as rotary frequencies)."""
    saved = model.state_dict()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}
