"""What a vector may depend on is tried, not assumed: a model that breaks it is read whole, or text by text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.tiny_models import make_tiny, random_ids
from workbench.activations import cache_activations
from workbench.tokens.reading import Reading

LENGTHS = (3, 9, 14)


def make_reading() -> Reading:
    """Three texts, each read at its second token, so that all have tokens behind it."""
    ids = random_ids(1, sum(LENGTHS))[0].numpy().astype(np.int32)
    offsets = np.cumsum([0, *LENGTHS])
    return Reading(ids, offsets, np.full((len(LENGTHS), 1), 1, np.int32), ("second",))


def alone_and_whole(model: Any, reading: Reading) -> np.ndarray:
    """[N, D]: what a plain hook sees in each text by itself."""
    found = []
    for n in range(len(reading)):
        seen: list[torch.Tensor] = []
        handle = model.base_model.layers[1].register_forward_hook(lambda _m, _a, out: seen.append(out))  # noqa: B023
        ids = torch.as_tensor(reading.ids[reading.offsets[n] : reading.offsets[n + 1]], dtype=torch.long)
        with torch.no_grad():
            model(input_ids=ids[None])
        handle.remove()
        found.append(seen[0][0, 1].numpy())
    return np.stack(found)


class SeesAll(torch.nn.Module):
    """Adds the mean over all tokens of its text, which no config key tells."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=1, keepdim=True)


class SeesCompany(torch.nn.Module):
    """Adds a mean over the batch: the vectors of a text depend on who stands beside it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=(0, 1), keepdim=True)


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("inserted", "word"), [(Nothing(), "cut"), (SeesAll(), "whole, alone"), (SeesCompany(), "whole, alone")]
)
def test_texts_are_read_as_the_model_needs_it(inserted: torch.nn.Module, word: str, tmp_path: Path) -> None:
    model = make_tiny("llama")
    model.base_model.layers[0].mlp = torch.nn.Sequential(model.base_model.layers[0].mlp, inserted)
    reading = make_reading()
    store = cache_activations(model, reading, "resid_post.1", folder=tmp_path)
    assert store.manifest["made_with"]["texts"] == word
    np.testing.assert_allclose(
        store["resid_post.1"].to_numpy()[:, 0], alone_and_whole(model, reading), rtol=1e-4, atol=1e-4
    )
