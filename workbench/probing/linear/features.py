"""Features in the coordinates in which a batch of probes is cheap to fit.

Shapes: M feature sets, N train texts, D width, E = D + 1 (the constant feature of the intercept).
"""

from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError
from workbench.probing.linear.batch import TextSource, text_blocks
from workbench.training.processor import bf16_pays

FLAT = 1e-6  # a standard deviation below this share of the feature's size is rounding, not signal
PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True)
class RotatedFeatures:
    """Standardised features along their principal axes, with train statistics only.

    inputs_MNE: `(features - mean) @ rotation` and a last column of ones. variance_ME: their mean squares.
    An L2 penalty is the same in these coordinates as on the standardised features: the axes are orthonormal.
    """

    inputs_MNE: torch.Tensor
    mean_MD: torch.Tensor
    rotation_MDD: torch.Tensor
    variance_ME: torch.Tensor


def rotate_features(texts: TextSource, dtype: torch.dtype) -> RotatedFeatures:
    """Standardise features and turn them to their principal axes; a constant feature becomes zero.

    Texts are read three times, a block at a time; only what comes out is held whole.

    The eigenvectors of the correlation matrix make the Hessian of every probe nearly diagonal, whatever its
    labels, which is what lets all of them converge in a few steps.
    """
    (m, n, d), device = texts.shape, texts.device
    mean_MD, scale_MD = torch.empty(m, d, device=device), torch.empty(m, d, device=device)
    correlation_MDD = torch.zeros(m, d, d, device=device)
    inputs_MNE = torch.ones(m, n, d + 1, dtype=dtype, device=device)
    blocks = text_blocks(1, n, d, 4)
    for i in range(m):  # set by set, which stays in the cache
        sums = [texts.read(i, block).sum(0, dtype=torch.float64) for block in blocks]
        mean_MD[i] = torch.stack(sums).sum(0) / n
        sums = [(texts.read(i, block) - mean_MD[i]).double().square_().sum(0) for block in blocks]
        scale_MD[i] = _scale(torch.stack(sums).sum(0) / n, mean_MD[i])
        for block in blocks:
            standard_nD = ((texts.read(i, block) - mean_MD[i]).mul_(scale_MD[i])).to(dtype)
            correlation_MDD[i] += (standard_nD.T @ standard_nD).float() / n
            inputs_MNE[i, block, :-1] = standard_nD
    axes_MDD = torch.linalg.eigh(correlation_MDD).eigenvectors
    variance_ME = torch.ones(m, d + 1, device=device)
    for axes_DD, inputs_NE, variance_E in zip(axes_MDD.to(dtype), inputs_MNE, variance_ME, strict=True):
        squares_D = torch.zeros(d, device=device)
        for block in blocks:
            turned_nD = inputs_NE[block, :-1] @ axes_DD
            inputs_NE[block, :-1] = turned_nD
            squares_D += turned_nD.float().square_().sum(0)
        variance_E[:-1] = squares_D / n
    return RotatedFeatures(inputs_MNE, mean_MD, scale_MD[:, :, None] * axes_MDD, variance_ME)


def standardise(features_MND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features with mean 0 and deviation 1 [M, N, D], their means and one over their deviations [M, D]."""
    mean_MD = features_MND.mean(1, dtype=torch.float64).float()
    centred_MND = features_MND - mean_MD[:, None]
    variance_MD = torch.stack([centred_ND.double().square_().mean(0) for centred_ND in centred_MND])
    scale_MD = _scale(variance_MD, mean_MD)
    return centred_MND * scale_MD[:, None], mean_MD, scale_MD


def _scale(variance: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """One over the deviation, and zero for a constant feature. The variance is float64: the squares of numbers of size
    1e-25 or 1e25 are none in float32.
    """
    return one_over(variance.sqrt().float(), mean.abs())


def one_over(deviation: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """One over deviations, zero where they are rounding beside the features' size.

    Raises WorkbenchError for deviations of which float32, in which weights are kept, does not hold the inverse.
    """
    varies = deviation > FLAT * size
    if bool((varies & (deviation < torch.finfo(torch.float32).tiny)).any()):
        raise WorkbenchError(
            f"Features differ by {float(deviation[varies].min()):.0e}, less than float32 holds; divide them by their "
            "size before."
        )
    return torch.where(varies, 1 / deviation, 0.0)


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the processor multiplies it several times faster than float32."""

    if precision not in PRECISIONS:
        raise WorkbenchError(f"The precision is {precision!r}; expected one of {', '.join(PRECISIONS)}.")
    if precision == "auto":
        fast = bf16_pays(device.type)[0] and (device.type != "cpu" or torch.backends.mkldnn.is_available())
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32
