"""Share of a GPU's peak matrix rate that training reaches (MFU), at `paper` size in bf16.

    python benchmarks/mfu.py [--preset paper] [--rows 96] [--accumulation 1] [--steps 20]

The workbench's own training step on rows of 512 tokens: bf16 autocast, fused attention, torch.compile, fused AdamW.
MFU = tokens per second · (6·N + 12·L·D·T) / peak, N counting the tied embedding once (PaLM, appendix B). The first
steps, in which everything is compiled, are left out. Without CUDA it says so and ends; `--device cpu` measures
against what a large matrix product reaches there.
"""

import argparse
import time

import numpy as np
import torch
from workbench_models import count_parameters, load_preset, make_model

from workbench.recipes.recipe import load_recipe
from workbench.tokens.packing import Rows
from workbench.training.devices import choose_execution, peak_flops, training_flops_per_token
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.optimizers import learning_rate, make_optimizers

WARM_UP = 5


def draw_rows(rng: np.random.Generator, rows: int, length: int, vocabulary: int) -> Rows:
    """Full rows of random ids, as packing `resampled` gives them."""
    ids_BT = rng.integers(0, vocabulary, (rows, length + 1))
    return Rows(ids_BT[:, :-1].copy(), ids_BT[:, 1:].copy())


def main() -> None:
    options = _read_options()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no CUDA device here, so the MFU at paper size was not measured.")
        return
    recipe = load_recipe(
        "tiny", {"training.optimizer": options.optimizer, "training.compile": options.compile}
    ).training
    shape = load_preset(options.preset)
    execution = choose_execution(recipe, options.device, steps=10**9)
    model = make_model(
        shape, vocab_size=options.vocabulary, seed=0, eos_token_id=0, pad_token_id=1,
        attention=execution.attention, dropout=options.dropout,
    )  # fmt: skip
    model.to(torch.device(options.device)).train()  # type: ignore[arg-type]
    summed = SummedLoss(model, pad_id=1, bidirectional=False)
    if execution.compile:
        summed.compile(dynamic=True)
    optimizers = make_optimizers(model, recipe, execution)
    rng = np.random.default_rng(0)
    started = seconds = 0.0
    for step in range(WARM_UP + options.steps):
        if step == WARM_UP:
            _wait(options.device)
            started = time.perf_counter()
        for _ in range(options.accumulation):
            rows = draw_rows(rng, options.rows // options.accumulation, options.length, options.vocabulary)
            with execution.autocast():
                loss = summed(*to_tensors(rows, options.device))
            (loss / (options.rows * options.length)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, 10**6)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    _wait(options.device)
    seconds = time.perf_counter() - started
    speed = (
        options.steps
        * (options.rows // options.accumulation)
        * options.accumulation
        * options.length
        / seconds
    )
    flops = training_flops_per_token(count_parameters(model), shape.n_layers, shape.d_model, options.length)
    print(
        f"{_name(options.device)}, {options.preset}, {count_parameters(model) / 1e6:.0f} M parameters, "
        f"{'bf16' if execution.bf16 else 'fp32'}, {execution.attention}, "
        f"{'compiled' if execution.compile else 'not compiled'}, torch {torch.__version__}"
    )
    print(
        f"{speed:,.0f} tokens/s, {flops * speed / 1e12:.1f} TFLOP/s of {peak_flops(execution) / 1e12:.1f}: "
        f"MFU {flops * speed / peak_flops(execution):.1%}"
    )


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _name(device: str) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"CPU, {torch.get_num_threads()} threads"
    )


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--vocabulary", type=int, default=50_260, help="GPT-2's ids and three of ours")
    parser.add_argument("--dropout", type=float, default=0.1, help="the paper's")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--accumulation", type=int, default=1, help="lower memory: rows in so many parts")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "muon"])
    parser.add_argument("--compile", default="auto", choices=["auto", "yes", "no"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
