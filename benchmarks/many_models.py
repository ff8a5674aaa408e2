"""Many tiny networks at once against one process a network: models × tokens a second, on one core and on two.

    python benchmarks/many_models.py
    python benchmarks/many_models.py --models 8 --widths 8,16,32 --seconds 4

One process tree: every contender is a child of this script with as many threads as it is told, they take turns, and
each does whole training steps (rows, forward, backward, clipping, AdamW) of the recipe `capacity` for some seconds
after two steps of warm-up. `alone` on two cores is two processes of one thread, as `workbench train --grid` runs them;
`together` one process with two threads. Tokens are real targets. On a shared machine look at the CPU's seconds too.
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROUNDS = 3


def measure(way: str, models: int, threads: int, width: int, seconds: float, folder: str) -> dict[str, float]:
    """Tokens a wall and a CPU second of one process that trains `models` networks together, or one by itself."""
    import torch

    torch.set_num_threads(threads)
    from workbench.recipes.recipe import load_recipe
    from workbench.studies.runs import create_run
    from workbench.training.together import Together

    changes = {"model.d_model": width, "model.n_heads": 1, "training.attention": "auto"}
    runs = [
        create_run(load_recipe("capacity", {**changes, "seed": seed}), Path(folder) / f"{width}-{seed}")
        for seed in range(models)
    ]
    if way == "together":
        batch = Together(runs, "cpu")
        stack, optimizer = batch.stack()

        def step(number: int) -> int:
            rows = [batch.rows(source, number) for source in batch.data]
            stack.backward(rows)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return sum(int((part.targets_BT >= 0).sum()) for part in rows)

    else:
        from workbench.training.distributed import join_workers
        from workbench.training.loop import _Training
        from workbench.training.objectives import SummedLoss

        one = _Training(runs[0], "cpu", join_workers("cpu"), None, None)
        loss = SummedLoss(one.model, runs[0].tokenizer.pad_token_id, False)

        def step(number: int) -> int:
            made = one._make_batch(number)
            one._step(loss, made, number)
            return made.n_targets

    for number in (1, 2):
        step(number)
    tokens, number, wall, cpu = 0, 3, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        tokens += step(number)
        number += 1
    return {"wall": tokens / (time.perf_counter() - wall), "cpu": tokens / (time.process_time() - cpu)}


def main() -> None:
    """Print a line for each width and number of cores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--widths", default="8,16,32")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--cores", default="1,2")
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        for width in map(int, arguments.widths.split(",")):
            for cores in map(int, arguments.cores.split(",")):
                found: dict[str, list[dict[str, float]]] = {"alone": [], "together": []}
                for _ in range(ROUNDS):
                    for way in found:
                        processes, threads = (cores, 1) if way == "alone" else (1, cores)
                        with spawn.Pool(processes) as pool:
                            asked = (way, arguments.models, threads, width, arguments.seconds, folder)
                            parts = pool.starmap(measure, [asked] * processes)
                        found[way].append({"wall": sum(p["wall"] for p in parts), "cpu": parts[0]["cpu"]})
                row: dict[str, Any] = {"width": width, "cores": cores, "models": arguments.models}
                for clock in ("wall", "cpu"):
                    best = {way: max(one[clock] for one in rounds) for way, rounds in found.items()}
                    row |= {f"{way} tokens/s ({clock})": round(value) for way, value in best.items()}
                    row[f"ratio ({clock})"] = round(best["together"] / best["alone"], 2)
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
