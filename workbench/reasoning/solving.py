"""A model's solutions of test problems, judged: accuracy by operations (Part 2.1, Figure 3).

Prompts of one length share a batch of the cached generator; problems are ordered so that many do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.extraction.generation import generate
from workbench.seeds import hash_to_int
from workbench.worlds.arithmetic.judge import KINDS, Verdict, judge_solution
from workbench.worlds.arithmetic.problem import ask_again, has_templates
from workbench.worlds.arithmetic.texts import ProblemText, ProblemTexts

if TYPE_CHECKING:
    import xarray as xr
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from workbench.studies.checkpoints import Checkpoint
    from workbench.studies.runs import Run

REASK = "reask"
TOLD = ("fault_told", "n_fault", "unnecessary_told", "n_unnecessary")
LONGEST_FACTOR = 2  # a solution may be so many times as long as the shortest before it is cut


@dataclass(frozen=True)
class Solved:
    """A test problem, what the model wrote (words), and the verdict."""

    text: ProblemText
    words: list[str]
    verdict: Verdict


def choose_sets(texts: ProblemTexts, operations: str | None = None) -> dict[str, int | None]:
    """The test sets of a family: each number of operations in distribution, beyond it, and *reask* (None).

    Numbers of operations without a test template are left out.

    operations: only these, such as `4,5,reask`.
    """
    family = texts.family
    every = (*range(1, family.operations + 1), *family.beyond)
    known = [str(n) for n in every if has_templates(family, n, "test")]
    names = [*known, REASK] if operations is None else [part.strip() for part in operations.split(",")]
    sets: dict[str, int | None] = {}
    for name in names:
        if name != REASK and not name.isdecimal():
            raise WorkbenchError(
                f"{name!r} is no number of operations; give numbers such as 3,5 or `{REASK}`."
            )
        sets[name] = None if name == REASK else int(name)
    return sets


def make_set(texts: ProblemTexts, name: str, operations: int | None, number: int) -> list[ProblemText]:
    """Test problems of so many operations; for *reask*, problems of the most operations with another query."""
    if operations is not None:
        return [texts.test(f"test {name}", index, operations) for index in range(number)]
    rng, index = Random(hash_to_int(texts.seed, "reask")), 0
    made: list[ProblemText] = []
    while len(made) < number:
        problem = texts.test("test reask", index, texts.family.operations).problem
        index += 1
        if (other := ask_again(problem, rng)) is not None:
            made.append(texts.write(other, None))
    return made


def solve(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    asked: Sequence[ProblemText],
    *,
    beams: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Solved]:
    """Let a model write solutions and judge them. temperature: 0 is greedy; 1 draws as the model says."""
    longest = max(len(text.ids) - text.prompt_length for text in asked)
    found = generate(
        model,
        [np.array(text.ids[: text.prompt_length]) for text in asked],
        stop_ids=[tokenizer.eos_token_id],
        max_new=LONGEST_FACTOR * longest + 8,
        beams=beams,
        temperature=temperature,
        seed=seed,
        less="a smaller --number takes less",
    )
    solved = []
    for text, tokens in zip(asked, found.tokens_NM, strict=True):
        words = to_words(tokenizer, tokens)
        solved.append(Solved(text, words, judge_solution(text.problem, words)))
    return solved


def to_words(tokenizer: "PreTrainedTokenizerFast", tokens: np.ndarray) -> list[str]:
    """Generated ids as words, up to the end."""
    kept = [int(token) for token in tokens if token >= 0 and token != tokenizer.eos_token_id]
    return list(tokenizer.convert_ids_to_tokens(kept))


def score_solved(solved: Sequence[Solved]) -> dict[str, float]:
    """Counts and means of one set: right, shortest, kinds of faults, unnecessary parameters, retries."""
    verdicts = [one.verdict for one in solved]
    right = [verdict for verdict in verdicts if verdict.right]
    scores: dict[str, float] = {
        "n": len(verdicts),
        "right": len(right),
        "shortest": sum(verdict.shortest for verdict in verdicts),
        "retries": float(np.mean([len(verdict.retries) for verdict in verdicts])),
        "unnecessary": float(np.mean([len(verdict.unnecessary) for verdict in right]))
        if right
        else float("nan"),
    }
    return scores | {f"fault {kind}": sum(verdict.kind == kind for verdict in verdicts) for kind in KINDS}


def make_solving_dataset(
    run: "Run",
    checkpoint: "Checkpoint",
    scores: dict[str, dict[str, float]],
    family: str,
    settings: dict[str, object],
    variant: str = "",
) -> "xr.Dataset":
    """The labelled array of one checkpoint's solutions, dims (operations) and (operations, fault).

    accuracy: right solutions; shortest: right ones with nothing unnecessary; unnecessary: parameters too many in a
    right one; retries: taken back in one; anew: sentences that regret had written again; fault_told: how often
    `can_next` said no at the first wrong sentence; unnecessary_told: how often `nece` said no of one too many.
    """
    import xarray as xr

    from workbench.results.provenance import make_attrs
    from workbench.results.statistics import wilson_interval

    names = list(scores)
    column = {key: np.array([scores[name][key] for name in names]) for key in scores[names[0]]}
    low, high = wilson_interval(column["right"], column["n"])
    return xr.Dataset(
        {
            "accuracy": ("operations", column["right"] / column["n"]),
            "n": ("operations", column["n"].astype(int)),
            "chance": ("operations", np.full(len(names), 0.0)),
            "ci_low": ("operations", low),
            "ci_high": ("operations", high),
            "shortest": ("operations", column["shortest"] / column["n"]),
            "unnecessary": ("operations", column["unnecessary"]),
            "retries": ("operations", column["retries"]),
            "anew": ("operations", column["anew"]),
            **{key: ("operations", column[key]) for key in TOLD if key in column},
            "faults": (
                ("operations", "fault"),
                np.stack([column[f"fault {kind}"] for kind in KINDS], 1).astype(int),
            ),
        },
        coords={"operations": names, "fault": list(KINDS), "checkpoint": checkpoint.step},
        attrs=make_attrs(
            kind="solving",
            family=family,
            variant=variant,
            run=run,
            checkpoint=checkpoint,
            settings=settings,
        ),
    )
