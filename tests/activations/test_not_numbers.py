"""Weights that are no numbers, or that are replaced while they are read: one sentence in every command that reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from workbench.activations import cache_activations, find_series
from workbench.errors import WorkbenchError
from workbench.extraction.generation import generate
from workbench.studies.loading import load_model
from workbench.studies.manner import one_text_a_batch
from workbench.studies.series import as_checkpoint

NOT_NUMBERS = r"not numbers|says no numbers"


def make_broken() -> Any:
    model = make_tiny("llama")
    with torch.no_grad():
        model.base_model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    return model


def test_no_answer_comes_out_of_what_is_no_number(tmp_path: Path) -> None:
    prompts = [np.arange(2, 8), np.arange(3, 9)]
    with pytest.raises(Exception, match=NOT_NUMBERS):
        generate(make_broken(), prompts, stop_ids=[0], max_new=3)
    with pytest.raises(WorkbenchError, match=NOT_NUMBERS):
        one_text_a_batch(make_broken(), prompts, causal=True)
    with pytest.raises(WorkbenchError, match=NOT_NUMBERS):
        cache_activations(make_broken(), make_reading(8), ["resid_post.2"], folder=tmp_path)


def test_weights_that_are_replaced_behind_their_digest_are_refused(tmp_path: Path) -> None:
    make_tiny("llama").save_pretrained(tmp_path / "model")
    checkpoint = as_checkpoint(tmp_path / "model")
    assert checkpoint.weights_digest
    make_tiny("llama", seed=1).save_pretrained(tmp_path / "model")
    for door in (
        lambda: load_model(checkpoint),
        lambda: cache_activations(checkpoint, make_reading(8), ["resid_post.0"], folder=tmp_path / "acts"),
    ):
        with pytest.raises(WorkbenchError, match=r"model\.safetensors was replaced while it was read"):
            door()
    again = find_series(tmp_path / "model")[0]
    assert again.weights_digest != checkpoint.weights_digest
    load_model(again)
