"""What fitted probes answer on train and test texts, read a block at a time.

Shapes: M feature sets, N texts, D width, K label columns, A classes of all columns side by side.
"""

from collections.abc import Sequence

import torch

from workbench.probing.linear.batch import ABSENT, FittedBatch, TextSource, text_blocks
from workbench.probing.linear.columns import Columns
from workbench.probing.linear.custom import CellProbe, fit_and_predict
from workbench.probing.linear.inputs import ProbeInputs
from workbench.probing.linear.scores import Answers, count_right, join_answers, read_answers


def answer_in_blocks(
    fitted: FittedBatch,
    n_classes: tuple[int, ...],
    train: TextSource,
    test: TextSource,
    train_labels_MKN: torch.Tensor,
    test_labels_MKN: torch.Tensor,
) -> tuple[Answers, torch.Tensor]:
    """A batched probe's answers, and how many train texts it gets right [M, K]; logits of a block at a time."""
    n_classes_all, width = sum(n_classes), train.shape[-1]

    def blocks(texts: TextSource) -> list[slice]:
        m, n, _ = texts.shape
        return text_blocks(m, n, n_classes_all + width, 4)

    def logits(texts: TextSource, block: slice) -> torch.Tensor:
        sets = [texts.read(m, block) for m in range(texts.shape[0])]
        return fitted.logits(torch.stack(sets))

    parts = [
        read_answers(
            logits(test, block), test_labels_MKN[..., block], n_classes, probabilities=fitted.probabilities
        )
        for block in blocks(test)
    ]
    right = [
        count_right(logits(train, block), train_labels_MKN[..., block], n_classes) for block in blocks(train)
    ]
    return join_answers(parts), torch.stack(right).sum(0)


def answer_one_by_one(
    inputs: ProbeInputs,
    columns: Columns,
    probe: CellProbe,
    sets: Sequence[int],
    train: TextSource,
    test: TextSource,
    train_labels_MNK: torch.Tensor,
    counted_MKN: torch.Tensor,
) -> tuple[Answers, torch.Tensor, torch.Tensor]:
    """A custom probe's answers, how many train texts it gets right [M, K], and whether it converged [M, K].

    Empty cells are not fitted.
    """
    train_right_MK = torch.zeros(counted_MKN.shape[:2])
    converged_MK = torch.ones(counted_MKN.shape[:2], dtype=torch.bool)
    predicted_MKN = torch.full(counted_MKN.shape, ABSENT)
    confidence_MKN = torch.full(counted_MKN.shape, torch.nan)
    in_top_MKN = torch.zeros(counted_MKN.shape, dtype=torch.bool)
    gives_probabilities = True
    test_labels_NK = columns.labels_NK[inputs.test_N]
    for i, m in enumerate(sets):
        train_ND, test_ND = (texts.read(i, slice(None)).cpu().numpy() for texts in (train, test))
        for k, target in enumerate(columns.target_K):
            counted_N = counted_MKN[i, k].cpu().numpy()
            if not counted_N.any():
                continue
            labels_N = train_labels_MNK[i, :, k].cpu().numpy()
            kept = labels_N >= 0
            where = f"{inputs.name(m)}, target {inputs.targets[target]!r}"
            train_answers, test_answers, more, converged_MK[i, k] = fit_and_predict(
                probe, columns.seeds[k], where, train_ND[kept], labels_N[kept], test_ND[counted_N]
            )
            train_right_MK[i, k] = int((train_answers == labels_N[kept]).sum())
            counted = torch.from_numpy(counted_N)
            predicted_MKN[i, k, counted] = torch.from_numpy(test_answers)
            gives_probabilities &= bool(more)
            if more:
                in_top = (more["top"] == test_labels_NK[counted_N, k][:, None]).any(1)
                in_top_MKN[i, k, counted] = torch.from_numpy(in_top)
                confidence_MKN[i, k, counted] = torch.from_numpy(more["confidence"]).float()
    more_scores = (in_top_MKN, confidence_MKN.nan_to_num()) if gives_probabilities else (None, None)
    return Answers(predicted_MKN, *more_scores), train_right_MK, converged_MK
