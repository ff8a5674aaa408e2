"""The paper's P-probe, all targets stacked, beside the naive way: one target after another through a peft adapter.

    python benchmarks/embedding_probe.py [--threads 2] [--steps 6]

The naive way, per target: `peft.LoraConfig(r=2)` on the input embedding of the frozen model, LayerNorm and
a linear head, whole entries padded, float32, the library's attention. Ours: `fit_embedding_probes`. Both see the same
model (the `tiny` network, untrained: speed does not depend on the weights), the same entries a step and all positions.
The naive way trains 11 targets one by one; ours the distinct ones at once. Seconds are for one step of all targets;
the contenders take turns.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.probing.embedding_probe import fit_embedding_probes
from workbench.probing.p_probe import PProbeData, make_p_probe_data, p_probe_settings
from workbench.probing.probe_batches import Readings
from workbench.recipes.recipe import load_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.runs import Run, create_run
from workbench.training.devices import choose_execution
from workbench.training.loop import make_fresh_model


def make_run(folder: Path) -> Run:
    """A `tiny` run with its untrained checkpoint."""
    run = create_run(load_recipe("tiny", {"biographies.augmentation": "multi5+permute"}), folder)
    tokenizer = run.tokenizer
    model = make_fresh_model(run.recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    save_checkpoint(run.checkpoints_folder, model, tokenizer, 0, {"reason": "planned"})
    return run


def time_ours(run: Run, data: PProbeData, model: Any, steps: int) -> float:
    """Seconds of one step of all targets."""
    settings = replace(p_probe_settings(run.recipe.probing), steps=steps)
    execution = choose_execution(run.recipe.training, "cpu", steps)
    execution.prepare(model)
    n_classes = [len(data.targets[k].classes) for k in data.distinct]
    readings = data.readings()
    started = time.perf_counter()
    fit_embedding_probes(model, readings, data.train, n_classes, settings, execution)
    return (time.perf_counter() - started) / steps


def time_naive(run: Run, data: PProbeData, steps: int) -> float:
    """Seconds of one step of all 11 targets, one target after another."""
    seconds = 0.0
    for number, target in enumerate(data.targets):
        seconds += _time_one_target(
            run, data, data.readings(), data.stands_for[number], len(target.classes), steps
        )
    return seconds


def _time_one_target(
    run: Run, data: PProbeData, readings: Readings, stands_for: int, n_classes: int, steps: int
) -> float:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(run.checkpoint(0).path, dtype=torch.float32)
    network = get_peft_model(base.base_model, LoraConfig(r=2, target_modules=["embed_in"]))
    width = base.config.hidden_size
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, n_classes))
    trained = [p for p in network.parameters() if p.requires_grad] + list(head.parameters())
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.3)
    rng = np.random.default_rng(0)
    k = data.distinct.index(stands_for)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        batch = rng.choice(data.train, run.recipe.probing.entries_per_step)
        texts = [torch.from_numpy(data.entries.text_ids(n).astype(np.int64)) for n in batch]
        ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(text)) for text in texts], batch_first=True)
        hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state
        places = torch.from_numpy(np.maximum(readings.places_NP[batch], 0).astype(np.int64))
        logits = head(hidden[torch.arange(len(batch))[:, None], places])
        valid = torch.from_numpy(readings.valid_KNP[k, batch])
        labels = torch.from_numpy(readings.labels_KN[k, batch])[:, None].expand_as(valid)
        nn.functional.cross_entropy(logits[valid], labels[valid]).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run")
        data = make_p_probe_data(run)
        tokenizer = run.tokenizer
        model = make_fresh_model(run.recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
        time_ours(run, data, model, 3)  # warm-up
        rounds = [
            (time_ours(run, data, model, options.steps), time_naive(run, data, options.steps))
            for _ in range(options.rounds)
        ]
    ours, naive = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"{len(data.targets)} targets ({len(data.distinct)} distinct), {options.threads} threads, tiny network"
    )
    print(f"stacked {ours:.3f} s a step of all targets; one after another through peft {naive:.3f} s")
    print(f"ratio {statistics.median(theirs / mine for mine, theirs in rounds):.1f}x")


if __name__ == "__main__":
    main()
