"""What all parts add is the model's own logit difference; the lens ends at the model's own answer."""

import numpy as np
import pytest
import torch

from tests.attention.small_models import ARCHITECTURES, random_model, small_examples
from workbench.attention.attribution import attribute_batch
from workbench.attention.head_scores import draw_wrong, measure_heads, score_repeats
from workbench.attention.logit_lens import measure_lens
from workbench.attention.parts import open_parts, written_out
from workbench.attention.readout import read_tokens
from workbench.worlds.biographies.schema import ATTRIBUTES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_contributions_sum_to_the_logit_difference(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    parts, batch = open_parts(model), examples.batch(np.arange(len(examples)))
    with written_out(model):
        found = attribute_batch(parts, batch, examples.candidates(), batch.answers_BP)
        logits = batch.at_positions(model(batch.ids_BT).logits)
    total = (
        found.heads_LBPH.sum((0, 3)) + found.mlps_LBP.sum(0) + found.biases_LBP.sum(0)
        + found.embedding_BP + found.norm_BP
    )  # fmt: skip
    torch.testing.assert_close(total, found.difference_BP, rtol=1e-3, atol=1e-3)
    n, p = 1, 3
    candidates = examples.candidates()[int(batch.attribute_BP[n, p])]
    expected = logits[n, p, batch.answers_BP[n, p]] - logits[n, p, candidates].mean()
    torch.testing.assert_close(found.difference_BP[n, p], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_last_layer_of_the_lens_is_the_model(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    lens = measure_lens(model, examples)
    batch = examples.batch(np.arange(len(examples)))
    with torch.no_grad():
        logits = batch.at_positions(model(batch.ids_BT).logits)
    probability = logits.softmax(-1).gather(-1, batch.answers_BP[..., None])[..., 0]
    mean = (lens["probability"] * lens["n"]).sum("attribute").isel(layer=-1) / len(examples)
    np.testing.assert_allclose(mean, probability.mean(0), rtol=1e-3)
    settled = lens["first_top1"].sum("layer", skipna=False) + lens["never"]
    np.testing.assert_allclose(settled.values[lens["n"].isel(layer=0).values > 0], 1.0)


def test_rank_and_ties() -> None:
    model = random_model("gpt2")
    parts = open_parts(model)
    states = torch.zeros(1, 2, 32)
    tied = read_tokens(parts, states, torch.tensor([[3, 4]]))
    assert not tied.right_BP.any()  # all tokens equally likely: none is right
    torch.testing.assert_close(tied.probability_BP, torch.full((1, 2), 1 / model.config.vocab_size))


def test_wrong_candidates_are_wrong() -> None:
    examples = small_examples()
    batch = examples.batch(np.arange(len(examples)))
    wrong = draw_wrong(batch, examples.candidates(), np.random.default_rng(0))
    alone = torch.tensor([len(c) == 1 for c in examples.candidates()])[batch.attribute_BP]
    assert ((wrong != batch.answers_BP) | alone).all()


def test_scores_are_shares_and_an_even_head_has_none() -> None:
    model, examples = random_model("gpt2"), small_examples()
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight.zero_()
    parts = open_parts(model)
    with written_out(model):
        scores = score_repeats(parts, examples.ids)
    assert scores.shape == (3, 2, 4)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.ptp(scores[:, 0]) < 1e-5
    result = measure_heads(model, examples)
    assert result["n"].sum() == (examples.positions >= 0).sum()
    assert result["attribute"].values.tolist() == list(ATTRIBUTES)
