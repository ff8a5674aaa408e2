"""Which networks can be quantised whole, known without the library that rounds them."""

import pytest
from workbench_models import ModelShape, make_model

from workbench.capacity.quantising import find_matrices, find_other_matrices


def network(architecture: str):
    shape = ModelShape(architecture, n_layers=2, d_model=32, n_heads=2, max_length=24)  # type: ignore[arg-type]
    return make_model(shape, vocab_size=50, seed=0, eos_token_id=0, pad_token_id=1)


@pytest.mark.parametrize("architecture", ["gpt2-rotary", "llama", "mistral"])
def test_linear_layers_are_all_there_is(architecture: str) -> None:
    model = network(architecture)
    assert find_other_matrices(model, find_matrices(model)) == []


@pytest.mark.parametrize(("architecture", "left"), [("mixtral", "experts"), ("gpt2", "c_attn")])
def test_matrices_that_would_stay_as_they_are_are_found(architecture: str, left: str) -> None:
    model = network(architecture)
    assert any(left in name for name in find_other_matrices(model, find_matrices(model)))
