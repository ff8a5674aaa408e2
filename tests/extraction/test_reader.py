"""Answers of networks in which a cache, a length or company matters are those of each prompt read by itself."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.odd_models import (
    SeesAll,
    SeesBatchSize,
    SeesCompany,
    SeesLength,
    insert,
    make_long_rope,
)
from workbench.errors import WorkbenchError
from workbench.extraction.generation import generate
from workbench.extraction.reader import ReadingOn, find_reading_on
from workbench.studies.manner import one_text_a_batch

NEW = 6


def make_mamba() -> Any:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, state_size=8, initializer_range=0.4
    )
    return MambaForCausalLM(config).eval()


MODELS = {
    "sees all": lambda: insert(SeesAll()),
    "sees company": lambda: insert(SeesCompany()),
    "sees the batch": lambda: insert(SeesBatchSize()),
    "sees the length": lambda: insert(SeesLength()),
    "long rope": make_long_rope,
    "mamba": make_mamba,
}


def make_prompts(sizes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(2, 60, size).astype(np.int32) for size in sizes]


def say_alone(model: Any, prompt: np.ndarray) -> list[int]:
    """Greedy, read from the first token at every step, alone."""
    ids = prompt.tolist()
    with torch.no_grad():
        for _ in range(NEW):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("sizes", [(5, 5, 8, 8, 8), (9, 9, 11), (14, 14)])
@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_each_prompt_alone(name: str, sizes: tuple[int, ...]) -> None:
    model, prompts = MODELS[name](), make_prompts(sizes)
    said_NM = generate(model, prompts, stop_ids=[], max_new=NEW).tokens_NM
    assert said_NM.tolist() == [say_alone(model, prompt) for prompt in prompts]


@pytest.mark.parametrize("name", MODELS)
def test_beams_are_those_of_one_prompt_alone(name: str) -> None:
    prompts = make_prompts((9, 9, 11))
    together = generate(MODELS[name](), prompts, stop_ids=[3], max_new=NEW, beams=3).tokens_NM
    for n, prompt in enumerate(prompts):
        alone = generate(MODELS[name](), [prompt], stop_ids=[3], max_new=NEW, beams=3).tokens_NM
        assert together[n].tolist() == alone[0].tolist()


def test_what_was_found_of_a_model() -> None:
    prompts = make_prompts((5, 5, 8))
    found = {name: find_reading_on(make(), prompts, NEW) for name, make in MODELS.items()}
    assert found["sees company"] == found["sees the batch"] == ReadingOn(cached=False, alone=True)
    assert {found[name] for name in ("sees all", "sees the length", "long rope")} == {ReadingOn(cached=False)}


def test_what_longer_texts_show_is_tried_when_they_come() -> None:
    model = insert(SeesLength())
    assert find_reading_on(model, make_prompts((4, 4)), 3) == ReadingOn()
    assert find_reading_on(model, make_prompts((6, 10)), 6) == ReadingOn(cached=False)


def test_a_model_that_sees_what_it_is_asked_for_is_refused_where_it_reads_whole_texts() -> None:
    texts = make_prompts((9, 9, 12))
    assert not one_text_a_batch(make_long_rope(), texts, causal=True)
    assert one_text_a_batch(insert(SeesBatchSize()), texts[:2], causal=False)
    with pytest.raises(WorkbenchError, match=r"This model \(llama\) sees the tokens behind the one it reads"):
        one_text_a_batch(insert(SeesAll()), texts, causal=True)


def test_a_model_that_hands_out_no_last_state_is_refused() -> None:
    from transformers import Llama4ForCausalLM, Llama4TextConfig

    config = Llama4TextConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=32, intermediate_size_mlp=32, num_local_experts=2, pad_token_id=1, use_cache=False,
    )  # fmt: skip
    with pytest.raises(WorkbenchError, match=r"architecture 'llama4_text' hands out no last state"):
        one_text_a_batch(Llama4ForCausalLM(config).eval(), make_prompts((5, 5)), causal=True)
