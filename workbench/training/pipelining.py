"""What keeps an accelerator busy: batches are made ahead, and numbers are read some steps late.

On a CPU both are the plain thing: the same batches, and every number at its own step.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch

Made = TypeVar("Made")
AHEAD = 2  # batches made before they are needed
LATE = 4  # steps after which a number has surely been computed


def make_ahead(make: Callable[[int], Made], steps: Iterable[int]) -> Iterator[Made]:
    """`make(step)` for each step, in order, worked out in a background thread while the steps before are computed."""
    from concurrent.futures import Future, ThreadPoolExecutor

    remaining = iter(steps)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        ahead: deque[Future[Made]] = deque()
        for step in remaining:
            ahead.append(pool.submit(make, step))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def send(arrays: Sequence[np.ndarray], device: str | torch.device) -> list[torch.Tensor]:
    """Arrays as tensors on the device; to a GPU they go from pinned memory, so that nobody waits for the copy."""
    tensors = [torch.from_numpy(array) for array in arrays]
    kind = torch.device(device).type
    if kind == "cpu":
        return tensors
    if kind == "cuda":
        tensors = [tensor.pin_memory() for tensor in tensors]
    return [tensor.to(device, non_blocking=True) for tensor in tensors]


class LateNumbers:
    """Scalars of successive steps, read `LATE` steps after their own where the device would have to be waited for.

    `append` gives the numbers that can be read by now, with their steps; `flush` waits for all the others.
    """

    def __init__(self, device: str | torch.device) -> None:
        self._late = 0 if torch.device(device).type == "cpu" else LATE
        self._pending: deque[tuple[int, torch.Tensor, torch.cuda.Event | None]] = deque()

    def append(self, step: int, number: torch.Tensor) -> list[tuple[int, float]]:
        """Begin to copy a number to the CPU; those that are old enough."""
        number = number.detach()
        event = None
        if number.device.type == "cuda":
            held = torch.empty((), dtype=number.dtype, pin_memory=True)
            number = held.copy_(number, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        elif number.device.type != "cpu":
            number = number.to("cpu", non_blocking=True)
        self._pending.append((step, number, event))
        return self._read(self._late)

    def flush(self) -> list[tuple[int, float]]:
        """The numbers not given out yet."""
        return self._read(0)

    def _read(self, kept: int) -> list[tuple[int, float]]:
        found = []
        while len(self._pending) > kept:
            step, number, event = self._pending.popleft()
            if event is not None:
                event.synchronize()
            found.append((step, number.item()))
        return found
