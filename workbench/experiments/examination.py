"""What `workbench doctor` finds out about a machine: a few words for each thing, nothing changed, no network."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workbench.experiments.side_by_side import count_cores
from workbench.files import format_bytes
from workbench.memory import free_memory
from workbench.recipes.recipe import load_recipe
from workbench.training.devices import Execution, choose_device, choose_execution, count_gpus, peak_flops
from workbench.training.processor import cpu_limit, describe_cpu, fused_attention_pays

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scikit-learn",
    "transformer-lens",
    "nnsight",
    "plotly",
    "dash",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Part = dict[str, str]


def examine(folder: Path) -> dict[str, Part]:
    """Title of a part → name → what was found, in words."""
    device = choose_device(None)
    execution = choose_execution(load_recipe("quick").training, device, steps=1)
    return {
        "versions": _versions(),
        "machine": _machine(folder),
        "jobs": _jobs(execution),
        "speed": {
            f"{execution.precision} products": f"{peak_flops(execution) / 1e9:,.0f} GFLOP/s measured, all threads"
        },
        "around": _around(),
    }


def find_browser() -> str | None:
    """A browser that the tests of pages can drive: one on the PATH, else Playwright's own."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    homes = (
        os.environ.get("PLAYWRIGHT_BROWSERS_PATH", ""),
        "~/.cache/ms-playwright",
        "~/Library/Caches/ms-playwright",
    )
    for home in filter(None, homes):
        for path in sorted(Path(home).expanduser().glob("chromium*")):
            return str(path)
    return None


def _versions() -> Part:
    import torch

    found = {
        "workbench": version("probing-workbench"),
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.platform})",
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = torch.__version__  # with its build, `+cpu` or `+cu130`
    return found


def _machine(folder: Path) -> Part:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(count_gpus())]
    return {
        "system": platform.platform(),
        "cpu": describe_cpu(),
        "cores": f"{count_cores()} usable of {os.cpu_count()}, {torch.get_num_threads()} threads by default",
        "cpu limited by": cpu_limit() or "nothing",
        "load": _load(),
        "memory free": format_bytes(free_memory()),
        "disk free": f"{format_bytes(shutil.disk_usage(folder).free)} at {folder.absolute()}",
        "gpus": ", ".join(gpus) or "none that torch can use",
    }


def _jobs(execution: Execution) -> Part:
    """What each kind of work will use, and why."""
    attention = {"blocks": "attention in blocks", "sdpa": "fused attention"}[execution.attention]
    others = f"rule: in blocks; of architectures that have none, {fused_attention_pays(execution.bf16)[1]}"
    reason = others if execution.device == "cpu" else "rule: fused on a GPU"
    trained = f"{execution.precision}, {attention}, {execution.gelu} GELU"
    linear = "bf16 products, fp32 sums" if execution.bf16 else "fp32"
    return {
        "training": f"{trained}; Muon orthogonalises in {execution.precision}",
        "embedding probes, finetuning": trained,
        "linear probes": linear,
        "caching, attention, answers": "fp32, as stored weights: what is kept must not hang on the processor",
        "precision because": execution.why,
        "attention because": reason,
    }


def _around() -> Part:
    browser = find_browser()
    slurm = shutil.which("sbatch")
    return {
        "browser": browser or "none found (only `make test` needs one)",
        "slurm": slurm or "no",
        "torchrun": shutil.which("torchrun") or "no",
        "make": shutil.which("make") or "no",
    }


def _load() -> str:
    try:
        return f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute"
    except OSError:
        return "the system does not tell"
