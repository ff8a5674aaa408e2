"""Retry upon regret (Part 2.2, section 4): a detector reads each sentence; a bad one is written anew.

The detector is a `can_next` probe of the network that writes, or a perfect one that looks at the graph. The first
version of a sentence is the likeliest, further ones are drawn.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.extraction.generation import generate
from workbench.probing.query_probe import FittedQueryProbe, Queries, join_names
from workbench.reasoning.solving import LONGEST_FACTOR, Solved, to_words
from workbench.worlds.arithmetic.judge import judge_solution, split_sentences
from workbench.worlds.arithmetic.properties import YES, can_be_next
from workbench.worlds.arithmetic.texts import ProblemText
from workbench.worlds.arithmetic.wording import BACK, PHRASINGS, name_parameters

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MOST_TRIES = 10
# (problem, ids read so far, name of what the next sentence computes) → whether each can come next
Detector = Callable[[Sequence[ProblemText], Sequence[np.ndarray], Sequence[tuple[str, ...]]], np.ndarray]


def name_defined(text: ProblemText, sentence: list[str]) -> tuple[str, ...] | None:
    """The name of what a sentence computes; None where it has no such form or takes something back."""
    define = PHRASINGS[text.problem.family.names].define
    if "as" not in sentence or BACK in sentence:
        return None
    return tuple(sentence[len(define) : sentence.index("as")]) or None


def perfect_detector(
    texts: Sequence[ProblemText],
    read: Sequence[np.ndarray],
    names: Sequence[tuple[str, ...]],
    words_of: Callable,
) -> np.ndarray:
    """Looks at the graph: whether everything the named parameter needs has been computed."""
    possible = []
    for text, ids, name in zip(texts, read, names, strict=True):
        numbers = {other: n for n, other in enumerate(name_parameters(text.problem))}
        known = judge_solution(text.problem, words_of(ids[text.prompt_length :])).parameters
        possible.append(name in numbers and can_be_next(text.problem, numbers[name], frozenset(known)))
    return np.array(possible, bool)


def ask(
    fitted: FittedQueryProbe,
    read: Sequence[np.ndarray],
    names: Sequence[Sequence[int]],
    classes: tuple[str, ...],
) -> list[str]:
    """What a trained probe says of one name behind each prefix."""
    if not len(read):
        return []
    vocabulary = int(fitted.model.config.vocab_size)
    queries = Queries(
        list(read),
        np.arange(len(read)),
        np.array([len(ids) for ids in read]),
        [join_names([list(name)], vocabulary) for name in names],
        np.zeros(len(read), int),
        np.zeros(len(read), bool),
        classes,
    )
    return [classes[said] for said in fitted.predict(queries, np.arange(len(read)))]


def make_detector(
    fitted: FittedQueryProbe | None, classes: tuple[str, ...], tokenizer: "PreTrainedTokenizerFast"
) -> Detector:
    """The probe as a detector; without one, the perfect detector."""
    vocabulary = tokenizer.get_vocab()

    def by_probe(
        texts: Sequence[ProblemText], read: Sequence[np.ndarray], names: Sequence[tuple[str, ...]]
    ) -> np.ndarray:
        assert fitted is not None
        ids = [[vocabulary[word] for word in name] for name in names]
        return np.array([said == YES for said in ask(fitted, read, ids, classes)], bool)

    def perfectly(
        texts: Sequence[ProblemText], read: Sequence[np.ndarray], names: Sequence[tuple[str, ...]]
    ) -> np.ndarray:
        return perfect_detector(texts, read, names, lambda ids: to_words(tokenizer, ids))

    return perfectly if fitted is None else by_probe


def solve_with_regret(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    asked: Sequence[ProblemText],
    detector: Detector,
    *,
    most_tries: int = MOST_TRIES,
    seed: int = 0,
) -> tuple[list[Solved], int]:
    """Solutions written sentence by sentence, and how many sentences were written anew.

    A sentence that the detector still refuses after `most_tries` further versions stays as it is last.
    """
    end, stop = tokenizer.eos_token_id, tokenizer.get_vocab()["."]
    read = [np.array(text.ids[: text.prompt_length]) for text in asked]
    room = [LONGEST_FACTOR * (len(text.ids) - text.prompt_length) + 8 for text in asked]
    open_ones, anew, round_ = list(range(len(asked))), 0, 0
    while open_ones:
        versions: dict[int, np.ndarray] = {}
        left = list(open_ones)
        for attempt in range(most_tries + 1):
            found = generate(
                model,
                [read[n] for n in left],
                stop_ids=[end, stop],
                max_new=max(room[n] for n in left),
                temperature=1.0 if attempt else 0.0,
                seed=seed + 1000 * round_ + attempt,
                less="a smaller --number takes less",
            )
            refused = []
            for n, tokens in zip(left, found.tokens_NM, strict=True):
                versions[n] = tokens[tokens >= 0]
            named = [
                (n, name)
                for n in left
                if (name := name_defined(asked[n], to_words(tokenizer, versions[n]))) is not None
            ]
            if named:
                possible = detector(
                    [asked[n] for n, _ in named], [read[n] for n, _ in named], [name for _, name in named]
                )
                refused = [n for (n, _), can in zip(named, possible, strict=True) if not can]
            left = refused
            if not left or attempt == most_tries:
                break
            anew += len(left)
        for n in open_ones:
            read[n] = np.concatenate([read[n], versions[n]])
            room[n] -= len(versions[n])
        open_ones = [n for n in open_ones if room[n] > 0 and versions[n][-1] != end]
        round_ += 1
    solved = []
    for text, ids in zip(asked, read, strict=True):
        words = to_words(tokenizer, ids[text.prompt_length :])
        solved.append(Solved(text, words, judge_solution(text.problem, words)))
    return solved, anew


def read_before(solved: Solved, sentence: int, encode: Callable[[list[str]], list[int]]) -> np.ndarray:
    """The ids of a problem and of the first sentences of what was written about it."""
    told = [word for one in split_sentences(solved.words)[:sentence] for word in one]
    return np.array([*solved.text.ids[: solved.text.prompt_length], *encode(told)])
