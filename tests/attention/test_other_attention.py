"""Attention that is more than queries times keys: its own patterns are read, or nothing is said of it."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    GPTNeoXConfig,
    MistralConfig,
)

from tests.attention.small_models import small_corpus, small_examples
from workbench.attention.head_scores import measure_heads
from workbench.attention.parts import open_parts
from workbench.attention.patterns import ROWS, WHOLE, choose_way
from workbench.attention.queries import QueryPass
from workbench.attention.shares import _one_hot, measure_shares, reduce_pattern
from workbench.errors import WorkbenchError

SHARED: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1,
}  # fmt: skip
CONFIGS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "plain": (GPTNeoXConfig, SHARED),
    "window": (MistralConfig, {**SHARED, "num_key_value_heads": 2, "sliding_window": 5, "head_dim": 8}),
    "capped scores": (
        Gemma2Config,
        {**SHARED, "num_key_value_heads": 2, "head_dim": 8, "attn_logit_softcapping": 0.5},
    ),
}
NO_PATTERNS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "bloom": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "falcon": (
        FalconConfig,
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True},
    ),
}


def other_model(kind: type[Any], settings: dict[str, Any]) -> Any:
    _, tokenizer = small_corpus()
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(kind(vocab_size=len(tokenizer), **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return model.eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_shares_are_those_of_the_models_own_patterns(name: str) -> None:
    model, examples = other_model(*CONFIGS[name]), small_examples()
    batch = examples.batch(np.arange(len(examples)))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        patterns = model(input_ids=batch.ids_BT, output_attentions=True).attentions
    found = measure_shares(model, examples)
    roles_BTR = _one_hot(batch.roles_BT, len(examples.legend))
    for block, pattern_BHTT in enumerate(patterns):
        index = batch.positions_BP[:, None, :, None].expand(-1, 4, -1, pattern_BHTT.shape[-1])
        shares_BHPR, _ = reduce_pattern(pattern_BHTT.gather(2, index), roles_BTR, batch.positions_BP)
        np.testing.assert_allclose(found["share"][block], shares_BHPR.mean(0).numpy(), atol=1e-5)


def test_the_fast_way_is_taken_where_it_is_right() -> None:
    examples = small_examples()
    batch = examples.batch(np.arange(len(examples)))
    ways = {name: choose_way(open_parts(other_model(*config)), batch) for name, config in CONFIGS.items()}
    assert ways["plain"] is ROWS
    assert ways["window"] is ways["capped scores"] is WHOLE


@pytest.mark.parametrize("name", NO_PATTERNS)
def test_patterns_that_nobody_hands_out_are_refused(name: str) -> None:
    with pytest.raises(WorkbenchError, match=f"'{name}'"):
        measure_shares(other_model(*NO_PATTERNS[name]), small_examples())


def test_parts_that_do_not_add_up_to_the_logits_are_refused() -> None:
    examples = small_examples()
    assert "direct" in measure_heads(other_model(*CONFIGS["plain"]), examples)
    with pytest.raises(
        WorkbenchError, match="'gemma2' what heads and feed-forward parts add does not sum up"
    ):
        measure_heads(other_model(*CONFIGS["capped scores"]), examples)


@pytest.mark.parametrize("name", [*CONFIGS, "falcon"])
def test_position_tokens_are_edited_only_where_computing_them_again_changes_nothing(name: str) -> None:
    model, examples = other_model(*(CONFIGS | NO_PATTERNS)[name]), small_examples()
    model.set_attn_implementation("eager")
    batch, parts = examples.batch(np.arange(len(examples))), open_parts(model)
    with torch.no_grad():
        if name in ("plain", "capped scores"):
            passed = QueryPass(parts, batch)
            torch.testing.assert_close(passed.run(), passed.clean_BPD, rtol=1e-3, atol=1e-3)
        else:
            with pytest.raises(WorkbenchError, match=r"computed again by itself"):
                QueryPass(parts, batch)


def test_texts_longer_than_those_that_were_tried_are_tried_again() -> None:
    """Texts within a window say nothing of longer ones, which the same model may read later."""
    kind, settings = CONFIGS["window"]
    examples = small_examples()
    short = examples.batch(np.array([int(np.argmin(examples.lengths))]))
    long = examples.batch(np.array([int(np.argmax(examples.lengths))]))
    width = short.ids_BT.shape[1]
    assert width < long.ids_BT.shape[1] - 1
    model = other_model(kind, {**settings, "sliding_window": width + 1})
    model.set_attn_implementation("eager")
    with torch.no_grad():
        passed = QueryPass(open_parts(model), short)
        torch.testing.assert_close(passed.run(), passed.clean_BPD, rtol=1e-3, atol=1e-3)
        with pytest.raises(WorkbenchError, match=r"computed again by itself"):
            QueryPass(open_parts(model), long)
