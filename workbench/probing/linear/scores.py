"""What a probe's answers are worth: accuracy and what must stand beside it.

Shapes: M feature sets, N texts, K label columns, A classes of all columns side by side, C classes, P entities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workbench.probing.linear.batch import equal_runs
from workbench.results.statistics import wilson_interval

TOP = 5
CALIBRATION_BINS = 15
RESAMPLES = 1000


@dataclass(frozen=True)
class Answers:
    """A probe's answers. predicted_MKN: classes. in_top_MKN: whether the label is among its five most likely.

    confidence_MKN: the probability it gives to its answer. None where a probe does not say.
    """

    predicted_MKN: torch.Tensor
    in_top_MKN: torch.Tensor | None = None
    confidence_MKN: torch.Tensor | None = None


def read_answers(
    logits_MAN: torch.Tensor, labels_MKN: torch.Tensor, n_classes: Sequence[int], *, probabilities: bool
) -> Answers:
    """From logits to answers. A label of -1 is allowed, and what is read there means nothing."""
    predicted, in_top, confidence = [], [], []
    for run in equal_runs(n_classes):
        logits_MKCN = logits_MAN[:, run.classes].unflatten(1, (-1, run.size))
        best_MK1N = logits_MKCN.amax(2, keepdim=True)
        # The largest index among the best: with small integers ten times faster than argmax across a strided axis.
        small = torch.uint8 if run.size <= 256 else torch.int16
        classes_C1 = torch.arange(run.size, device=logits_MAN.device).to(small)[:, None]
        is_best_MKCN = (logits_MKCN >= best_MK1N).view(torch.uint8)
        predicted.append((is_best_MKCN * classes_C1).amax(2).long())
        labels_MK1N = labels_MKN[:, run.columns, None]
        true_MK1N = logits_MKCN.gather(2, labels_MK1N.clamp(0, run.size - 1))
        known_MKN = labels_MK1N[:, :, 0] < run.size
        in_top.append((_how_many(logits_MKCN >= true_MK1N) <= TOP) & known_MKN)
        if probabilities:
            confidence.append(1 / (logits_MKCN - best_MK1N).exp_().sum(2))
    return Answers(
        torch.cat(predicted, 1), torch.cat(in_top, 1), torch.cat(confidence, 1) if probabilities else None
    )


def join_answers(parts: Sequence[Answers]) -> Answers:
    """Answers of blocks of texts, one after another."""

    def join(tensors: list[torch.Tensor | None]) -> torch.Tensor | None:
        known = [tensor for tensor in tensors if tensor is not None]
        return torch.cat(known, -1) if known else None

    predicted_MKN = torch.cat([part.predicted_MKN for part in parts], -1)
    return Answers(
        predicted_MKN,
        join([part.in_top_MKN for part in parts]),
        join([part.confidence_MKN for part in parts]),
    )


def count_right(logits_MAN: torch.Tensor, labels_MKN: torch.Tensor, n_classes: Sequence[int]) -> torch.Tensor:
    """How many labels get the largest logit of their column, alone [M, K]."""
    right = []
    for run in equal_runs(n_classes):
        logits_MKCN = logits_MAN[:, run.classes].unflatten(1, (-1, run.size))
        labels = labels_MKN[:, run.columns]
        true_MK1N = logits_MKCN.gather(2, labels[:, :, None].clamp(0, run.size - 1))
        right.append(((_how_many(logits_MKCN >= true_MK1N) == 1) & (labels >= 0)).sum(-1))
    return torch.cat(right, 1)


def score_answers(
    answers: Answers,
    labels_MKN: torch.Tensor,
    counted_MKN: torch.Tensor,
    is_next_MKN: torch.Tensor | None,
    n_classes: int,
) -> dict[str, np.ndarray]:
    """Scores over the texts with a label, each float64 [M, K] and NaN where there is no text.

    counted_MKN: which texts count. is_next_MKN: texts that accuracy_not_next leaves out (None: none is).
    chance is the accuracy of the majority class on these same texts.
    """
    right_MKN = (answers.predicted_MKN == labels_MKN) & counted_MKN
    n_MK = counted_MKN.sum(-1).double()
    other_MKN = counted_MKN if is_next_MKN is None else counted_MKN & ~is_next_MKN
    n_other_MK = other_MKN.sum(-1).double()
    per_class_MKC = _count(labels_MKN, counted_MKN, n_classes)
    scores = {
        "n": n_MK,
        "right": right_MKN.sum(-1),
        "accuracy": right_MKN.sum(-1) / n_MK,
        "n_not_next": n_other_MK,
        "accuracy_not_next": (right_MKN & other_MKN).sum(-1) / n_other_MK,
        "chance": per_class_MKC.amax(-1) / n_MK,
        "macro_f1": _macro_f1(answers.predicted_MKN, counted_MKN, right_MKN, per_class_MKC),
    }
    if answers.in_top_MKN is not None:
        scores["top5"] = (answers.in_top_MKN & counted_MKN).sum(-1) / n_MK
    if answers.confidence_MKN is not None:
        scores["ece"] = _calibration_error(answers.confidence_MKN, right_MKN, counted_MKN)
    return {name: values.double().cpu().numpy() for name, values in scores.items()}


def interval_by_entity(
    right_MKN: torch.Tensor,
    counted_MKN: torch.Tensor,
    entities_N: np.ndarray,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A bootstrap interval for all columns at once: whole entities are redrawn [M, K].

    Wilson's interval of as many answers as entities where all texts are answered right, or none.
    """
    ids, entity_N = np.unique(entities_N, return_inverse=True)
    m, k, _ = right_MKN.shape
    sums = []
    for values_MKN in (right_MKN, counted_MKN):
        sums_MKP = torch.zeros(m, k, len(ids), device=values_MKN.device)
        index_N = torch.from_numpy(entity_N).to(values_MKN.device)
        sums.append(sums_MKP.index_add_(2, index_N, values_MKN.float()).flatten(0, 1).T)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=RESAMPLES)
    weights_SP = torch.from_numpy(drawn.astype(np.float32)).to(right_MKN.device)
    shares = ((weights_SP @ sums[0]) / (weights_SP @ sums[1])).double().cpu().numpy()
    low, high = np.nanquantile(shares, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    # Where all is right, or wrong, there is nothing to redraw: as many independent answers as entities say more.
    right, rows = (part.sum(0).cpu().numpy() for part in sums)
    seen = (sums[1] > 0).sum(0).cpu().numpy()
    ends = wilson_interval(np.where(right == rows, seen, 0), seen, level)
    one_sided = (right == rows) | (right == 0)
    low, high = (np.where(one_sided, end, drawn) for end, drawn in zip(ends, (low, high), strict=True))
    return low.reshape(m, k), high.reshape(m, k)


def _how_many(mask_MKCN: torch.Tensor) -> torch.Tensor:
    """Along the classes [M, K, N]; in bytes where they suffice, since torch sums booleans by way of int64."""
    if mask_MKCN.shape[2] < 256:
        return mask_MKCN.view(torch.uint8).sum(2, dtype=torch.uint8)
    return mask_MKCN.sum(2)


def _count(classes_MKN: torch.Tensor, counted_MKN: torch.Tensor, n_classes: int) -> torch.Tensor:
    """How many counted texts fall on each class: float32 [M, K, C]."""
    counts_MKC = torch.zeros(*classes_MKN.shape[:2], n_classes, device=classes_MKN.device)
    return counts_MKC.scatter_add_(2, classes_MKN.clamp_min(0), counted_MKN.float())


def _macro_f1(
    predicted_MKN: torch.Tensor, counted_MKN: torch.Tensor, right_MKN: torch.Tensor, true_MKC: torch.Tensor
) -> torch.Tensor:
    """Mean F1 over the classes that are a label or an answer (scikit-learn's `f1_score(average="macro")`)."""
    n_classes = true_MKC.shape[-1]
    answered_MKC = _count(predicted_MKN, counted_MKN, n_classes)
    hit_MKC = _count(predicted_MKN, right_MKN, n_classes)
    total_MKC = true_MKC + answered_MKC
    return (2 * hit_MKC.double() / total_MKC.clamp_min(1)).sum(-1) / (total_MKC > 0).sum(-1)


def _calibration_error(
    confidence_MKN: torch.Tensor, right_MKN: torch.Tensor, counted_MKN: torch.Tensor
) -> torch.Tensor:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, eq. 3)."""
    bins_MKN = (confidence_MKN * CALIBRATION_BINS).long().clamp(0, CALIBRATION_BINS - 1)
    gap_MKN = (confidence_MKN - right_MKN.float()) * counted_MKN
    gaps_MKB = torch.zeros(*bins_MKN.shape[:2], CALIBRATION_BINS, device=bins_MKN.device)
    return gaps_MKB.scatter_add_(2, bins_MKN, gap_MKN).abs().sum(-1).double() / counted_MKN.sum(-1)
