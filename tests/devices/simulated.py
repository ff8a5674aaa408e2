"""A pretend accelerator, `sim`: its tensors live on the CPU, but mixing them with the CPU's is refused as a GPU does.

`torch.device("sim")` is registered with torch under PrivateUse1. A tensor on it wraps one of the CPU; every
operator runs there, after a look at where its operands are. What makes a host wait on a GPU (`item`, a copy to the
CPU, a boolean index) is counted, so that a test can say that a training step waits for nothing.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

DEVICE = "sim"
# Operators that a host must wait for, because it needs a number or a size that the device computes.
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_dim", "_unique2", "unique_consecutive",
    "is_nonzero", "item",
}  # fmt: skip
MOVING = {"_to_copy", "copy_", "_copy_from", "_copy_from_and_resize"}
# A GPU takes indices that are on the CPU (and copies them over).
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_waits: Counter[str] = Counter()


class SimulatedTensor(torch.Tensor):
    """A tensor on `sim`; `held` is its double on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "SimulatedTensor":
        with torch.inference_mode(False):  # a view of a parameter must not become an inference tensor
            wrapped: SimulatedTensor = torch.Tensor._make_wrapper_subclass(
                cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
                device=torch.device(DEVICE, 0),
            )  # fmt: skip
        return wrapped

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"SimulatedTensor({self.held!r})"

    def tolist(self) -> Any:
        """torch leaves this out for subclasses; a GPU's tensor has it, and waits."""
        _waits["tolist"] += 1
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refused, as on a GPU."""
        raise TypeError(f"can't convert {DEVICE}:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def storage(self) -> Any:
        """Savers tell tied tensors by their storage."""
        return self.held.storage()

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        """Makes `Module.to` exchange parameters in place, as it does on a GPU: tied weights stay tied."""
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *_: Any) -> "SimulatedTensor":
        return SimulatedTensor(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        parts = operator.decompose(
            *args, **kwargs
        )  # `to`, `matmul`, …: what they are made of comes here again
        return _run(operator, args, kwargs) if parts is NotImplemented else parts


def _run(operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operator on the doubles, after checking that its operands share a device."""
    name = operator.overloadpacket.__name__
    operands = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    simulated = [tensor for tensor in operands if isinstance(tensor, SimulatedTensor)]
    target = _target(name, args, kwargs, bool(simulated))
    _refuse_mixed(operator, name, args, operands, bool(simulated) or target == DEVICE)
    leaves = name == "_to_copy" and simulated and target == "cpu" and not kwargs.get("non_blocking")
    if name in WAITING or leaves:
        _waits[name] += 1
    if name == "copy_" and simulated and not isinstance(args[0], SimulatedTensor):
        _waits["copy to the CPU"] += 1
    if name in INDEXING and _has_mask(args):
        _waits["boolean index"] += 1
    if name == "_fused_sdp_choice":
        return 0  # attention written out: the device has no kernel of its own
    inside_args, inside_kwargs = pytree.tree_map_only(
        SimulatedTensor, lambda tensor: tensor.held, (args, kwargs)
    )
    if "device" in inside_kwargs:
        inside_kwargs = {**inside_kwargs, "device": torch.device("cpu")}
    if inside_kwargs.get("pin_memory"):
        inside_kwargs = {**inside_kwargs, "pin_memory": False}
    result = operator(*inside_args, **inside_kwargs)
    if target != DEVICE:
        return result
    known = {id(tensor.held): tensor for tensor in simulated}  # an operator in place gives its operand back
    return pytree.tree_map_only(
        torch.Tensor,
        lambda tensor: known.get(id(tensor)) if id(tensor) in known else SimulatedTensor(tensor),
        result,
    )


def _target(name: str, args: Any, kwargs: dict[str, Any], simulated: bool) -> str:
    """Where the result goes: to the device asked for, else to that of the operands."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type
    if name in ("copy_", "_copy_from"):
        return DEVICE if isinstance(args[0], SimulatedTensor) else "cpu"
    return DEVICE if simulated else "cpu"


def _refuse_mixed(operator: Any, name: str, args: Any, operands: list[torch.Tensor], on_device: bool) -> None:
    if name in MOVING or not on_device:
        return
    if name in INDEXING:
        operands = [tensor for tensor in (args[0], *args[2:3]) if isinstance(tensor, torch.Tensor)]
    strays = [tensor for tensor in operands if not isinstance(tensor, SimulatedTensor) and tensor.dim() > 0]
    if strays:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in strays)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {operator} got {DEVICE}:0 and, with shape "
            f"{shapes}, cpu"
        )


def _has_mask(args: Any) -> bool:
    return any(
        isinstance(index, SimulatedTensor) and index.dtype in (torch.bool, torch.uint8)
        for index in pytree.tree_leaves(args[1])
    )


def register() -> None:
    """Make the device known to torch; once a process."""
    if backend_registration._privateuse1_backend_name == DEVICE:
        return
    backend_registration._setup_privateuseone_for_python_backend(DEVICE)
    register.library = torch.library.Library("_", "IMPL")  # type: ignore[attr-defined]
    register.library.fallback(  # type: ignore[attr-defined]
        lambda operator, *args, **kwargs: _run(operator, args, kwargs), "PrivateUse1"
    )
    # `torch.tensor(…, device="sim")` copies with Python's dispatch switched off, where a fallback is not found; `eye`
    # and its like begin with an empty tensor that grows, which a wrapper cannot.
    register.named = torch.library.Library("aten", "IMPL")  # type: ignore[attr-defined]
    for name in ("copy_", "eye", "eye.m", "linspace", "randperm"):
        packet, _, overload = name.partition(".")
        operator = getattr(getattr(torch.ops.aten, packet), overload or "default")
        register.named.impl(name, _on(operator), "PrivateUse1")  # type: ignore[attr-defined]


def _on(operator: Any) -> Any:
    return lambda *args, **kwargs: _run(operator, args, kwargs)


@contextmanager
def counted_waits() -> Iterator[Counter[str]]:
    """What the host has waited for inside the block, by operator."""
    before = Counter(_waits)
    found: Counter[str] = Counter()
    yield found
    found.update(_waits - before)
