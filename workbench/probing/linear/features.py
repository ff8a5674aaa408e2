"""Features in the coordinates in which a batch of probes is cheap to fit.

Shapes: M feature sets, N train texts, D width, E = D + 1 (the constant feature of the intercept).
"""

from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError

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


def rotate_features(features_MND: torch.Tensor, dtype: torch.dtype) -> RotatedFeatures:
    """Standardise features and turn them to their principal axes; a constant feature becomes zero.

    The eigenvectors of the correlation matrix make the Hessian of every probe nearly diagonal, whatever its
    labels, which is what lets all of them converge in a few steps.
    """
    m, n, d = features_MND.shape
    mean_MD, scale_MD = features_MND.mean(1), features_MND.new_empty(m, d)
    standard_MND = torch.empty(features_MND.shape, dtype=dtype, device=features_MND.device)
    for features_ND, mean_D, scale_D, standard_ND in zip(
        features_MND, mean_MD, scale_MD, standard_MND, strict=True
    ):
        centred_ND = features_ND - mean_D  # set by set, which stays in the cache
        scale_D.copy_(_scale(centred_ND.square().mean(0), mean_D))
        standard_ND.copy_(centred_ND.mul_(scale_D))
    correlation_MDD = (standard_MND.transpose(1, 2) @ standard_MND).float() / n
    axes_MDD = torch.linalg.eigh(correlation_MDD).eigenvectors
    inputs_MNE = standard_MND.new_ones(m, n, d + 1)
    variance_ME = features_MND.new_ones(m, d + 1)
    for standard_ND, axes_DD, inputs_NE, variance_E in zip(
        standard_MND, axes_MDD.to(dtype), inputs_MNE, variance_ME, strict=True
    ):
        turned_ND = standard_ND @ axes_DD
        inputs_NE[:, :-1] = turned_ND
        variance_E[:-1] = turned_ND.float().square_().mean(0)
    return RotatedFeatures(inputs_MNE, mean_MD, scale_MD[:, :, None] * axes_MDD, variance_ME)


def standardise(features_MND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features with mean 0 and deviation 1 [M, N, D], their means and one over their deviations [M, D]."""
    mean_MD = features_MND.mean(1)
    centred_MND = features_MND - mean_MD[:, None]
    scale_MD = _scale(centred_MND.square().mean(1), mean_MD)
    return centred_MND * scale_MD[:, None], mean_MD, scale_MD


def _scale(variance: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """One over the deviation, and zero for a constant feature."""
    deviation = variance.sqrt()
    return torch.where(deviation > FLAT * mean.abs(), 1 / deviation, 0.0)


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the processor multiplies it several times faster than float32."""

    if precision not in PRECISIONS:
        raise WorkbenchError(f"The precision is {precision!r}; expected one of {', '.join(PRECISIONS)}.")
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            fast = device.type == "cpu" and torch.backends.mkldnn.is_available() and _cpu_has_bf16()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
