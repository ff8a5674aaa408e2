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

    centred_MND, mean_MD, scale_MD = _centre(features_MND)
    standard_MND = (centred_MND * scale_MD[:, None]).to(dtype)
    correlation_MDD = (standard_MND.transpose(1, 2) @ standard_MND).float() / features_MND.shape[1]
    axes_MDD = torch.linalg.eigh(correlation_MDD).eigenvectors
    turned_MND = standard_MND @ axes_MDD.to(dtype)
    variance_MD = turned_MND.float().square().mean(1)
    return RotatedFeatures(
        inputs_MNE=torch.nn.functional.pad(turned_MND, (0, 1), value=1.0),
        mean_MD=mean_MD,
        rotation_MDD=scale_MD[:, :, None] * axes_MDD,
        variance_ME=torch.nn.functional.pad(variance_MD, (0, 1), value=1.0),
    )


def standardise(features_MND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features with mean 0 and deviation 1 [M, N, D], their means and one over their deviations [M, D]."""
    centred_MND, mean_MD, scale_MD = _centre(features_MND)
    return centred_MND * scale_MD[:, None], mean_MD, scale_MD


def _centre(features_MND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mean_MD = features_MND.mean(1)
    centred_MND = features_MND - mean_MD[:, None]
    deviation_MD = centred_MND.square().mean(1).sqrt()
    scale_MD = torch.where(deviation_MD > FLAT * mean_MD.abs(), 1 / deviation_MD, 0.0)
    return centred_MND, mean_MD, scale_MD


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

    return bool(
        torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16")
    )
