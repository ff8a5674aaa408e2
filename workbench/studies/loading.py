"""Load a checkpoint's weights into a model: a new one, or the module that held the checkpoint before."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench_models import ONE_NETWORK_AT_A_TIME

from workbench.errors import WorkbenchError, first_line
from workbench.studies.checkpoints import Checkpoint, require_sound
from workbench.studies.headers import FLOATS, OLD_BUFFERS, joint_header, require_blocks, scale_faults
from workbench.studies.weight_files import find_twice
from workbench.tokens.config_file import read_config

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from workbench.studies.study import Study

log = logging.getLogger("workbench")
# A config's switches that change what a forward pass hands out, not what it computes.
_SWITCHED_OFF = ("output_attentions", "output_hidden_states", "use_cache")


def load_config(checkpoint: Checkpoint) -> Any:
    """The Hugging Face config; a folder without a readable one is refused, and no code of its own is run."""
    with quiet_transformers():
        return read_config(checkpoint.path)


def load_model(
    checkpoint: "Checkpoint | Study | Path | str",
    *,
    device: str = "cpu",
    dtype: str = "float32",
    attention: str = "sdpa",
) -> "PreTrainedModel":
    """The checkpoint's model in evaluation mode, filled completely from its files.

    checkpoint: one, or whatever has a last one: a run or a study, its folder, a model folder, a hub name.
    dtype:     `float32`, `bfloat16` or `float16`, of weights and computation.
    attention: the kernel; where an architecture has no `sdpa` the library's own choice.

    Files saved here are checked against their digests first. Raises WorkbenchError for what cannot be opened as a
    causal language model and for tensors that are missing, of another shape or of no meaning without a scale.
    """
    from workbench.studies.series import as_checkpoint

    checkpoint = as_checkpoint(checkpoint)
    _ = require_sound(checkpoint).weight_files  # refuses pickles and missing shards
    checkpoint.require_unchanged()
    model, report = load_with_report(checkpoint, dtype=dtype, attention=attention)
    if faults := report.unfilled:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WorkbenchError(
            f"{checkpoint.path} does not fill its network, so its vectors would be random: it "
            f"{'; it '.join(faults[:3])}{more}; run `workbench verify` on it."
        )
    if unused := report.unused:
        log.warning(
            "%s is read without %d of its tensors: it %s; run `workbench verify` on it.",
            checkpoint.path, len(unused), unused[0],
        )  # fmt: skip
    checkpoint.require_unchanged()
    ready: PreTrainedModel = model.to(device).eval()
    return ready


@dataclass(frozen=True)
class LoadReport:
    """What the library says of the tensors of a folder; each one clause that follows the folder's name.

    unfilled: parameters that were not filled, or not with numbers. unused: tensors that belong to no parameter.
    """

    unfilled: tuple[str, ...]
    unused: tuple[str, ...]


def load_with_report(
    checkpoint: Checkpoint, *, dtype: str = "float32", attention: str = "sdpa"
) -> tuple[Any, LoadReport]:
    """The model as the library loads it, filled or not, and its report. Raises WorkbenchError where there is none."""
    import torch
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    config = load_config(checkpoint)
    require_blocks(checkpoint, config)
    quantised = getattr(config, "quantization_config", None) is not None
    for part in (config, config.get_text_config()):
        for switch in _SWITCHED_OFF:
            if getattr(part, switch, False):
                setattr(part, switch, False)
        if str(getattr(part, "_attn_implementation", "")).startswith("flash"):
            part._attn_implementation = None  # a kernel of the machine it was saved on, not another number
    try:
        with ONE_NETWORK_AT_A_TIME, quiet_transformers():
            model, told = loader.from_pretrained(
                checkpoint.path,
                config=config,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                # Without a word the library takes SDPA where the architecture has it.
                **({} if attention == "sdpa" else {"attn_implementation": attention}),
            )
    except Exception as error:
        raise WorkbenchError(
            f"{checkpoint.path} cannot be opened as a causal language model ({first_line(error)}); "
            "run `workbench verify` on it."
        ) from error
    shapes = {name: (list(found), list(asked)) for name, found, asked in told["mismatched_keys"]}
    unfilled = [f"lacks tensor {name}" for name in sorted(set(told["missing_keys"]) - shapes.keys())]
    unfilled += [
        f"has tensor {name} in the shape {found} where the config asks for {asked}"
        for name, (found, asked) in sorted(shapes.items())
    ]
    unfilled += [
        f"cannot be converted ({first_line(ValueError(said))})" for said in told.get("error_msgs") or ()
    ]
    unused = [
        f"has tensor {name}, which belongs to no part of the model"
        for name in sorted(told["unexpected_keys"])
        if not name.endswith(OLD_BUFFERS)
    ]
    scaled = [] if quantised else scale_faults(checkpoint, model)
    return model, LoadReport((*find_twice(checkpoint.weight_files), *unfilled, *scaled), tuple(unused))


class ModelLoader:
    """Loads one checkpoint after another, into the same module where that is known to be the same.

    A series then needs one model's memory, and no start-up each. The model handed out before changes its weights with
    the next `load`. Every checkpoint is what the library itself would load: the weights are copied into the module
    only where this architecture's first checkpoint showed that its parameters are the tensors of the same names, and
    where the next has the same names, shapes and plain types; any other is loaded afresh.

    dtype: `float32`, `bfloat16` or `float16`: of weights, computation and activations alike.
    """

    def __init__(self, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.device, self.dtype = device, dtype
        self._model: PreTrainedModel | None = None
        self._held: Checkpoint | None = None
        self._names: dict[str, str] | None = None  # tensor of the files → parameter
        self._header: dict[str, Any] = {}

    def load(self, checkpoint: Checkpoint) -> "PreTrainedModel":
        """A checkpoint's model in evaluation mode, on SDPA attention where the architecture has it.

        Raises WorkbenchError for a folder that cannot be opened as a causal language model.
        """
        model, before = self._model, self._held
        if model is not None and before is not None and checkpoint.config_digest == before.config_digest:
            if checkpoint.weights_digest == before.weights_digest:
                return model
            if self._names is None:
                self._header = joint_header(before)
                self._names = match_names(model, before, self._header)
            if self._names and joint_header(checkpoint) == self._header:
                require_sound(checkpoint)
                self._held = None  # while weights are exchanged the module is neither
                overwrite_weights(model, checkpoint, self._names)
                checkpoint.require_unchanged()
                self._held = checkpoint
                return model
        self._model = self._held = self._names = model = None  # one model's memory
        self._model = load_model(checkpoint, device=self.device, dtype=self.dtype)
        self._held = checkpoint
        return self._model


def match_names(
    model: "PreTrainedModel", checkpoint: Checkpoint, header: Mapping[str, Any]
) -> dict[str, str]:
    """Tensor of the files → parameter of the freshly loaded model, if the parameters *are* the tensors; else empty.

    They are where names, shapes and values agree one to one, in plain floating-point types and without quantisation:
    then copying tensors of these names is what the library does for this architecture. One name may differ
    (GPT-NeoX's `embed_out` is now `lm_head`), since what is left over on both sides belongs together.
    """
    own = saved_tensors(model)
    names = {name: name for name in header.keys() & own.keys()}
    renamed, left = header.keys() - names.keys(), own.keys() - names.keys()
    if len(renamed) == len(left) == 1:
        names[min(renamed)] = min(left)
    if (
        len(names) != len(own)
        or len(names) != len(header)
        or getattr(model.config, "quantization_config", None) is not None
        or any(dtype not in FLOATS for dtype, _ in header.values())
        or any(list(own[names[name]].shape) != shape for name, (_, shape) in header.items())
    ):
        return {}
    for name, stored in iterate_tensors(checkpoint, names):
        held = own[names[name]]
        if not _equal(stored.to(held.device, held.dtype), held):
            return {}
    return names


def overwrite_weights(model: "PreTrainedModel", checkpoint: Checkpoint, names: Mapping[str, str]) -> None:
    """Copy a checkpoint's tensors into the model's parameters, `names` as `match_names` found them."""
    import torch

    own = saved_tensors(model)
    with torch.no_grad():
        for name, stored in iterate_tensors(checkpoint, names):
            own[names[name]].copy_(stored)


def iterate_tensors(
    checkpoint: Checkpoint, wanted: Mapping[str, Any]
) -> "Iterator[tuple[str, torch.Tensor]]":
    """The stored tensors of these names, file by file."""
    from safetensors import SafetensorError, safe_open

    file: Path
    try:
        for file in checkpoint.weight_files:
            with safe_open(file, framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118
                    if name in wanted:
                        yield name, stored.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise WorkbenchError(
            f"{checkpoint.path} cannot be read ({first_line(error)}); run `workbench verify` on it."
        ) from error


def saved_tensors(model: "PreTrainedModel") -> "dict[str, torch.Tensor]":
    """Parameters, each once, and the buffers that belong to a checkpoint (not tables such as rotary frequencies)."""
    saved = model.state_dict()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in saved}
    return {**dict(model.named_parameters()), **buffers}


def _equal(one: "torch.Tensor", two: "torch.Tensor") -> bool:
    import torch

    return bool(torch.equal(one, two)) or bool(torch.allclose(one, two, rtol=0, atol=0, equal_nan=True))


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no load reports: a mistake reaches the user as one sentence of ours.

    One thread at a time, since these are switches of the whole process.
    """
    from transformers.utils import logging

    untyped: Any = logging
    with ONE_NETWORK_AT_A_TIME:
        level, bars = untyped.get_verbosity(), untyped.is_progress_bar_enabled()
        untyped.set_verbosity_error()
        untyped.disable_progress_bar()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # no feed-forward part
                yield
        finally:
            untyped.set_verbosity(level)
            if bars:
                untyped.enable_progress_bar()
