"""What a vector may depend on is tried, not assumed: a model that breaks it is read whole, or text by text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.odd_models import (
    Nothing,
    SeesAll,
    SeesBatchSize,
    SeesCompany,
    SeesLength,
    insert,
    make_long_rope,
)
from tests.activations.tiny_models import random_ids
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


@pytest.mark.parametrize(
    ("inserted", "word"), [(Nothing(), "cut"), (SeesAll(), "whole, alone"), (SeesCompany(), "whole, alone")]
)
def test_texts_are_read_as_the_model_needs_it(inserted: torch.nn.Module, word: str, tmp_path: Path) -> None:
    model = insert(inserted)
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
    found, worst = cached_and_plain(make_long_rope(), lengths, at, tmp_path)
    assert (found, worst < 1e-4) == (word, True), worst


@pytest.mark.parametrize("inserted", [SeesBatchSize(), SeesLength()])
@pytest.mark.parametrize("lengths", [(9, 9, 9), (1, 8, 17, 17), (2, 3, 5, 13, 14)])
def test_what_no_text_of_one_token_shows(
    inserted: torch.nn.Module, lengths: tuple[int, ...], tmp_path: Path
) -> None:
    model = insert(inserted)
    _, worst = cached_and_plain(model, lengths, 30, tmp_path)
    assert worst < 1e-4
