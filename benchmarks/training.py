"""Training speed at the `tiny` recipe, beside the plain loop and beside `transformers.Trainer`.

    python benchmarks/training.py [--threads 2] [--rounds 5] [--steps 8] [--augmentation multi5+permute]

One process, the same entities, entries, batch and Hugging Face model. The contenders take turns, so a shared machine's
drift falls on all of them. Speeds are real tokens (no padding) per second of training steps, data included:

workbench  our step: entries of like length in a step, written-out attention with bf16 autocast, tanh-GELU as one
           kernel, no attention mask, output layer at real targets only, fused AdamW
plain      `model(input_ids, attention_mask, labels)` in float32, eager attention, gelu_new, AdamW, padded batches
trainer    `transformers.Trainer` with bf16, torch.compile, fused AdamW, length grouping; with SDPA (its default)
           and with the attention that suits a CPU better
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from workbench.recipes.recipe import Recipe, load_recipe
from workbench.studies.runs import create_run
from workbench.tokens.packing import IGNORED, RowStream
from workbench.training.data import encode_run
from workbench.training.devices import choose_execution
from workbench.training.loop import make_fresh_model
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.optimizers import make_optimizers

Contender = Callable[[int], tuple[int, float]]  # steps → real tokens, seconds


def make_recipe(augmentation: str) -> Recipe:
    """The `tiny` recipe with AdamW, which all contenders have."""
    return load_recipe("tiny", {"biographies.augmentation": augmentation, "training.optimizer": "adamw"})


def prepare_workbench(recipe: Recipe, data: Any, tokenizer: Any, *, compiled: bool) -> Contender:
    """Our training step, as `tiny` runs it, or with training.compile = "yes"."""
    execution = choose_execution(recipe.training, "cpu", 10**9)
    model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.set_attn_implementation(execution.attention)
    summed = SummedLoss(model, tokenizer.pad_token_id, bidirectional=False)
    if compiled:
        summed.compile(dynamic=True)
    (optimizer,) = make_optimizers(model, recipe.training, execution)
    batch, done = recipe.training.rows_per_step, 0

    def run(steps: int) -> tuple[int, float]:
        nonlocal done
        tokens, started = 0, time.perf_counter()
        for _ in range(steps):
            rows = data.stream.rows(done * batch, batch)
            done += 1
            n_targets = int((rows.targets_BT >= 0).sum())
            with execution.autocast():
                loss = summed(*to_tensors(rows, "cpu"))
            (loss / n_targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tokens += n_targets
        return tokens, time.perf_counter() - started

    return run


def random_rows(data: Any, tokenizer: Any, seed: int) -> RowStream:
    """Entries in random order, padded to the longest of a batch, as a plain loader gives them."""
    ids = {"end_id": tokenizer.eos_token_id, "pad_id": tokenizer.pad_token_id}
    return RowStream(data.entries, purpose="plain", seed=seed, **ids)


def plain_model(recipe: Recipe, tokenizer: Any) -> Any:
    """The same network as its usual configuration has it: composed GELU, library attention."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    config = AutoConfig.for_model(**model.config.to_dict())
    config.hidden_act = "gelu_new"
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def prepare_plain(recipe: Recipe, data: Any, tokenizer: Any) -> Contender:
    """The loop everybody writes first."""
    model = plain_model(recipe, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    stream, batch, done = random_rows(data, tokenizer, 0), recipe.training.rows_per_step, 0

    def run(steps: int) -> tuple[int, float]:
        nonlocal done
        tokens, started = 0, time.perf_counter()
        for _ in range(steps):
            rows = stream.rows(done * batch, batch)
            done += 1
            ids = torch.from_numpy(rows.ids_BT)
            mask = ids != tokenizer.pad_token_id
            loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(~mask, IGNORED)).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            tokens += int((rows.targets_BT >= 0).sum())
        return tokens, time.perf_counter() - started

    return run


def prepare_trainer(recipe: Recipe, data: Any, tokenizer: Any, folder: Path, attention: str) -> Contender:
    """transformers.Trainer; its first steps, in which it compiles, are not timed."""
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

    texts = [{"input_ids": data.entries.text_ids(n).tolist()} for n in range(len(data.entries))]

    class Clock(TrainerCallback):
        """Seconds of the steps after the first `warm`."""

        def __init__(self, warm: int) -> None:
            self.warm, self.started, self.seconds = warm, 0.0, 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == self.warm:
                self.started = time.perf_counter()
            self.seconds = time.perf_counter() - self.started

    torch.compiler.reset()
    pad = DataCollatorForLanguageModeling(tokenizer, mlm=False, pad_to_multiple_of=8)
    counts: list[int] = []

    def collator(features: Any) -> Any:
        counts.append(sum(len(feature["input_ids"]) for feature in features))
        return pad(features)

    warm = 24  # every width has been seen and compiled by then
    model = plain_model(recipe, tokenizer)
    model.set_attn_implementation(attention)

    def run(steps: int) -> tuple[int, float]:
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=recipe.training.rows_per_step,
            max_steps=warm + steps,
            bf16=True,
            torch_compile=True,
            optim="adamw_torch_fused",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
            train_sampling_strategy="group_by_length",
        )
        clock = Clock(warm)
        trainer = Trainer(
            model=model, args=arguments, data_collator=collator, train_dataset=texts, callbacks=[clock]
        )
        counts.clear()
        trainer.train()
        return sum(counts[warm : warm + steps]), clock.seconds

    return run


def measure(contenders: dict[str, Contender], rounds: int, steps: int) -> dict[str, list[float]]:
    """Tokens per second of each contender in each round, taking turns."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            tokens, seconds = run(steps)
            speeds[name].append(tokens / seconds)
    return speeds


def main() -> None:
    options = _read_options()
    torch.set_num_threads(options.threads)
    recipe = make_recipe(options.augmentation)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = create_run(recipe, folder / "run")
        data, tokenizer = encode_run(run), run.tokenizer
        contenders = {
            "workbench": prepare_workbench(recipe, data, tokenizer, compiled=False),
            "compiled": prepare_workbench(recipe, data, tokenizer, compiled=True),
            "plain": prepare_plain(recipe, data, tokenizer),
        }
        if not options.no_trainer:
            for attention in ("sdpa", "eager"):
                trainer = prepare_trainer(recipe, data, tokenizer, folder, attention)
                contenders[f"trainer, {attention}"] = trainer
        measure({name: contenders[name] for name in ("workbench", "compiled", "plain")}, 1, 6)  # warm-up
        speeds = measure(contenders, options.rounds, options.steps)
    print(
        f"{options.augmentation}, {options.threads} threads, torch {torch.__version__}, recipe {recipe.digest[:8]}"
    )
    for name, rounds in speeds.items():
        print(f"{name:15s} {statistics.median(rounds):10,.0f} tokens/s (median of {options.rounds})")
    for name in list(speeds)[1:]:
        ratios = [ours / theirs for ours, theirs in zip(speeds["workbench"], speeds[name], strict=True)]
        print(
            f"workbench / {name}: {statistics.median(ratios):.2f}x "
            f"(rounds {min(ratios):.2f} to {max(ratios):.2f})"
        )


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--augmentation", default="multi5+permute")
    parser.add_argument("--no-trainer", action="store_true", help="leave out transformers.Trainer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
