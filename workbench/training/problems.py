"""Training on the arithmetic world: a fresh problem at every exposure, made while the step before is computed.

Shapes: B rows, T tokens.
"""

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from workbench_models import evaluating, find_logits

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe
from workbench.seeds import make_rng
from workbench.tokens.packing import IGNORED, WINDOW_STEPS, Rows, row_width
from workbench.worlds.arithmetic.sections import ArithmeticRecipe
from workbench.worlds.arithmetic.texts import ProblemText, ProblemTexts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from workbench.training.devices import Execution

SAMPLED_FOR_LENGTH = 1000
ROWS_AT_ONCE = 128
PROBLEMS_MEASURED_OFTEN, PROBLEMS_MEASURED_FINALLY = 64, 256


def make_texts(recipe: Recipe, tokenizer: "PreTrainedTokenizerFast") -> ProblemTexts:
    """The recipe's problems in the ids of a run's tokenizer."""
    return ProblemTexts(require_arithmetic(recipe), recipe.seed, tokenizer.get_vocab())


def require_arithmetic(recipe: Recipe) -> ArithmeticRecipe:
    """The recipe's arithmetic section; a recipe of another world is refused."""
    if recipe.arithmetic is None:
        raise WorkbenchError(
            f"The recipe {recipe.name!r} is not of the arithmetic world (its world is {recipe.world!r}); "
            "train one with `workbench train arithmetic-tiny`."
        )
    return recipe.arithmetic


class ProblemStream:
    """An endless sequence of rows, one problem each; row r holds problem r or, within a window of steps, another.

    In each window of WINDOW_STEPS steps, problems of like length are put into the same step, so that little is padding.
    """

    def __init__(self, texts: ProblemTexts, *, end_id: int, pad_id: int, rows_per_step: int) -> None:
        self.texts, self.end_id, self.pad_id, self.rows_per_step = texts, end_id, pad_id, rows_per_step
        self._window = lru_cache(maxsize=2)(self._make_window)

    def rows(self, start: int, number: int) -> Rows:
        """Rows start, start + 1, …, padded to the longest of them."""
        size = WINDOW_STEPS * self.rows_per_step
        chosen = [self._window(row // size)[row % size] for row in range(start, start + number)]
        width = row_width(max(len(text.ids) for text in chosen))
        ids_BT = np.full((number, width), self.pad_id, np.int64)
        targets_BT = np.full((number, width), IGNORED, np.int64)
        for b, text in enumerate(chosen):
            length = len(text.ids)
            ids = np.array(text.ids)
            ids_BT[b, :length] = ids
            targets_BT[b, : length - 1] = np.where(text.learned[1:], ids[1:], IGNORED)
            targets_BT[b, length - 1] = self.end_id
        return Rows(ids_BT, targets_BT)

    def _make_window(self, window: int) -> list[ProblemText]:
        size, rows = WINDOW_STEPS * self.rows_per_step, self.rows_per_step
        texts = [self.texts.train(index) for index in range(window * size, (window + 1) * size)]
        texts.sort(key=lambda text: len(text.ids))
        order = make_rng(self.texts.seed, "problem window", window).permutation(WINDOW_STEPS)
        return [text for step in order for text in texts[step * rows : (step + 1) * rows]]


class ProblemData:
    """What a run of the arithmetic world trains on and is measured on."""

    def __init__(self, recipe: Recipe, tokenizer: "PreTrainedTokenizerFast") -> None:
        self.recipe, self.section = recipe, require_arithmetic(recipe)
        self.texts = make_texts(recipe, tokenizer)
        self.number_ids = self.texts.encode([str(n) for n in range(self.section.problems.modulus)])
        self._measured = lru_cache(maxsize=None)(partial(self.texts.test, "measured"))
        self.stream = ProblemStream(
            self.texts,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            rows_per_step=recipe.training.rows_per_step,
        )

    def count_steps(self) -> int:
        """Steps that read the budget of tokens, by the mean length of the first problems."""
        lengths = [len(self.texts.train(index).ids) for index in range(SAMPLED_FOR_LENGTH)]
        if (longest := max(lengths)) > self.recipe.model.shape.max_length:
            raise WorkbenchError(
                f"A problem has {longest} tokens but the model reads {self.recipe.model.shape.max_length}; "
                f"set model.max_length to at least {longest}, or choose a smaller family."
            )
        mean = sum(lengths) / len(lengths)
        return max(1, math.ceil(self.section.tokens / (mean * self.recipe.training.rows_per_step)))

    def measure(
        self, model: "PreTrainedModel", execution: "Execution", mask_id: int | None, final: bool
    ) -> dict[str, Any]:
        """Share of test problems of which every number of the solution is the likeliest, what precedes it given.

        An upper bound of the share solved, in one pass: `workbench solve` lets the model write by itself.
        """
        number = PROBLEMS_MEASURED_FINALLY if final else PROBLEMS_MEASURED_OFTEN
        family = self.texts.family
        kinds: dict[str, list[int | None]] = {"in distribution": [None], "beyond": list(family.beyond)}
        found = {}
        for kind, operations in kinds.items():
            asked = [self._measured(index, operations[index % len(operations)]) for index in range(number)]
            found[kind] = round(float(self._numbers_right(model, execution, asked).mean()), 4)
        return {"numbers": found}

    @torch.inference_mode()
    def _numbers_right(
        self, model: "PreTrainedModel", execution: "Execution", texts: list[ProblemText]
    ) -> np.ndarray:
        """bool [N]: every number of the solution is the likeliest word at its place."""
        with evaluating(model):
            right = np.zeros(len(texts), bool)
            order = np.argsort([len(text.ids) for text in texts], kind="stable")
            for start in range(0, len(order), ROWS_AT_ONCE):
                here = order[start : start + ROWS_AT_ONCE]
                width = max(len(texts[n].ids) for n in here)
                ids_BT = np.full((len(here), width), self.stream.pad_id, np.int64)
                for b, n in enumerate(here):
                    ids_BT[b, : len(texts[n].ids)] = texts[n].ids
                solution_BT = np.arange(width) >= np.array([texts[n].prompt_length for n in here])[:, None]
                number_BT = np.isin(ids_BT, self.number_ids) & solution_BT
                b_N, t_N = np.nonzero(number_BT)
                with execution.autocast():
                    hidden_BTD = model.base_model(
                        input_ids=torch.from_numpy(ids_BT).to(execution.device)
                    ).last_hidden_state
                    logits_NV = find_logits(model)(hidden_BTD[b_N, t_N - 1])
                wrong_N = logits_NV.argmax(-1).cpu().numpy() != ids_BT[b_N, t_N]
                right[here] = np.bincount(b_N, wrong_N, minlength=len(here)) == 0
        return right
