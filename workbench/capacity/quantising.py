"""Weight-only quantisation of a loaded model, by torchao: int8 and int4, symmetric, in groups along a matrix's input.

As in Part 3.3, which used GPTQ, the matrices of the blocks are quantised; embeddings, output layer and norms stay.
Weights are rounded to the nearest and computed with in float32, so what is measured is what rounding costs and nothing
else. GPTQ rounds more carefully, by calibration texts.
"""

import copy
import math
import warnings
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, first_line, nearest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

QUANTISATIONS = {"int8": 8, "int4": 4}
GROUP = 32  # weights that share a scale, where the matrix is a multiple as wide


def parse_quantisations(text: str) -> list[str]:
    """`int8,int4` → the names; an unknown one is refused."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names or [text]:
        if name not in QUANTISATIONS:
            raise WorkbenchError(
                f"--quantize {name!r} is not known{nearest(name, list(QUANTISATIONS))} "
                f"(known: {', '.join(QUANTISATIONS)})."
            )
    return list(dict.fromkeys(names))


def quantise(model: "PreTrainedModel", name: str) -> "PreTrainedModel":
    """A copy of the model whose blocks' matrices are integers of a width with one scale a group.

    Raises WorkbenchError where torchao is not installed, where the device or this processor lacks the kind, and for
    an architecture whose blocks hold matrices that are no linear layers (GPT-2's are of a class of its own; experts
    are stacked).
    """
    import torch

    quantize_, config = _load_torchao()
    model = copy.deepcopy(model)
    blocks = find_matrices(model)
    if not blocks:
        raise WorkbenchError(
            f"{type(model).__name__} has no linear layers in its blocks, so nothing of it can be quantised; "
            "use a model such as gpt2-rotary or llama."
        )
    if left := find_other_matrices(model, blocks):
        raise WorkbenchError(
            f"{type(model).__name__} has matrices that are no linear layers ({left[0]}), which would stay as they "
            "are, so its bits would be of a half-quantised network; use a model such as gpt2-rotary or llama."
        )
    dtype = getattr(torch, name)
    try:
        for path, layer in blocks.items():
            quantize_(model, config(dtype, group_of(layer)), filter_fn=lambda _, at, path=path: at == path)
        probe = torch.zeros(1, 1, dtype=torch.long, device=model.device)
        with torch.inference_mode():
            model(probe)
    except Exception as error:
        raise WorkbenchError(
            f"{name} does not work on the device {model.device} ({first_line(error)}); use --device cpu, "
            "or leave it out."
        ) from error
    return model


def find_matrices(model: "PreTrainedModel") -> "dict[str, torch.nn.Linear]":
    """The linear layers of the blocks by their path: all but the output layer."""
    import torch

    output = model.get_output_embeddings()
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output and module.weight.numel()
    }


def find_other_matrices(model: "PreTrainedModel", blocks: "dict[str, torch.nn.Linear]") -> list[str]:
    """Parameters of two or more axes outside the quantised layers, the embeddings and the output layer."""
    import torch

    kept = [model.get_output_embeddings(), *blocks.values()]
    kept += [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    known = {id(parameter) for module in kept for parameter in module.parameters()}
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and parameter.numel() and id(parameter) not in known
    ]


def group_of(layer: "torch.nn.Linear") -> int:
    """How many weights of a row share a scale: 32, or the largest common divisor with the row."""
    return math.gcd(GROUP, layer.in_features)


def _load_torchao() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torchao.quantization import IntxWeightOnlyConfig, quantize_
            from torchao.quantization.granularity import PerGroup
    except ImportError as error:
        raise WorkbenchError(
            "Quantisation needs torchao, which is not installed; run `pip install 'probing-workbench[quantize]'`."
        ) from error

    def config(dtype: "torch.dtype", group: int) -> Any:
        return IntxWeightOnlyConfig(weight_dtype=dtype, granularity=PerGroup(group))

    return quantize_, config
