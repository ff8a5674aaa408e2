"""The simulated device behaves as a GPU's does where it matters: it computes, it refuses, it counts waiting."""

import numpy as np
import pytest
import torch

from tests.devices.simulated import counted_waits


def test_it_computes_what_the_cpu_computes_forwards_and_backwards(sim: str) -> None:
    weights = torch.randn(4, 3)
    found = weights.to(sim).requires_grad_()
    wanted = weights.clone().requires_grad_()
    for leaf in (found, wanted):
        (torch.softmax(leaf @ leaf.T, -1).log().diagonal().sum()).backward()
    assert found.grad is not None
    assert wanted.grad is not None
    assert found.grad.device.type == sim
    torch.testing.assert_close(found.grad.cpu(), wanted.grad)


def test_operands_of_two_devices_are_refused_in_any_order(sim: str) -> None:
    there, here = torch.ones(3, device=sim), torch.ones(3)
    for mix in (
        lambda: there + here, lambda: here + there, lambda: there @ here, lambda: torch.cat([here, there]),
        lambda: torch.where(here > 0, there, 0.0), lambda: there.add_(here), lambda: here.add_(there),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix()
    with pytest.raises(TypeError, match="to numpy"):
        np.asarray(there)


def test_what_a_gpu_allows_is_allowed(sim: str) -> None:
    there = torch.arange(6, device=sim).reshape(2, 3)
    assert (there + torch.tensor(1)).sum().item() == 21  # a scalar may be anywhere
    assert there[torch.tensor([1])].tolist() == [[3, 4, 5]]  # so may an index
    assert there[:, [0, 2]].tolist() == [[0, 2], [3, 5]]
    assert there.new_zeros(2).device.type == sim


def test_waiting_is_counted(sim: str) -> None:
    there = torch.arange(4.0, device=sim)
    with counted_waits() as waits:
        there.mul_(2).sum()
        there.to("cpu", non_blocking=True)
    assert sum(waits.values()) == 0
    with counted_waits() as waits:
        there.sum().item()
        there.cpu()
        there[there > 2]
        bool((there > 2).any())
    assert dict(waits) == {"_local_scalar_dense": 2, "_to_copy": 1, "boolean index": 1}


def test_tied_weights_stay_tied(sim: str) -> None:
    first, second = torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False)
    second.weight = first.weight
    both = torch.nn.ModuleList([first, second]).to(sim)
    assert both[0].weight is both[1].weight
    assert both[0].weight.device.type == sim
