"""Shares: sums, the same from three engines, the same in small batches, and a model left as it was."""

import numpy as np
import pytest
import torch
from workbench_models import parse_sites

from tests.attention.small_models import ARCHITECTURES, random_model, small_corpus, small_examples
from workbench.activations.engines import open_engine
from workbench.attention.examples import make_examples
from workbench.attention.parts import open_parts, use_attention
from workbench.attention.patterns import ROWS
from workbench.attention.roles import RoleLegend
from workbench.attention.shares import _one_hot, measure_shares, read_batch, reduce_pattern
from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import SCHEMA

LEGEND = RoleLegend(SCHEMA.keys)

TOLERANCE = 2e-6  # absolute, of shares in float32: engines sum in different orders


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_shares_equal_those_from_transformer_lens_and_nnsight(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    batch = examples.batch(np.arange(len(examples)))
    parts = open_parts(model)
    with use_attention(model, ROWS.attention):
        own = read_batch(parts, batch, LEGEND, ROWS)
    sites = parse_sites("pattern", parts.n_blocks)
    for engine in ("transformer-lens", "nnsight"):
        with torch.no_grad(), open_engine(engine, model, sites) as opened:
            found = opened.read(batch.ids_BT, batch.inside_BT.long(), batch.positions_BP)
        for block, site in enumerate(sites):
            shares, measures = reduce_pattern(
                found[site.short].transpose(1, 2), _one_hot(batch.roles_BT, len(LEGEND)), batch.positions_BP
            )
            torch.testing.assert_close(own.roles_LBHPR[block], shares, rtol=0, atol=TOLERANCE)
            torch.testing.assert_close(own.measures_LBHPM[block], measures, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shares_sum_to_one_and_do_not_depend_on_batches(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    whole, pieces = measure_shares(model, examples), measure_shares(model, examples, batch_tokens=60)
    assert abs(whole["share"].sum("role") - 1).max() < 1e-5
    assert abs(whole["group_share"].sum("group") - 1).max() < 1e-5
    assert abs(whole["uniform"].sum("role") - 1).max() < 1e-5
    for name in ("share", "share_se", "entropy", "distance", "group_share"):
        np.testing.assert_allclose(whole[name], pieces[name], atol=1e-5)
    assert (whole["n"] == len(examples)).all()
    assert (whole["ci_low"] <= whole["share"]).all()
    assert (whole["ci_high"] >= whole["share"]).all()
    assert model.config._attn_implementation == "sdpa"


def test_the_mean_and_error_are_over_entries() -> None:
    model, examples = random_model("gpt2"), small_examples()
    parts = open_parts(model)
    with use_attention(model, ROWS.attention):
        one = read_batch(parts, examples.batch(np.arange(len(examples))), LEGEND, ROWS)
    share = measure_shares(model, examples)
    values = one.roles_LBHPR[1, :, 3, 2].double().numpy()
    at = {"block": 1, "position": 2, "head": 3}
    np.testing.assert_allclose(share["share"].sel(at), values.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        share["share_se"].sel(at), values.std(0, ddof=1) / np.sqrt(len(values)), atol=1e-5
    )


def test_an_even_pattern_gives_the_uniform_shares() -> None:
    model, examples = random_model("gpt2"), small_examples()
    with torch.no_grad():
        for block in model.transformer.h:
            block.attn.c_attn.weight.zero_()
            block.attn.c_attn.bias.zero_()
    shares = measure_shares(model, examples)
    even = shares["uniform"].broadcast_like(shares["share"])
    np.testing.assert_allclose(shares["share"].transpose(*even.dims), even, atol=1e-6)
    seen = examples.positions + 1
    np.testing.assert_allclose(shares["entropy"][0, 0], np.log(seen).mean(0), atol=1e-5)
    np.testing.assert_allclose(shares["distance"][0, 0], ((seen - 1) / 2).mean(0), atol=1e-4)
    np.testing.assert_allclose(shares["first_token"][0, 0], (1 / seen).mean(0), atol=1e-6)


def test_packed_rows_show_attention_to_other_entries() -> None:
    corpus, tokenizer = small_corpus()
    packed = make_examples(tokenizer, corpus.entries[:3], SCHEMA, before=corpus.entries[6:], packed=1)
    shares = measure_shares(random_model("gpt2-rotary"), packed)
    assert abs(shares["share"].sum("role") - 1).max() < 1e-5
    assert (shares["share"].sel(role="other_entry") > 0).all()


def test_a_bidirectional_model_is_refused() -> None:
    from tests.activations.tiny_models import make_tiny

    with pytest.raises(WorkbenchError, match="bidirectional: it sees the value it would be asked for"):
        open_parts(make_tiny("gbert"))
