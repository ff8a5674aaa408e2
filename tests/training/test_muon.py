"""Muon: orthogonal updates, the rule of torch's own, whatever the number format and however matrices are batched."""

import pytest
import torch
from torch import nn

from workbench.training.muon import Muon, orthogonalise


def singular_values(matrices: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(matrices.double())


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 16, 24), (3, 16, 64)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int, int]) -> None:
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalise(given)
    assert singular_values(made).min() > 0.6 and singular_values(made).max() < 1.3
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    # made = u · diag · v: in the given matrix's own basis nothing stands off the diagonal
    inner = u.mT @ made @ v.mT
    assert (inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))).abs().max() < 1e-4


@pytest.mark.parametrize("columns", [16, 40, 64])
def test_the_short_way_for_wide_matrices_is_the_long_way(columns: int) -> None:
    """Singular values over six orders of magnitude, against the definition in float64."""
    generator = torch.Generator().manual_seed(1)
    given = torch.randn(4, 16, columns, generator=generator) * torch.logspace(0, -6, columns)
    x = given.double() / given.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    assert (orthogonalise(given) - x).abs().max() < 1e-3


def test_its_steps_are_those_of_torch_in_the_same_precision() -> None:
    shapes = [(16, 16), (16, 24), (24, 16), (16, 64), (64, 16), (16, 64)]
    generator = torch.Generator().manual_seed(2)
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    ours, theirs = ([nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    mine = Muon(ours, lr=1e-2, weight_decay=0.1, precision=torch.bfloat16)
    reference = torch.optim.Muon(
        theirs, lr=1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        mine.step()
        reference.step()
    for one, other, start in zip(ours, theirs, starts, strict=True):
        assert (one - start).abs().max() > 1e-2  # it has moved
        torch.testing.assert_close(one, other, atol=2e-4, rtol=0)


def test_float32_moves_the_same_way_as_bfloat16() -> None:
    generator = torch.Generator().manual_seed(3)
    gradient = torch.randn(16, 64, generator=generator)
    moved = {}
    for precision in (torch.float32, torch.bfloat16):
        parameter = nn.Parameter(torch.zeros(16, 64))
        parameter.grad = gradient
        Muon([parameter], lr=1.0, weight_decay=0.0, precision=precision).step()
        moved[precision] = parameter.detach()
    difference = moved[torch.float32] - moved[torch.bfloat16]
    assert difference.norm() < 0.02 * moved[torch.float32].norm()


def test_a_matrix_without_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(4, 4))
    Muon([parameter], lr=1.0, weight_decay=1.0, precision=torch.float32).step()
    assert torch.equal(parameter, torch.ones(4, 4))
