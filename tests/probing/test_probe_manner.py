"""Embedding probes read what the network reads of each text by itself, or refuse."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, OPTConfig, OPTForCausalLM

from tests.activations.odd_models import (
    Nothing,
    SeesAll,
    SeesCompany,
    SeesLength,
    insert,
    make_long_rope,
)
from tests.activations.tiny_models import make_tiny
from workbench.errors import WorkbenchError
from workbench.probing.embedding_probe import ProbeSettings, fit_embedding_probes
from workbench.probing.probe_batches import Readings
from workbench.probing.probe_manner import find_probe_manner
from workbench.tokens.encoded import EncodedTexts
from workbench.training.devices import Execution

CPU = Execution("cpu", bf16=False, attention="sdpa", compile=False)
SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def make_readings(lengths: tuple[int, ...], at: int = 2) -> Readings:
    """Texts of random tokens, each read at its token `at`; a label for each."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, 60, sum(lengths)).astype(np.int32)
    offsets, n = np.cumsum([0, *lengths]), len(lengths)
    texts = EncodedTexts(ids, offsets, np.arange(n, dtype=np.int32))
    labels_KN = (np.arange(n) % 2)[None]
    places_NP = np.minimum(np.array(lengths) - 1, at)[:, None]
    return Readings(texts, places_NP, labels_KN, np.ones((1, n, 1), bool))


def make_bert() -> Any:
    """A network that sees the whole text, whose config does not say so."""
    torch.manual_seed(0)
    return BertLMHeadModel(BertConfig(**SIZES, intermediate_size=48, pad_token_id=0)).eval()


@pytest.mark.parametrize(
    ("make", "whole"),
    [(lambda: insert(Nothing()), False), (lambda: make_tiny("gpt2"), False), (lambda: make_tiny("gbert"), True),
     (make_bert, True)],
)  # fmt: skip
def test_texts_are_read_cut_or_whole(make: Any, whole: bool) -> None:
    assert find_probe_manner(make(), make_readings((4, 9, 14, 16)), CPU).whole == whole


ODD = {
    "sees all": lambda: insert(SeesAll()),
    "sees company": lambda: insert(SeesCompany()),
    "sees the length": lambda: insert(SeesLength()),
    "long rope": make_long_rope,
}


@pytest.mark.parametrize("name", ODD)
def test_a_text_that_is_another_beside_others_is_refused(name: str) -> None:
    settings = ProbeSettings(
        rank=1,
        norm="layer",
        steps=1,
        texts_per_step=2,
        lr=1.0,
        lr_embedding=1.0,
        weight_decay=0.0,
        dropout=False,
    )
    readings = make_readings((4, 9, 14, 16), at=30)
    with pytest.raises(WorkbenchError) as refused:
        fit_embedding_probes(ODD[name](), readings, np.arange(4), [2], settings, CPU)
    assert str(refused.value) == (
        "In this model (llama) the vectors of a text depend on later tokens, on its length or on the texts beside it, "
        "and the embedding probe reads texts side by side, so its numbers would not be the texts' own; use probes on "
        "activations (--family logistic), which read each text as the model needs it."
    )


def test_a_network_of_two_widths_is_refused() -> None:
    sizes = {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 16, "max_position_embeddings": 64}
    with pytest.raises(
        WorkbenchError, match=r"The embeddings of this model \(opt\) are \[16\] wide and its states 32"
    ):
        find_probe_manner(OPTForCausalLM(OPTConfig(**sizes)).eval(), make_readings((4, 9)), CPU)


def test_a_network_that_takes_no_embeddings_is_refused() -> None:
    model = make_tiny("llama")
    forward = model.base_model.forward

    def takes_ids_only(input_ids: Any = None, attention_mask: Any = None) -> Any:
        return forward(input_ids=input_ids, attention_mask=attention_mask)

    model.base_model.forward = takes_ids_only
    with pytest.raises(
        WorkbenchError, match=r"The architecture 'llama' cannot be read by its embeddings \(.*inputs_embeds"
    ):
        find_probe_manner(model, make_readings((4, 9)), CPU)


def test_a_text_without_a_place_shows_nothing() -> None:
    readings = make_readings((4, 9, 7))
    nowhere = Readings(readings.texts, np.array([[-1], [3], [4]]), readings.labels_KN, readings.valid_KNP)
    assert not find_probe_manner(make_tiny("llama"), nowhere, CPU).whole


def test_a_network_that_looks_at_tokens_twice_is_refused() -> None:
    model = make_tiny("llama")
    forward, twice = model.base_model.forward, torch.randn(60, 32)

    def looks_twice(input_ids: Any = None, inputs_embeds: Any = None, **options: Any) -> Any:
        embeds = (
            model.base_model.embed_tokens(input_ids) + twice[input_ids]
            if inputs_embeds is None
            else inputs_embeds
        )
        return forward(inputs_embeds=embeds, **options)

    model.base_model.forward = looks_twice
    with pytest.raises(
        WorkbenchError, match=r"architecture 'llama' reads tokens otherwise than their embeddings, and the"
    ):
        find_probe_manner(model, make_readings((4, 9)), CPU)
