"""What this processor is fast at: by what it says it has, and by a short measurement where that says nothing.

Shapes: B rows, T tokens, H heads, D width of a head.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch.nn import functional

BF16_MUST_GAIN = 1.3  # a lower precision has to pay
MEASURED_SECONDS = 0.25  # of each of the things compared
SMALL_STEP = 5e8  # FLOPs: some milliseconds of one core


@cache
def bf16_pays(device_type: str = "cpu") -> tuple[bool, str]:
    """Whether products in bfloat16 are faster than in float32 here, and how that is known.

    x86-64 says it itself, whoever made it: AMX and AVX-512 BF16 multiply bfloat16, everything else emulates it. Of
    other processors (arm64 and what comes) a quarter of a second of products in each format tells.
    """
    if device_type == "cuda":
        has = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return has, f"the GPU {'has' if has else 'lacks'} bfloat16"
    if device_type != "cpu":
        return False, f"no rule for {device_type}"
    if platform.machine().lower() in ("x86_64", "amd64"):
        has = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
        if has and (limit := cpu_limit()):
            return False, f"the processor has bfloat16, but {limit} keeps it from being used"
        return has, f"the processor {'has' if has else 'lacks'} bfloat16 (AVX-512 BF16 or AMX)"
    gain = measure_product("float32") / measure_product("bfloat16")
    return gain >= BF16_MUST_GAIN, f"measured: bfloat16 products are {gain:.1f}x as fast as float32"


@cache
def fused_attention_pays(bf16: bool) -> tuple[bool, str]:
    """Whether PyTorch's fused attention trains faster than attention written out, on this CPU's short rows.

    Known for x86-64: in bfloat16 the fused kernel's backward pass is four times slower, in float32 the two differ by
    less than they vary and the fused one needs less memory. Elsewhere both are timed on 32 rows of 48 tokens.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        return not bf16, "rule: written out with bfloat16, fused without"
    dtype = torch.bfloat16 if bf16 else torch.float32
    fused, written = (_time_attention(one, dtype) for one in (_fused, _written_out))
    return fused <= written, f"measured: fused attention is {written / fused:.1f}x as fast as written out"


def cpu_limit() -> str | None:
    """The environment variable that keeps the CPU's kernels below AVX-512, as `NAME=value`; None where none does."""
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        value = os.environ.get(name, "")
        if value.lower() in ("default", "sse41", "avx", "avx2", "avx2_vnni"):
            return f"{name}={value}"
    return None


@cache
def measure_product(dtype: str, device: str = "cpu", size: int = 1024) -> float:
    """Seconds of a product of two `size` × `size` matrices: the best in a quarter of a second, once a process."""
    matrix = torch.randn(size, size, device=device).to(getattr(torch, dtype))

    def multiply() -> None:
        (matrix @ matrix)[0, 0].item()

    return _best_of(multiply)


@contextmanager
def threads_that_pay(flops: float) -> Iterator[None]:
    """One thread while steps of so few FLOPs are taken, else as many as torch has.

    Handing so little out to a second thread saves a millisecond at most; and where another process keeps a core busy,
    each product waits for its second half until the scheduler comes round.
    """
    before = torch.get_num_threads()
    if flops < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe_cpu() -> str:
    """The processor by name, with what PyTorch uses of it: `AMD EPYC, x86_64, AVX2`."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            name = next(
                (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name
            )
    except OSError:  # not Linux
        pass
    return f"{name}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def _best_of(run: Callable[[], None]) -> float:
    run()
    best, deadline = float("inf"), time.perf_counter() + MEASURED_SECONDS
    while best == float("inf") or time.perf_counter() < deadline:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def _time_attention(
    attend: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> float:
    q, k, v = (torch.randn(32, 4, 48, 32, dtype=dtype, requires_grad=True) for _ in range(3))
    return _best_of(lambda: attend(q, k, v).sum().backward())


def _fused(q_BHTD: torch.Tensor, k_BHTD: torch.Tensor, v_BHTD: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, is_causal=True)


def _written_out(q_BHTD: torch.Tensor, k_BHTD: torch.Tensor, v_BHTD: torch.Tensor) -> torch.Tensor:
    n_tokens, width = q_BHTD.shape[-2:]
    later_TT = torch.ones(n_tokens, n_tokens, dtype=torch.bool).triu(1)
    scores_BHTT = (q_BHTD @ k_BHTD.mT * width**-0.5).masked_fill(later_TT, float("-inf"))
    out_BHTD: torch.Tensor = scores_BHTT.softmax(-1) @ v_BHTD
    return out_BHTD
