"""Several processes under `torchrun`: each takes its share of every step's rows; one writes."""

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Workers:
    """This process's place among the workers; a run without torchrun is one worker of one.

    joined: whether the process group was made for this run, and so ends with it.
    """

    rank: int
    size: int
    joined: bool = False

    @property
    def writes(self) -> bool:
        """Whether this process saves and prints."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This worker's rows of a step."""
        return slice(self.rank * rows // self.size, (self.rank + 1) * rows // self.size)

    def total(self, number: torch.Tensor) -> torch.Tensor:
        """The sum of a scalar over all workers."""
        if self.size > 1:
            distributed.all_reduce(number)
        return number

    def agree(self, flag: bool) -> bool:
        """Whether any worker has raised the flag: all of them stop at the same step, or none does."""
        if self.size == 1:
            return flag
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        raised = torch.tensor(float(flag), device=device)
        return bool(self.total(raised) > 0)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average gradients over the workers after each backward pass."""
        return nn.parallel.DistributedDataParallel(module) if self.size > 1 else module


def is_first_worker() -> bool:
    """Whether this process speaks for all workers of a torchrun; true without one."""
    return os.environ.get("RANK", "0") == "0"


def is_distributed() -> bool:
    """Whether this process is one of several that torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_workers(device: str) -> Workers:
    """Join the process group torchrun has described in the environment, if any.

    One that exists already (a script that trains several runs makes it itself, once) is used and left alone.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    joins = size > 1 and not distributed.is_initialized()
    if size > 1 and device.startswith("cuda"):
        torch.cuda.set_device(device)  # collectives of every worker run on its own GPU
    if joins:
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Workers(int(os.environ.get("RANK", "0")), size, joins)


def local_device(device: str) -> str:
    """`cuda` → this worker's own GPU."""
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device


def leave_workers(workers: Workers) -> None:
    """End the process group that `join_workers` made."""
    if workers.joined and distributed.is_initialized():
        distributed.destroy_process_group()
