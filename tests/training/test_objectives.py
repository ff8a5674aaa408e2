"""What is trained on: the loss, its gradient under accumulation, and whose questions are seen."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from tests.training.micro_runs import micro_recipe
from workbench.studies.runs import Run, create_run
from workbench.tokens.encoding import EncodedTexts
from workbench.tokens.packing import MixedStream
from workbench.training.data import encode_run
from workbench.training.loop import make_fresh_model, train
from workbench.training.objectives import TARGETS_ROUNDED_TO, SummedLoss, to_tensors


def load_weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoints[-1].path / "model.safetensors")


def make_model(run: Run) -> PreTrainedModel:
    tokenizer = run.tokenizer
    return make_fresh_model(run.recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)


# --- the loss


def test_no_advice_about_padding_reaches_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """gpt2 asks for an attention mask where ids hold padding; rows padded on the right need none."""
    run = create_run(micro_recipe(model__architecture="gpt2"), tmp_path / "run")
    rows = encode_run(run).stream.rows(0, 8)
    pad_id = run.tokenizer.pad_token_id
    assert (rows.ids_BT == pad_id).any()
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    transformers_logging.warning_once.cache_clear()
    SummedLoss(make_model(run), pad_id, bidirectional=False)(*to_tensors(rows, "cpu"))
    assert caplog.text == ""


@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama"])
def test_the_loss_is_hugging_faces_own(architecture: str, tmp_path: Path) -> None:
    """Mean over the targets = `model(input_ids, attention_mask, labels).loss`, though neither mask nor labels go in."""
    run = create_run(micro_recipe(model__architecture=architecture), tmp_path / "run")
    model = make_model(run).eval()
    rows = encode_run(run).stream.rows(0, 8)
    pad_id = run.tokenizer.pad_token_id
    summed = SummedLoss(model, pad_id, bidirectional=False)(*to_tensors(rows, "cpu"))
    n = int((rows.targets_BT >= 0).sum())
    ids = torch.from_numpy(rows.ids_BT)
    labels = torch.from_numpy(rows.targets_BT)
    theirs = model(
        input_ids=ids, attention_mask=(ids != pad_id).long(), labels=labels, shift_labels=labels
    ).loss
    torch.testing.assert_close(summed / n, theirs, rtol=1e-5, atol=1e-6)


def test_rounding_the_targets_changes_nothing(trained_run: Run) -> None:
    rows = encode_run(trained_run).stream.rows(0, 5)
    _, places, targets = to_tensors(rows, "cpu")
    n = int((rows.targets_BT >= 0).sum())
    assert len(places) == len(targets) == -(-n // TARGETS_ROUNDED_TO) * TARGETS_ROUNDED_TO
    assert (targets[n:] == -100).all()
    flat = rows.targets_BT.reshape(-1)
    assert (flat[places[:n].numpy()] == targets[:n].numpy()).all()


@pytest.mark.parametrize("parts", [2, 3, 16, 50])
def test_accumulation_gives_the_same_weights(parts: int, tmp_path: Path) -> None:
    """In float32 only the order of summation differs; after nine steps of AdamW that is below 1e-4."""
    keys = {"training__exposures": 2.4, "training__precision": "fp32", "training__checkpoints": "last"}
    whole, split = (
        load_weights(train(micro_recipe(**keys, training__accumulation=n), tmp_path / str(n), device="cpu"))
        for n in (1, parts)
    )
    for name, weight in whole.items():
        torch.testing.assert_close(split[name], weight, rtol=0, atol=1e-4, msg=name)


def test_the_masked_objective_trains(tmp_path: Path) -> None:
    recipe = micro_recipe(
        model__architecture="gbert",
        training__objective="masked",
        training__exposures=30,
        training__checkpoints="last",
        training__optimizer="muon",
        training__lr=1e-2,
    )
    losses = [row["loss"] for row in train(recipe, tmp_path / "run", device="cpu").metrics()[1:]]
    assert losses[-1] < 0.92 * losses[0]


# --- mixed rows


@pytest.fixture(scope="module", params=["entry-per-row", "resampled"])
def mixed_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = micro_recipe(
        training__objective="mixed",
        training__qa_ratio=0.4,
        tokens__packing=request.param,
        tokens__row_length=128,
    )
    return create_run(recipe, tmp_path_factory.mktemp("mixed") / "run")


def entities_in(texts: EncodedTexts) -> set[int]:
    return set(texts.entities.tolist())


def test_questions_of_test_entities_are_never_trained_on(mixed_run: Run) -> None:
    data = encode_run(mixed_run)
    assert isinstance(data.stream, MixedStream)
    train_entities = {entity.id for entity in data.entities if entity.split == "train"}
    assert entities_in(data.stream.questions.texts) == train_entities
    assert entities_in(data.stream.biographies.texts) == {entity.id for entity in data.entities}


def test_no_row_of_the_stream_holds_a_test_entities_question(mixed_run: Run) -> None:
    """Read back from the ids themselves, over several epochs of questions."""
    data = encode_run(mixed_run)
    end = mixed_run.tokenizer.eos_token_id
    forbidden, allowed = set(), set()
    for n, entity in enumerate(data.questions.entities):
        text = tuple(data.questions.text_ids(n)[1:].tolist())
        (allowed if data.entities[entity].split == "train" else forbidden).add(text)
    entries = {tuple(data.entries.text_ids(n)[1:].tolist()) for n in range(len(data.entries))}
    seen = {"question": set(), "entry": set()}
    kinds: list[str] = []
    rows = data.stream.rows(0, 900)
    for row, targets in zip(rows.ids_BT, rows.targets_BT, strict=True):
        n = int((targets >= 0).sum())
        cuts = np.flatnonzero(row[:n] == end)
        texts = [tuple(part[1:].tolist()) for part in np.split(row[:n], cuts[1:])]
        kind = "question" if texts[0] in allowed | forbidden else "entry"
        kinds.append(kind)
        seen[kind] |= set(texts)  # a row is all questions or all biographies
    assert seen["question"] == allowed
    assert not seen["question"] & forbidden
    assert seen["entry"] == entries
    assert kinds.count("question") / len(kinds) == pytest.approx(0.4, abs=0.08)
