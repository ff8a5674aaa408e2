"""Ten architectures of the library, built small: states as the library has them, parts that add up to them."""

import copy
from typing import Any

import pytest
import torch
from workbench_models import FAMILIES, ModelError, find_family, is_parallel, list_sites, locate

from benchmarks.architectures import check, small_config
from workbench.activations import capture

SAMPLE = (
    "bloom",
    "falcon",
    "gemma2",
    "gemma3_text",
    "gpt_bigcode",
    "gptj",
    "mamba",
    "mixtral",
    "opt",
    "phi3",
)
BY_HAND = ("gemma2", "gemma3_text", "gpt_bigcode", "gptj", "mixtral", "olmo2", "phi3")


@pytest.mark.parametrize("model_type", SAMPLE)
def test_the_residual_stream_is_the_librarys_own(model_type: str) -> None:
    found = check(model_type)
    assert (found.state, found.reason) == ("works", "")


def make(model_type: str) -> Any:
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    model = loader.from_config(small_config(model_type), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("model_type", BY_HAND)
def test_what_the_parts_write_adds_up_to_the_stream(model_type: str) -> None:
    model = make(model_type)
    ids = torch.randint(6, 90, (2, 9), generator=torch.Generator().manual_seed(1))
    kinds = [f"{kind}.1" for kind in ("resid_pre", "attn_out", "mlp_out", "resid_post", "pattern")]
    kinds += [] if is_parallel(model.config) else ["resid_mid.1"]
    with capture(model, kinds) as acts, torch.no_grad():
        acts.run(ids)
        sums = acts["resid_pre.1"] + acts["attn_out.1"]
        if not is_parallel(model.config):
            torch.testing.assert_close(acts["resid_mid.1"], sums, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(acts["resid_post.1"], sums + acts["mlp_out.1"], rtol=1e-4, atol=1e-4)
        known = model(input_ids=ids, output_attentions=True).attentions[1]
        torch.testing.assert_close(acts["pattern.1"], known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model_type", [*BY_HAND, "opt", "bloom"])
def test_every_site_that_is_listed_can_be_read(model_type: str) -> None:
    model = make(model_type)
    sites = list_sites(model.config)
    with capture(model, sites) as acts, torch.no_grad():
        acts.run(torch.randint(6, 90, (2, 9)))
        assert len(acts) == len(sites)
        assert {acts[site].shape[0] for site in sites} == {2}


def test_an_architecture_nobody_listed_is_known_by_its_blocks() -> None:
    config = small_config("mamba")
    assert "mamba" not in FAMILIES
    family = find_family(config)
    assert family is not None
    assert (family.blocks, family.embed, family.final_norm) == ("layers.{}", "embeddings", "norm_f")
    with pytest.raises(
        ModelError, match=r"site 'pattern.0' has no place of its own in architecture 'mamba'; use the"
    ):
        locate("pattern.0", config)


def test_a_config_without_blocks_is_refused_by_its_type() -> None:
    config = copy.copy(small_config("llama"))
    config.model_type = "unheard_of"
    config.num_hidden_layers = -1
    with pytest.raises(ModelError, match=r"has no known place in architecture 'unheard_of'"):
        locate("embed", config)
