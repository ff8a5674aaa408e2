"""Batched generation says token for token what `transformers.generate` says for each prompt alone."""

import numpy as np
import pytest
import torch

from tests.extraction.tiny_networks import CAUSAL, PAD, VOCABULARY, make_network
from workbench.extraction.generation import NOTHING, generate
from workbench.minutes import watching

STOPS = list(range(0, VOCABULARY, 3))
NEW = 7


def make_prompts(number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(2, VOCABULARY, 4 + i % 3).astype(np.int32) for i in range(number)]


@pytest.mark.parametrize("architecture", CAUSAL)
@pytest.mark.parametrize("beams", [1, 4])
def test_it_equals_transformers(architecture: str, beams: int) -> None:
    model = make_network(architecture)
    prompts = make_prompts(12)
    ours = generate(model, prompts, stop_ids=STOPS, max_new=NEW, beams=beams)
    ended_early = 0
    for prompt, said_M, first in zip(prompts, ours.tokens_NM, ours.first_N, strict=True):
        ids_1T = torch.from_numpy(prompt.astype(np.int64))[None]
        theirs = model.generate(
            ids_1T, attention_mask=torch.ones_like(ids_1T), max_new_tokens=NEW, num_beams=beams,
            do_sample=False, eos_token_id=STOPS, pad_token_id=PAD, use_cache=True,
        )[0, len(prompt) :].tolist()  # fmt: skip
        said = said_M[said_M != NOTHING].tolist()
        assert said == theirs
        assert (said_M[len(said) :] == NOTHING).all()
        assert first == model(ids_1T).logits[0, -1].argmax()
        ended_early += len(said) < NEW
    assert ended_early


def test_batches_do_not_change_answers() -> None:
    model = make_network("gpt2-rotary")
    prompts = make_prompts(9)
    one, all_ = (
        generate(model, prompts, stop_ids=STOPS, max_new=NEW, beams=2, tokens_per_batch=n) for n in (1, 10**6)
    )
    assert np.array_equal(one.tokens_NM, all_.tokens_NM)


def test_it_stops_at_the_end_of_the_context() -> None:
    model = make_network("gpt2")
    prompt = np.full(61, 5, np.int32)
    said = generate(model, [prompt], stop_ids=[], max_new=NEW).tokens_NM[0]
    assert (said >= 0).tolist() == [True] * 3 + [False] * 4


def test_the_model_is_left_in_the_mode_it_was_found_in() -> None:
    model = make_network("llama").train()
    generate(model, make_prompts(1), stop_ids=STOPS, max_new=2)
    assert model.training


def test_whoever_watches_is_told_how_many_prompts_are_answered() -> None:
    """334 questions to a model of 30 blocks took 107 seconds without a word."""
    told: list[tuple[str, float]] = []
    with watching(lambda what, share, left: told.append((what, round(share, 2)))):
        generate(make_network("llama"), make_prompts(9), stop_ids=STOPS, max_new=NEW)
    assert told == [("Answering 9 prompts", share) for share in (0.31, 0.64, 1.0)]
