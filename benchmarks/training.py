"""Training speed at the `tiny` recipe, beside three others, and what each part of our step costs.

    python benchmarks/training.py [--threads 2] [--rounds 5] [--steps 4] [--clock cpu] [--no-trainer]

The contenders take turns, so a shared machine's drift falls on all of them; `--clock cpu` counts CPU seconds in place
of wall-clock ones. Speeds are real tokens (no padding) per second of training steps, data included:

workbench  our step with AdamW and with Muon: what the processor is fast at (`workbench doctor`), entries of like
           length in a step, output layer at real targets only, freed memory kept
plain      `model(input_ids, attention_mask, labels)` in float32, eager attention, gelu_new, AdamW, padded batches
minimal    a GPT in one file (benchmarks/minimal_gpt.py), on the very rows that ours gets
trainer    `transformers.Trainer` at its best settings for this processor: bf16 where that pays, length grouping, fused
           AdamW; compiled and not. A second figure counts the compilation over a `tiny` run of 1,750 steps

Only ours keeps freed memory: before the turn of another the C library's settings are put back to where they settle,
which gives the memory back. So every turn begins with steps that are not counted, as the trainer's does.
"""

import argparse
import ctypes
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from minimal_gpt import MinimalGPT

from workbench.recipes.recipe import Recipe, load_recipe
from workbench.studies.runs import create_run
from workbench.tokens.packing import IGNORED, Rows, RowStream
from workbench.training.data import encode_run
from workbench.training.devices import Execution, choose_execution
from workbench.training.loop import make_fresh_model
from workbench.training.memory import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, keep_freed_memory
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.optimizers import make_optimizers
from workbench.training.processor import bf16_pays, describe_cpu

TINY_STEPS = 1750
WARM_STEPS = 3  # of a turn: each takes back the memory that the turn before gave up
Contender = Callable[[int], tuple[int, float]]  # steps → real tokens, seconds
clock = time.perf_counter


@dataclass
class Parts:
    """Seconds of each part of a step, summed up."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    since: float = 0.0

    def start(self) -> None:
        self.since = clock()

    def end(self, part: str) -> None:
        now = clock()
        self.seconds[part] += now - self.since
        self.since = now

    def shares(self) -> str:
        whole = sum(self.seconds.values())
        return ", ".join(f"{part} {seconds / whole:.0%}" for part, seconds in self.seconds.items())


def settle_memory() -> None:
    """What glibc's moving thresholds come to on their own in such a program: 32 MiB, and twice that."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
        libc.malloc_trim(0)


def prepare_workbench(
    recipe: Recipe, execution: Execution, data: Any, tokenizer: Any, parts: Parts
) -> Contender:
    """Our training step, as `tiny` runs it with the recipe's optimizer."""
    model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    execution.prepare(model)
    summed = SummedLoss(model, tokenizer.pad_token_id, bidirectional=False)
    optimizers = make_optimizers(model, recipe.training, execution)
    batch, done = recipe.training.rows_per_step, 0

    def run(steps: int) -> tuple[int, float]:
        nonlocal done
        keep_freed_memory()
        tokens, started = 0, clock()
        for _ in range(steps):
            parts.start()
            rows = data.stream.rows(done * batch, batch)
            done += 1
            n_targets = int((rows.targets_BT >= 0).sum())
            tensors = to_tensors(rows, "cpu")
            parts.end("data")
            with execution.autocast():
                loss = summed(*tensors)
            parts.end("forward")
            (loss / n_targets).backward()
            parts.end("backward")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            parts.end("optimizer")
            tokens += n_targets
        return tokens, clock() - started

    return run


def prepare_minimal(recipe: Recipe, execution: Execution, data: Any, tokenizer: Any) -> Contender:
    """The GPT in one file, on our rows."""
    shape, batch, done = recipe.model.shape, recipe.training.rows_per_step, 0
    model = MinimalGPT(len(tokenizer), shape.d_model, shape.n_layers, shape.n_heads, shape.max_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)

    def run(steps: int) -> tuple[int, float]:
        nonlocal done
        settle_memory()
        tokens, started = 0, clock()
        for _ in range(steps):
            rows: Rows = data.stream.rows(done * batch, batch)
            done += 1
            with execution.autocast():
                loss = model(torch.from_numpy(rows.ids_BT), torch.from_numpy(rows.targets_BT))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tokens += int((rows.targets_BT >= 0).sum())
        return tokens, clock() - started

    return run


