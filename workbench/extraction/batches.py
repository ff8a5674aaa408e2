"""Which questions a finetuning step sees: as many of each attribute, a pure function of (seed, step).

Shapes: B rows, T tokens.
"""

from functools import lru_cache
from typing import Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.extraction.asking import AskableQuestions
from workbench.seeds import make_rng
from workbench.tokens.packing import IGNORED, Rows, row_width

Loss = Literal["answer", "all"]


class QuestionBatches:
    """An endless sequence of batches over some questions (indices `chosen`).

    Each attribute's questions come in epochs of their own, each in a new order drawn from (seed, attribute,
    epoch); a step takes the next few of every attribute. Targets are the answer with its full stop and
    end-of-text, or every token with loss `all`; for a bidirectional model (`mask_id`) the answer is masked.
    """

    def __init__(
        self,
        questions: AskableQuestions,
        chosen: np.ndarray,
        *,
        questions_per_step: int,
        seed: int,
        end_id: int,
        pad_id: int,
        loss: Loss = "answer",
        mask_id: int | None = None,
    ) -> None:
        if mask_id is not None and loss == "all":
            raise WorkbenchError(
                "A bidirectional model learns the masked answer only; use the loss 'answer', not 'all'."
            )
        attributes = questions.encoded.attribute[chosen]
        self.present = np.unique(attributes)
        if questions_per_step % len(self.present):
            fitting = max(1, round(questions_per_step / len(self.present))) * len(self.present)
            raise WorkbenchError(
                f"{questions_per_step} questions a step cannot hold as many of each of the "
                f"{len(self.present)} attributes; use {fitting}."
            )
        self.questions, self.seed, self.loss = questions, seed, loss
        self.end_id, self.pad_id, self.mask_id = end_id, pad_id, mask_id
        self.each = questions_per_step // len(self.present)
        self._of = {int(attribute): chosen[attributes == attribute] for attribute in self.present}
        self._order = lru_cache(maxsize=2 * len(self.present))(self._make_order)

    def questions_of(self, step: int) -> np.ndarray:
        """Indices of the questions of a step (from 0), attribute by attribute."""
        picked = []
        for attribute, members in self._of.items():
            places = np.arange(step * self.each, (step + 1) * self.each)
            epochs, within = np.divmod(places, len(members))
            picked += [
                self._order(attribute, int(epoch))[place] for epoch, place in zip(epochs, within, strict=True)
            ]
        return np.array(picked)

    def rows(self, step: int) -> Rows:
        """The batch of a step, padded on the right."""
        encoded = self.questions.encoded
        chosen = self.questions_of(step)
        width = row_width(int(encoded.lengths[chosen].max()))
        ids_BT = np.full((len(chosen), width), self.pad_id, np.int64)
        targets_BT = np.full((len(chosen), width), IGNORED, np.int64)
        for b, n in enumerate(chosen):
            ids = encoded.text_ids(n)
            start, end, length = int(encoded.answer_start[n]), int(encoded.answer_end[n]), len(ids)
            ids_BT[b, :length] = ids
            if self.mask_id is not None:
                ids_BT[b, start:end] = self.mask_id
                targets_BT[b, start:end] = ids[start:end]
                continue
            first = start - 1 if self.loss == "answer" else 0
            targets_BT[b, first : length - 1] = ids[first + 1 :]
            targets_BT[b, length - 1] = self.end_id
        return Rows(ids_BT, targets_BT)

    def _make_order(self, attribute: int, epoch: int) -> np.ndarray:
        members = self._of[attribute]
        return make_rng(self.seed, "questions", attribute, epoch).permutation(members)
