"""Problems as a model reads them: token ids of prompt and solution, which of them are learned.

Problem `index` of a purpose, its mistakes included, is a pure function of (recipe section, seed, purpose, index).
"""

from dataclasses import dataclass
from random import Random

from workbench.seeds import hash_to_int
from workbench.worlds.arithmetic.problem import Problem, make_problem
from workbench.worlds.arithmetic.retries import insert_retries
from workbench.worlds.arithmetic.sections import ArithmeticRecipe
from workbench.worlds.arithmetic.wording import PHRASINGS, Written, write_problem


@dataclass(frozen=True, slots=True)
class ProblemText:
    """A problem ready to be read. ids: prompt, then solution; learned: of each id, whether it is learned."""

    problem: Problem
    written: Written
    ids: list[int]
    learned: list[bool]
    prompt_length: int


class ProblemTexts:
    """Makes problems of a recipe in the ids of a word vocabulary."""

    def __init__(self, recipe: ArithmeticRecipe, seed: int, id_of: dict[str, int]) -> None:
        self.recipe, self.seed = recipe, seed
        self.family = recipe.problems
        self.id_of = id_of

    def encode(self, words: list[str]) -> list[int]:
        """Words as ids."""
        id_of = self.id_of
        return [id_of[word] for word in words]

    def train(self, index: int) -> ProblemText:
        """The problem of the index-th exposure: of a train template, with the recipe's mistakes."""
        problem = make_problem(self.family, self.seed, "train", index, split="train")
        return self.write(problem, index)

    def test(self, purpose: str, index: int, operations: int | None = None) -> ProblemText:
        """A problem of a test template, without mistakes."""
        problem = make_problem(self.family, self.seed, purpose, index, split="test", operations=operations)
        return self.write(problem, None)

    def write(self, problem: Problem, index: int | None) -> ProblemText:
        """The text of a problem; with an index, with that exposure's mistakes."""
        recipe = self.recipe
        written = write_problem(problem)
        prompt = written.prompt(recipe.order)
        words, learned = list(prompt), [recipe.loss == "all"] * len(prompt)
        if index is None or recipe.retry == "none":
            for sentence in written.solution:
                words += sentence
            learned += [True] * (len(words) - len(learned))
        else:
            rng = Random(hash_to_int(self.seed, "arithmetic retries", index))
            before = len(PHRASINGS[self.family.names].define)
            for wrong, sentence in insert_retries(problem, written, recipe.retry, recipe.retry_rate, rng):
                words += sentence
                masked = sentence.index("as") - before if wrong and recipe.retry_masked else 0
                learned += [True] * before + [False] * masked + [True] * (len(sentence) - before - masked)
        return ProblemText(problem, written, self.encode(words), learned, len(prompt))
