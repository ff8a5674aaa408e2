"""What the device does fastest: precision, attention kernel, compilation, and its peak rate for the MFU."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TrainingRecipe

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
    """How a model runs on a device; recorded with every result, because precision changes figures."""

    device: str
    bf16: bool
    attention: str
    compile: bool

    def autocast(self) -> AbstractContextManager[object]:
        """The context that runs matrix products in bf16 where that was chosen."""
        if not self.bf16:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)


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


def choose_execution(recipe: TrainingRecipe, device: str, steps: int) -> Execution:
    """Resolve `auto` in the recipe to what measured fastest on the kind of device.

    GPU: bf16, the fused attention kernel, compilation on runs long enough to pay for it. CPU: bf16 where the
    processor multiplies it in hardware, with attention written out, because the backward pass of the CPU's fused
    kernel is four times slower in bf16 than in float32 (benchmarks/training.py measures it).
    """
    on_gpu = torch.device(device).type == "cuda"
    bf16 = {"bf16": True, "fp32": False, "auto": _has_fast_bf16(device)}[recipe.precision]
    attention = recipe.attention
    if attention == "auto":
        attention = "eager" if bf16 and not on_gpu else "sdpa"
    compiled = {"yes": True, "no": False, "auto": on_gpu and steps >= COMPILE_PAYS_AFTER_STEPS}[
        recipe.compile
    ]
    return Execution(device, bf16, attention, compiled)


def _has_fast_bf16(device: str) -> bool:
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def peak_flops(execution: Execution) -> float:
    """FLOP/s of the device: the datasheet's for a known GPU, else what a large matrix product reaches here."""
    if torch.device(execution.device).type == "cuda" and execution.bf16:
        name = torch.cuda.get_device_name(execution.device)
        for known, peak in PEAK_FLOPS.items():
            if known in name:
                return peak
    size = 1024
    matrix = torch.randn(
        size, size, device=execution.device, dtype=torch.bfloat16 if execution.bf16 else torch.float32
    )
    matrix @ matrix
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def training_flops_per_token(n_parameters: int, n_layers: int, d_model: int, length: int) -> float:
    """6·N + 12·L·D·T: forward and backward of the matrices, and of attention (PaLM, appendix B)."""
    return 6 * n_parameters + 12 * n_layers * d_model * length
