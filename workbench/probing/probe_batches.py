"""What embedding probes read and predict, and the batches of it on a device.

Shapes: K targets, B texts of a batch, T tokens, P places per text, M = B · P, N texts.
"""

from dataclasses import dataclass

import numpy as np
import torch

from workbench.tokens.encoding import EncodedTexts
from workbench.tokens.packing import IGNORED, row_width
from workbench.training.pipelining import send


@dataclass(frozen=True)
class Readings:
    """Texts, the places to read in them, and what is to be predicted there.

    places_NP: int [N, P], token index in the text, -1 for none. labels_KN: int [K, N], -1 for none.
    valid_KNP: bool [K, N, P], the cells that are trained and scored.
    """

    texts: EncodedTexts
    places_NP: np.ndarray
    labels_KN: np.ndarray
    valid_KNP: np.ndarray


@dataclass(frozen=True)
class ProbeBatch:
    """Some texts on a device.

    ids_BT, places_BP: int64, a missing place is 0. mask_BT: bool, the tokens there are; None for a causal model, which
    never looks at padding. labels_KM: int64, IGNORED outside the valid cells. count_K: valid cells, at least 1.
    """

    ids_BT: torch.Tensor
    places_BP: torch.Tensor
    mask_BT: torch.Tensor | None
    labels_KM: torch.Tensor
    count_K: torch.Tensor


def make_batch(readings: Readings, chosen: np.ndarray, causal: bool, device: str) -> ProbeBatch:
    """Texts `chosen` (indices); a causal model reads each up to its last place, padded to a few widths alone."""
    lengths = used_lengths(readings)[chosen] if causal else readings.texts.lengths[chosen]
    width = min(row_width(int(lengths.max())), int(readings.texts.lengths.max()))
    ids_BT = np.zeros((len(chosen), width), np.int64)
    for b, (text, length) in enumerate(zip(chosen, lengths, strict=True)):
        ids_BT[b, :length] = readings.texts.text_ids(text)[:length]
    places_BP = np.maximum(readings.places_NP[chosen], 0).astype(np.int64)
    valid_KM = readings.valid_KNP[:, chosen].reshape(len(readings.labels_KN), -1)
    labels_KM = np.repeat(readings.labels_KN[:, chosen].astype(np.int64), places_BP.shape[1], axis=1)
    arrays = [ids_BT, places_BP, np.where(valid_KM, labels_KM, IGNORED), valid_KM.sum(1).clip(1)]
    if not causal:
        arrays.append(np.arange(width) < lengths[:, None])
    ids, places, labels, count, *mask = send(arrays, device)
    return ProbeBatch(ids, places, mask[0] if mask else None, labels, count)


def used_lengths(readings: Readings) -> np.ndarray:
    """[N] tokens of each text up to its last place; what comes later cannot matter to a causal model."""
    return np.asarray(readings.places_NP.max(axis=1) + 1)
