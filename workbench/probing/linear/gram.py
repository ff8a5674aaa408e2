"""Running sums of texts, from which closed-form probes are solved: no activation is ever stored.

Shapes: n texts of an update, D width, K label columns, A classes of all columns side by side, C classes of one.

A text takes part in the columns that have a label for it. Texts are summed by that *pattern* of columns: the Gram
matrix of every column is a sum of a few patterns', and each text is multiplied once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from workbench.errors import WorkbenchError
from workbench.probing.linear.batch import column_slices
from workbench.probing.linear.features import one_over


@dataclass(frozen=True)
class TextSums:
    """Sums over some texts, float64. gram_DD: of x·xᵀ. total_D: of x. n: how many texts."""

    gram_DD: torch.Tensor
    total_D: torch.Tensor
    n: float

    @cached_property
    def mean_D(self) -> torch.Tensor:
        return self.total_D / self.n

    @cached_property
    def scale_D(self) -> torch.Tensor:
        """One over the standard deviation; zero for a constant feature."""
        second_D = self.gram_DD.diagonal() / self.n
        deviation_D = (second_D - self.mean_D.square()).clamp_min(0).sqrt()
        return one_over(deviation_D, second_D.sqrt())

    def gram_of(self, others: "TextSums") -> torch.Tensor:
        """The Gram matrix of other texts, centred and scaled as these texts are [D, D]."""
        cross_DD = torch.outer(self.mean_D, others.total_D)
        gram_DD = others.gram_DD - cross_DD - cross_DD.T + others.n * torch.outer(self.mean_D, self.mean_D)
        return self.scale_D[:, None] * gram_DD * self.scale_D

    @cached_property
    def standard_gram_DD(self) -> torch.Tensor:
        return self.gram_of(self)

    @cached_property
    def spectrum(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues [D] and eigenvectors [D, D] of the standardised Gram matrix."""
        values_D, vectors_DD = torch.linalg.eigh(self.standard_gram_DD)
        return values_D.clamp_min(0), vectors_DD


@dataclass(frozen=True)
class ColumnSums:
    """What a closed-form probe needs to know of one column. Columns with the same texts share `texts`.

    class_sums_CD: sum of x by class. counts_C: texts by class.
    """

    texts: TextSums
    class_sums_CD: torch.Tensor
    counts_C: torch.Tensor

    def class_sums_of(self, others: "ColumnSums") -> torch.Tensor:
        """The class sums of other texts, centred and scaled as these texts are [C, D]."""
        return (others.class_sums_CD - others.counts_C[:, None] * self.texts.mean_D) * self.texts.scale_D

    @cached_property
    def class_means_CD(self) -> torch.Tensor:
        """On standardised features."""
        return self.class_sums_of(self) / self.counts_C.clamp_min(1)[:, None]


class GramAccumulator:
    """Running sums of one feature set; `update` as often as you like, then `columns`.

    Any cut of the texts into updates gives the same sums (to float64 rounding).
    """

    def __init__(self, width: int, n_classes: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.n_classes, self.slices = tuple(n_classes), column_slices(n_classes)
        self.sums_AD = torch.zeros(sum(n_classes), width, dtype=torch.float64, device=device)
        self.counts_A = torch.zeros(sum(n_classes), dtype=torch.float64, device=device)
        self.grams: dict[tuple[bool, ...], torch.Tensor] = {}

    def update(self, features_nD: torch.Tensor, labels_nK: torch.Tensor) -> None:
        """Add texts; a label of -1 leaves a text out of that column."""
        if features_nD.shape != (len(labels_nK), self.sums_AD.shape[1]) or labels_nK.shape[1:] != (
            len(self.slices),
        ):
            raise WorkbenchError(
                f"Features {tuple(features_nD.shape)} and labels {tuple(labels_nK.shape)} do not fit an accumulator "
                f"of width {self.sums_AD.shape[1]} and {len(self.slices)} label columns."
            )
        x_nD, present_nK = features_nD.double(), labels_nK >= 0
        is_class_An = torch.cat(
            [
                labels_nK[:, k] == torch.arange(size, device=x_nD.device)[:, None]
                for k, size in enumerate(self.n_classes)
            ]
        )
        self.sums_AD += is_class_An.double() @ x_nD
        self.counts_A += is_class_An.sum(1)
        patterns, pattern_n = torch.unique(present_nK, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns.tolist()):
            if any(pattern):
                chosen_nD = x_nD[pattern_n == i] if len(patterns) > 1 else x_nD
                gram_DD = chosen_nD.T @ chosen_nD
                self.grams[tuple(pattern)] = self.grams.get(tuple(pattern), 0) + gram_DD

    def columns(self) -> list[ColumnSums]:
        """The sums of every column, over the texts that have a label in it."""
        texts: dict[tuple[bool, ...], TextSums] = {}
        found = []
        for k, where in enumerate(self.slices):
            chosen = tuple(pattern[k] for pattern in self.grams)
            if chosen not in texts:
                grams = [gram_DD for gram_DD, taken in zip(self.grams.values(), chosen, strict=True) if taken]
                empty_DD = self.sums_AD.new_zeros(self.sums_AD.shape[1], self.sums_AD.shape[1])
                gram_DD = sum(grams, start=empty_DD)
                texts[chosen] = TextSums(
                    gram_DD, self.sums_AD[where].sum(0), float(self.counts_A[where].sum())
                )
            found.append(ColumnSums(texts[chosen], self.sums_AD[where], self.counts_A[where]))
        return found
