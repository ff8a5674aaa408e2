"""What a rewriting will take, before it is paid for: prompts, tokens, money, hours; and an 8B model on one GPU.

The GPU's hours follow from its data sheet: reading prompts is bound by products, writing answers by memory, for every
step reads all weights and the cache of every text in the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from workbench.rewriting.budget import Measured, Prices, expected_answers, measure
from workbench.rewriting.prompts import Prompt
from workbench.rewriting.work import State

SAMPLED = 200
TOKENS_PER_WORD = 1.4  # of English with names and dates, where nothing has been measured yet


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet. flops: dense bf16 a second; bandwidth: bytes a second; reached: shares in practice."""

    name: str
    flops: float
    bandwidth: float
    reached_flops: float = 0.5
    reached_bandwidth: float = 0.6


@dataclass(frozen=True)
class Network:
    """A model as far as its cost goes. cache_bytes: keys and values of one token; parameters in 2 bytes each."""

    parameters: float
    cache_bytes: float


H100 = Gpu("H100", 989e12, 3.35e12)
A100 = Gpu("A100", 312e12, 2.04e12)
LLAMA_8B = Network(8.03e9, 2 * 32 * 8 * 128 * 2)  # layers, key-value heads, width of each, bytes


def gpu_hours(
    network: Network,
    gpu: Gpu,
    answers: float,
    prompt_tokens: float,
    answer_tokens: float,
    batch: int = 128,
) -> float:
    """Hours of one GPU for so many answers, `batch` at a time, none of a prompt being shared."""
    products = gpu.flops * gpu.reached_flops
    reading = answers * prompt_tokens * 2 * network.parameters / products
    held = batch * (prompt_tokens + answer_tokens / 2) * network.cache_bytes
    step = max(
        (2 * network.parameters + held) / (gpu.bandwidth * gpu.reached_bandwidth),
        2 * network.parameters * batch / products,
    )
    writing = answers / batch * answer_tokens * step
    return (reading + writing) / 3600


def estimate(state: State, batch: int, prices: Prices, count: Callable[[Prompt], int]) -> dict[str, Any]:
    """What is left to be asked, by a sample of its prompts and what the journal has measured.

    acceptance is None where nothing was answered yet: then each text counts as accepted at once, the least there is.
    """
    order = state.order
    left = sum(
        state.accepted(entity, text) is None and (entity, text, order.attempts - 1) not in state.lines
        for entity in state.askable
        for text in range(order.per_entity)
    )
    measured = measure(state.judged_lines())
    waiting = (request for requests in state.rounds(batch) for request in requests)
    prompts = [request.prompt for request in islice(waiting, SAMPLED)]
    prompt_tokens = sum(map(count, prompts)) / max(1, len(prompts))
    answer_tokens = measured.answer_tokens if measured else TOKENS_PER_WORD * sum(order.checker.words) / 2
    acceptance = measured.acceptance if measured else None
    answers = expected_answers(left, order.attempts, 1.0 if acceptance is None else acceptance)
    return {
        "texts left": left,
        "answers": round(answers),
        "tokens": {
            "a prompt": round(prompt_tokens, 1),
            "an answer": round(answer_tokens, 1),
            "prompts": round(answers * prompt_tokens),
            "answers": round(answers * answer_tokens),
        },
        "money": round(prices.of(answers * prompt_tokens, answers * answer_tokens), 2),
        "hours": round(answers * measured.seconds / 3600, 2) if measured else None,
        "hours of one H100 with 8B": round(
            gpu_hours(LLAMA_8B, H100, answers, prompt_tokens, answer_tokens), 3
        ),
        "acceptance": None if acceptance is None else round(acceptance, 4),
        "measured on": measured.answers if measured else 0,
        "first prompt": prompts[0].messages if prompts else [],
    }


__all__ = ["A100", "H100", "LLAMA_8B", "Gpu", "Measured", "Network", "estimate", "gpu_hours"]
