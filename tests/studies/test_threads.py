"""Networks that threads load at once are as tied, and of the same numbers, as one that is loaded alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import torch
from transformers import PreTrainedModel

from tests.activations.tiny_models import make_tiny
from workbench.studies.loading import load_model
from workbench.studies.series import as_checkpoint

N_THREADS = 6


def test_threads_that_load_at_once_leave_embeddings_tied(tmp_path: Path) -> None:
    make_tiny("gpt2").save_pretrained(tmp_path / "tied")
    checkpoint = as_checkpoint(tmp_path / "tied")
    alone = load_model(checkpoint).state_dict()
    tie, together = PreTrainedModel.tie_weights, Barrier(N_THREADS)

    def load_some(_: int) -> list[PreTrainedModel]:
        together.wait()
        return [load_model(checkpoint) for _ in range(5)]

    try:
        with ThreadPoolExecutor(N_THREADS) as pool:
            loaded = [model for models in pool.map(load_some, range(N_THREADS)) for model in models]
        assert (
            PreTrainedModel.tie_weights is tie
        )  # else every network made from here on has its own output weights
    finally:
        PreTrainedModel.tie_weights = tie  # type: ignore[method-assign]
    assert len(loaded) == 5 * N_THREADS
    for model in loaded:
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert all(torch.equal(tensor, alone[name]) for name, tensor in model.state_dict().items())
    assert torch.get_default_dtype() == torch.float32
