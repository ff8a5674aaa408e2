"""What the device does fastest: precision, attention kernel, compilation, and its peak rate for the MFU."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from workbench_models import count_parameters

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe, TrainingRecipe
from workbench.training.blocks import NAME as BLOCKS
from workbench.training.blocks import takes_blocks, use_blocks
from workbench.training.causal_kernel import use_causal_kernel
from workbench.training.gelu import use_logistic_gelu
from workbench.training.processor import bf16_pays, fused_attention_pays, measure_product

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Dense bf16 peaks by the vendors' datasheets, FLOP/s.
PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "A10G": 70e12,
}
COMPILE_PAYS_AFTER_STEPS = 2000  # compilation costs one to two minutes on a GPU


@dataclass(frozen=True)
class Execution:
    """How a model runs on a device; recorded with every result, because precision changes figures.

    attention: `blocks` (on a CPU, of architectures that blocks.py knows; of others as `sdpa` or `eager`, whichever is
    faster there), `sdpa` (fused) or `eager` (written out). why: what decided the precision, in words.
    """

    device: str
    bf16: bool
    attention: str
    compile: bool
    why: str = ""

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`: of matrix products; weights and sums are float32 in both."""
        return "bf16" if self.bf16 else "fp32"

    @property
    def gelu(self) -> str:
        """`logistic` on a CPU, where the usual `kernel` of the tanh GELU is slow."""
        return "logistic" if self.device == "cpu" else "kernel"

    def autocast(self) -> AbstractContextManager[object]:
        """The context that runs matrix products in bf16 where that was chosen."""
        if not self.bf16:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def prepare(self, model: "PreTrainedModel") -> None:
        """Let a model compute this way: its attention, positions and GELU; the functions stay what they are.

        An architecture that has no such attention (a state-space model has none at all) keeps its own.
        """
        if self.attention != BLOCKS:
            _set_attention(model, self.attention)
        elif not use_blocks(model):
            _set_attention(model, "sdpa" if fused_attention_pays(self.bf16)[0] else "eager")
        use_causal_kernel(model, self.device)
        if self.gelu == "logistic":
            use_logistic_gelu(model)
        if self.device == "cpu":
            from workbench.training.rotary import use_rotary_attention

            use_rotary_attention(model)

    def heeding_masks(self, model: "PreTrainedModel") -> "Execution":
        """The same for rows with masks of their own, which written-out attention takes in another form."""
        in_blocks = self.device == "cpu" and takes_blocks(model)
        return replace(self, attention=BLOCKS if in_blocks else "sdpa", compile=False)

    def describe(self) -> dict[str, Any]:
        """What is kept with a run and a result."""
        return {
            "device": self.device,
            "attention": self.attention,
            "precision": self.precision,
            "gelu": self.gelu,
            "compiled": self.compile,
            "why": self.why,
        }


def _set_attention(model: "PreTrainedModel", name: str) -> None:
    if name != "sdpa" or getattr(model, "_supports_sdpa", False):
        model.set_attn_implementation(name)


def count_gpus() -> int:
    """CUDA devices that this process may use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def choose_device(wanted: str | None) -> str:
    """`cuda` where there is one, else `cpu`; a device that is not there is refused."""
    available = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted is None or wanted == "auto":
        return available
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise WorkbenchError(
            f"The device {wanted!r} is not available here; leave --device out to use {available!r}."
        ) from error
    return wanted


def choose_devices(wanted: str | None, jobs: int, several: bool = True) -> list[str]:
    """Devices for jobs that can run side by side: those named (`cuda:0,cuda:1`), else all GPUs, at most one a job.

    several: False takes one device whatever there is.
    """
    named = [part.strip() for part in (wanted or "").split(",") if part.strip()]
    if not named and count_gpus() > 1:
        named = [f"cuda:{number}" for number in range(count_gpus())]
    found = [choose_device(name) for name in named] or [choose_device(None)]
    return list(dict.fromkeys(found))[: max(1, jobs) if several else 1]


def choose_execution(recipe: TrainingRecipe, device: str, steps: int) -> Execution:
    """Resolve `auto` in the recipe to what is fastest on this device, by rule or by a short measurement.

    GPU: bf16, the fused attention kernel, compilation on runs long enough to pay for it. CPU: bf16 where the
    processor multiplies it in hardware, float32 elsewhere, attention in blocks in both.
    """
    kind = torch.device(device).type
    fast, why = bf16_pays(kind)
    bf16 = {"bf16": True, "fp32": False, "auto": fast}[recipe.precision]
    if recipe.precision != "auto":
        why = f"the recipe says {recipe.precision}"
    attention: str = recipe.attention
    if attention == "auto":
        attention = BLOCKS if kind == "cpu" else "sdpa"
    compiled = {
        "yes": True,
        "no": False,
        "auto": kind == "cuda" and steps >= COMPILE_PAYS_AFTER_STEPS,
    }[recipe.compile]
    return Execution(device, bf16, attention, compiled, why)


def peak_flops(execution: Execution) -> float:
    """FLOP/s of the device: the datasheet's for a known GPU, else what a large matrix product reaches here."""
    if torch.device(execution.device).type == "cuda" and execution.bf16:
        name = torch.cuda.get_device_name(execution.device)
        for known, peak in PEAK_FLOPS.items():
            if known in name:
                return peak
    size = 1024
    return 2 * size**3 / measure_product("bfloat16" if execution.bf16 else "float32", execution.device, size)


def training_flops_per_token(n_parameters: int, n_layers: int, d_model: int, length: int) -> float:
    """6·N + 12·L·D·T: forward and backward of the matrices, and of attention (PaLM, appendix B)."""
    return 6 * n_parameters + 12 * n_layers * d_model * length


def model_flops(model: "PreTrainedModel", recipe: Recipe) -> tuple[float, float]:
    """FLOPs of a token, and of a step whose rows are all as long as a row can be."""
    config, length = model.config, min(recipe.model.shape.max_length, recipe.tokens.row_length)
    flops = training_flops_per_token(
        count_parameters(model), config.num_hidden_layers, config.hidden_size, length
    )
    return flops, flops * length * recipe.training.rows_per_step
