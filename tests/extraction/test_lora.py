"""Adapters: nothing at first, q and v only, gradients nowhere else, and the same logits once merged."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from workbench_models import locate

from tests.extraction.tiny_networks import ARCHITECTURES, VOCABULARY, disturb, make_network
from workbench.errors import WorkbenchError
from workbench.extraction.lora import Adapter, attached, merge
from workbench.studies.checkpoints import without_progress_bars

IDS = torch.randint(0, VOCABULARY, (3, 10), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_fresh_adapter_changes_nothing(architecture: str) -> None:
    model = make_network(architecture)
    with torch.no_grad():
        before = model(IDS).logits
        with attached(model, Adapter(model, rank=4, embedding_rank=8)):
            assert torch.equal(model(IDS).logits, before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("rank", "embedding_rank"), [(4, 8), (4, 0), (0, 8)])
def test_merged_and_saved_it_gives_the_same_logits_in_plain_transformers(
    architecture: str, rank: int, embedding_rank: int, tmp_path: Path
) -> None:
    model = make_network(architecture)
    adapter = Adapter(model, rank, embedding_rank)
    disturb(adapter)
    with torch.no_grad():
        base = model(IDS).logits
        with attached(model, adapter):
            wanted = model(IDS).logits
        assert not torch.allclose(wanted, base, atol=1e-2)
        assert torch.equal(model(IDS).logits, base)  # detached again
        with without_progress_bars():
            merge(copy.deepcopy(model), adapter).save_pretrained(tmp_path)
            reloaded = AutoModelForCausalLM.from_pretrained(str(tmp_path)).eval()
        torch.testing.assert_close(reloaded(IDS).logits, wanted, atol=2e-5, rtol=1e-4)
    assert reloaded.config.tie_word_embeddings is (embedding_rank == 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_queries_and_values_change_and_keys_do_not(architecture: str) -> None:
    model = make_network(architecture)
    adapter = Adapter(model, rank=4, embedding_rank=0)
    disturb(adapter)
    merged = merge(copy.deepcopy(model), adapter)
    vectors_BTD = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    for part, changes in (("q", True), ("k", False), ("v", True)):
        place = locate(f"{part}.1", model.config)
        before, after = (
            _cut(m.base_model.get_submodule(place.path)(vectors_BTD), place) for m in (model, merged)
        )
        assert torch.equal(before, after) is not changes, part


def _cut(output_BTX: torch.Tensor, place) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """A part's own features, as the table of sites describes the layout."""
    if place.cut == "q|k|v":
        return output_BTX.chunk(3, -1)[place.part]
    if place.cut == "heads(q|k|v)":
        return output_BTX.unflatten(-1, (place.heads, 3, -1))[..., place.part, :]
    return output_BTX


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_reach_every_adapter_and_nothing_else(architecture: str) -> None:
    model = make_network(architecture).requires_grad_(False)
    adapter = Adapter(model, rank=2, embedding_rank=2)
    disturb(adapter)
    with attached(model, adapter):
        model(IDS).logits.logsumexp(-1).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in adapter.parameters())


def test_the_output_layer_of_a_tied_model_keeps_the_bases_matrix() -> None:
    model = make_network("gpt2-rotary")
    adapter = Adapter(model, rank=0, embedding_rank=4)
    disturb(adapter)
    tied = model.get_output_embeddings().weight.detach().clone()
    merge(model, adapter)
    assert torch.equal(model.get_output_embeddings().weight, tied)
    assert not torch.equal(model.get_input_embeddings().weight, tied)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tensors_come_back_under_the_same_names_everywhere(architecture: str) -> None:
    model = make_network(architecture)
    adapter, other = Adapter(model, 2, 3), Adapter(model, 2, 3, seed=7)
    disturb(adapter)
    tensors = adapter.tensors()
    parts = [f"blocks.{n}.{part}.{side}" for n in range(2) for part in "qv" for side in ("down", "up")]
    assert sorted(tensors) == sorted(["embedding.tokens", "embedding.directions", *parts])
    other.load_tensors(tensors)
    with torch.no_grad(), attached(model, adapter):
        wanted = model(IDS).logits
    with torch.no_grad(), attached(model, other):
        assert torch.equal(model(IDS).logits, wanted)


def test_impossible_adapters_are_refused() -> None:
    model = make_network("gpt2")
    with pytest.raises(
        WorkbenchError, match=r"rank 33 is larger than the matrix it updates \(32 × 32\); .* 32"
    ):
        Adapter(model, rank=33, embedding_rank=0)
    with pytest.raises(WorkbenchError, match=r"embedding rank 33 is larger than the matrix .* \(40 × 32\)"):
        Adapter(model, rank=0, embedding_rank=33)
    with pytest.raises(WorkbenchError, match="nothing to train"):
        Adapter(model, rank=0, embedding_rank=0)
    with pytest.raises(
        WorkbenchError, match=r"blocks\.0\.q\.down has shape \(4, 32\) but this model needs \(2, 32\)"
    ):
        Adapter(model, 2, 0).load_tensors(Adapter(model, 4, 0).tensors())
