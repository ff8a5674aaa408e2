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


def cached_and_plain(
    model: Any, lengths: tuple[int, ...], at: int, folder: Path, **options: Any
) -> tuple[str, float]:
    """How texts of random tokens were read, and the largest relative error of what was stored."""
    ids = random_ids(1, sum(lengths))[0].numpy().astype(np.int32)
    places = np.minimum(np.array(lengths) - 1, at).astype(np.int32)[:, None]
    reading = Reading(ids, np.cumsum([0, *lengths]), places, ("there",))
    store = cache_activations(model, reading, "resid_post.1", folder=folder, **options)
    worst = 0.0
    for n, vector in enumerate(store["resid_post.1"].to_numpy()[:, 0]):
        seen: list[torch.Tensor] = []
        handle = model.base_model.layers[1].register_forward_hook(lambda _m, _a, out: seen.append(out))  # noqa: B023
        with torch.no_grad():
            model(
                input_ids=torch.as_tensor(ids[reading.offsets[n] : reading.offsets[n + 1]], dtype=torch.long)[
                    None
                ]
            )
        handle.remove()
        wanted = seen[0][0, int(places[n, 0])].numpy()
        worst = max(worst, float(np.abs(vector - wanted).max() / np.abs(wanted).max()))
    return store.manifest["made_with"]["texts"], worst


@pytest.mark.parametrize(
    ("lengths", "at", "word"),
    [
        ((1, 8, 17, 17), 30, "whole, alone"),  # texts on both sides of the switch, the shortest of one token
        ((8, 17, 17), 2, "whole, alone"),  # cut texts are all on one side, whole ones are not
        ((3, 8, 12), 30, "cut"),
    ],
)
def test_angles_that_change_at_a_length(lengths: tuple[int, ...], at: int, word: str, tmp_path: Path) -> None:
    """LongRoPE: one text of more than 12 tokens turns all that share its batch by the other angles."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    rope = {
        "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [9.0] * 4,
        "original_max_position_embeddings": 12, "factor": 4.0,
    }  # fmt: skip
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        max_position_embeddings=48, rope_parameters=rope, initializer_range=0.3,
    )  # fmt: skip
    found, worst = cached_and_plain(LlamaForCausalLM(config).eval(), lengths, at, tmp_path)
    assert (found, worst < 1e-4) == (word, True), worst


class SeesBatchSize(torch.nn.Module):
    """Adds a statistic over a batch that texts of one length share."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=(0, 1), keepdim=True) - x.mean(dim=1, keepdim=True)


class SeesLength(torch.nn.Module):
    """Adds something from a length on, padding or not, as no config key tells."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.roll(1, -1) * float(x.shape[1] > 12)


@pytest.mark.parametrize("inserted", [SeesBatchSize(), SeesLength()])
@pytest.mark.parametrize("lengths", [(9, 9, 9), (1, 8, 17, 17), (2, 3, 5, 13, 14)])
def test_what_no_text_of_one_token_shows(
    inserted: torch.nn.Module, lengths: tuple[int, ...], tmp_path: Path
) -> None:
    model = make_tiny("llama")
    model.base_model.layers[0].mlp = torch.nn.Sequential(model.base_model.layers[0].mlp, inserted)
    _, worst = cached_and_plain(model, lengths, 30, tmp_path)
    assert worst < 1e-4