def plain_model(recipe: Recipe, tokenizer: Any) -> Any:
    """The same network as its usual configuration has it: composed GELU, library attention."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    config = AutoConfig.for_model(**model.config.to_dict())
    config.hidden_act = "gelu_new"
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def prepare_plain(recipe: Recipe, data: Any, tokenizer: Any) -> Contender:
    """The loop everybody writes first: entries in random order, padded to the longest of a batch."""
    model = plain_model(recipe, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = {"end_id": tokenizer.eos_token_id, "pad_id": tokenizer.pad_token_id}
    stream = RowStream(data.entries, purpose="plain", seed=0, **ids)
    batch, done = recipe.training.rows_per_step, 0

    def run(steps: int) -> tuple[int, float]:
        nonlocal done
        settle_memory()
        tokens, started = 0, clock()
        for _ in range(steps):
            rows = stream.rows(done * batch, batch)
            done += 1
            ids_BT = torch.from_numpy(rows.ids_BT)
            mask_BT = ids_BT != tokenizer.pad_token_id
            labels_BT = ids_BT.masked_fill(~mask_BT, IGNORED)
            loss = model(input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            tokens += int((rows.targets_BT >= 0).sum())
        return tokens, clock() - started

    return run


@dataclass
class TrainerRun:
    """`transformers.Trainer`; the first steps, in which it compiles, are timed apart."""

    recipe: Recipe
    data: Any
    tokenizer: Any
    folder: Path
    bf16: bool
    compiled: bool
    warm: int = 24  # every width has been seen, and compiled, by then
    starting: float = 0.0

    def __call__(self, steps: int) -> tuple[int, float]:
        from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

        settle_memory()
        torch.compiler.reset()
        pad = DataCollatorForLanguageModeling(self.tokenizer, mlm=False, pad_to_multiple_of=8)
        counts: list[int] = []
        marks: list[float] = []

        def collate(features: Any) -> Any:
            counts.append(sum(len(feature["input_ids"]) for feature in features))
            return pad(features)

        class Clock(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                marks.append(clock())

        model = plain_model(self.recipe, self.tokenizer)
        model.set_attn_implementation("eager" if self.bf16 else "sdpa")
        arguments = TrainingArguments(
            output_dir=str(self.folder),
            per_device_train_batch_size=self.recipe.training.rows_per_step,
            max_steps=self.warm + steps,
            bf16=self.bf16,
            torch_compile=self.compiled,
            optim="adamw_torch_fused",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
            train_sampling_strategy="group_by_length",
        )
        texts = [{"input_ids": self.data.entries.text_ids(n).tolist()} for n in range(len(self.data.entries))]
        trainer = Trainer(
            model=model, args=arguments, data_collator=collate, train_dataset=texts, callbacks=[Clock()]
        )
        started = clock()
        trainer.train()
        self.starting = marks[self.warm - 1] - started
        return sum(counts[self.warm : self.warm + steps]), marks[-1] - marks[self.warm - 1]

    def over_a_run(self, tokens_a_second: float, tokens_a_step: float) -> float:
        """Tokens per second over a whole `tiny` run, its first steps and the compilation in them counted."""
        rest = (TINY_STEPS - self.warm) * tokens_a_step / tokens_a_second
        return TINY_STEPS * tokens_a_step / (self.starting + rest)


def measure(contenders: dict[str, Contender], rounds: int, steps: int) -> dict[str, list[float]]:
    """Tokens per second of each contender in each round, taking turns."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if not isinstance(run, TrainerRun):
                run(WARM_STEPS)
            tokens, seconds = run(steps)
            speeds[name].append(tokens / seconds)
    return speeds


def main() -> None:
    global clock
    options = _read_options()
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    torch.set_num_threads(options.threads)
    changes = {"biographies.augmentation": options.augmentation}
    recipe, with_muon = (
        load_recipe("tiny", {**changes, "training.optimizer": name}) for name in ("adamw", "muon")
    )
    execution = choose_execution(recipe.training, "cpu", TINY_STEPS)
    parts = {"workbench": Parts(), "workbench, Muon": Parts()}
    with tempfile.TemporaryDirectory() as name:
        run = create_run(recipe, Path(name) / "run")
        data, tokenizer = encode_run(run), run.tokenizer
        contenders: dict[str, Contender] = {
            "workbench": prepare_workbench(recipe, execution, data, tokenizer, parts["workbench"]),
            "workbench, Muon": prepare_workbench(
                with_muon, execution, data, tokenizer, parts["workbench, Muon"]
            ),
            "plain": prepare_plain(recipe, data, tokenizer),
            "minimal": prepare_minimal(recipe, execution, data, tokenizer),
        }
        trainers = {
            label: TrainerRun(recipe, data, tokenizer, Path(name), bf16_pays()[0], compiled)
            for label, compiled in (("trainer", False), ("trainer, compiled", True))
        }
        if not options.no_trainer:
            contenders |= trainers
        speeds = measure(contenders, options.rounds, options.steps)
    print(f"{describe_cpu()}; {execution.precision}, {execution.attention}, {execution.gelu} GELU")
    print(
        f"{options.augmentation}, {options.threads} threads, torch {torch.__version__}, {options.clock} seconds"
    )
    for name, rounds in speeds.items():
        print(f"{name:18s} {statistics.median(rounds):8,.0f} tokens/s (median of {options.rounds})")
    tokens_a_step = recipe.training.rows_per_step * float(data.entries.lengths.mean())
    for name, trainer in trainers.items():
        if name in speeds:
            whole = trainer.over_a_run(statistics.median(speeds[name]), tokens_a_step)
            print(f"{name:18s} {whole:8,.0f} tokens/s over a run of {TINY_STEPS:,} steps, its start counted")
    for ours in parts:
        for name in [one for one in speeds if one not in parts]:
            ratios = [mine / theirs for mine, theirs in zip(speeds[ours], speeds[name], strict=True)]
            print(
                f"{ours} / {name}: {statistics.median(ratios):.2f}x (rounds {min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(f"a step of {ours}: {parts[ours].shares()}")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--augmentation", default="multi5+permute")
    parser.add_argument("--no-trainer", action="store_true", help="leave out transformers.Trainer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
