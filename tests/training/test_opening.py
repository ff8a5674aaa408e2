"""A checkpoint is an ordinary Hugging Face folder: nothing of ours is needed to open it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.micro_runs import micro_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.loading import load_model
from workbench.studies.runs import Run, create_run
from workbench.training.data import encode_run
from workbench.training.loop import make_fresh_model


@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_are_equal_after_opening(architecture: str, attention: str, tmp_path: Path) -> None:
    objective = "masked" if architecture == "gbert" else "biographies"
    recipe = micro_recipe(model__architecture=architecture, training__objective=objective)
    run = create_run(recipe, tmp_path / "run")
    tokenizer = run.tokenizer
    model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.set_attn_implementation(attention)
    model.eval()
    checkpoint = save_checkpoint(tmp_path, model, tokenizer, 7, {})
    opened = AutoModelForCausalLM.from_pretrained(checkpoint.path, attn_implementation=attention)
    ids = torch.from_numpy(encode_run(run).stream.rows(0, 4).ids_BT)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, opened(ids).logits)
        assert torch.equal(model(ids).logits, load_model(checkpoint, attention=attention)(ids).logits)
    again = AutoTokenizer.from_pretrained(checkpoint.path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again(run.corpus.texts[:20])["input_ids"] == tokenizer(run.corpus.texts[:20])["input_ids"]


def test_step_0_is_the_untrained_model(trained_run: Run) -> None:
    tokenizer = trained_run.tokenizer
    fresh = make_fresh_model(
        trained_run.recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id
    )
    saved = load_model(trained_run.checkpoint(0))
    for (name, ours), (_, theirs) in zip(fresh.named_parameters(), saved.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert trained_run.checkpoint(0).weights_digest != trained_run.checkpoint("last").weights_digest


def test_the_checkpoint_says_what_the_training_process_said(trained_run: Run) -> None:
    """The loss of the last step's rows under the saved weights is near the one that was measured."""
    data = encode_run(trained_run)
    rows = data.stream.rows(22 * 16, 16)
    model = load_model(trained_run.checkpoint("last"))
    ids, labels = torch.from_numpy(rows.ids_BT), torch.from_numpy(rows.targets_BT)
    with torch.no_grad():
        loss = model(input_ids=ids, labels=labels, shift_labels=labels).loss.item()
    assert loss == pytest.approx(trained_run.metrics()[-1]["loss"], rel=0.02)


OPEN_ELSEWHERE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer(sys.argv[2], return_tensors="pt")["input_ids"]
out = model.generate(ids, max_new_tokens=5, do_sample=False)
assert out.shape[1] > ids.shape[1]
assert not [name for name in sys.modules if name.startswith("workbench")]
"""


def test_it_opens_and_speaks_in_a_process_that_knows_nothing_of_us(trained_run: Run, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-W", "error", "-c", OPEN_ELSEWHERE]
    name = trained_run.corpus.entities[0].name
    done = subprocess.run(
        [*command, str(trained_run.checkpoints[-1].path), name],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
