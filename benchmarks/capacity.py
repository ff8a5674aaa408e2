"""Bits against parameters at two-core size: the series of docs/capacity.md, trained several networks at once.

    OMP_NUM_THREADS=1 python benchmarks/capacity.py --out runs/capacity series
    OMP_NUM_THREADS=1 python benchmarks/capacity.py --out runs/capacity        # every part

Parts are declared below as grids over the recipe `capacity`; what is finished is kept, so the same command goes on
where it was stopped. It prints a row a run (bits, parameters, R, R max, int8 and int4 where torchao is installed), the
mean over seeds, and the CPU-seconds of each part.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from workbench.capacity.measure import CapacityRequest, capacity_of_study
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe, load_recipe
from workbench.training.together import together_key, train_together

Values = dict[str, list[Any]]
PARTS: dict[str, Values] = {
    "series": {"values.entities": [500], "model.d_model": [8, 16, 24], "seed": [0, 1, 2]},
    "more-entities": {"values.entities": [1000], "model.d_model": [16, 24, 32], "seed": [0]},
    "fewer-entities": {"values.entities": [250], "model.d_model": [8, 16], "seed": [0, 1, 2]},
    "exposures": {
        "values.entities": [500],
        "training.exposures": [1000],
        "model.d_model": [16],
        "seed": [0, 1, 2],
    },
    "exposures-sizes": {
        "values.entities": [500],
        "training.exposures": [1000],
        "model.d_model": [8, 24],
        "seed": [0],
    },
    "no-mlp": {"values.entities": [500], "model.mlp_ratio": [0], "model.d_model": [24], "seed": [0, 1, 2]},
}
SHARED = {"model.n_heads": 1, "training.lr": 2e-2, "training.rows_per_step": 24}


def recipes_of(part: Values) -> Iterator[Recipe]:
    """Every combination of a part's values, named after them."""
    for combination in itertools.product(*part.values()):
        values = dict(zip(part, combination, strict=True))
        name = "+".join(f"{key.rpartition('.')[2].replace('_', '-')}{value}" for key, value in values.items())
        yield load_recipe("capacity", {**SHARED, **values, "name": name})


def measure_part(name: str, part: Values, out: Path) -> None:
    """Train and measure a part; a row for each run on standard output."""
    start = time.process_time()
    batches: dict[str, list[Recipe]] = {}
    for recipe in recipes_of(part):
        steps = recipe.training.exposures * (recipe.values.entities if recipe.values else 0)
        batches.setdefault(f"{together_key(recipe)} {steps}", []).append(recipe)
    for batch in batches.values():
        runs = train_together(batch, [out / name / recipe.name for recipe in batch])
        rows = []
        for run in runs:
            row: dict[str, Any] = {"part": name, "run": run.name}
            for quantisation in ("", "int8", "int4"):
                try:
                    request = CapacityRequest(quantisation=quantisation)
                    (data,) = capacity_of_study(run, run.checkpoints[-1:], request)
                except WorkbenchError as error:
                    row[quantisation] = str(error)
                    continue
                if not quantisation:
                    numbers = {key: round(float(data[key])) for key in ("parameters", "bits", "most_bits")}
                    row |= numbers | {"R max": round(float(data["ratio_max"]), 3)}
                row[f"R {quantisation}".strip()] = round(float(data["ratio"]), 3)
            rows.append(row)
            print(json.dumps(row), flush=True)
        ratios = [row["R"] for row in rows]
        spread = statistics.stdev(ratios) if len(ratios) > 1 else float("nan")
        print(f"{name}, {len(rows)} seeds: R {statistics.mean(ratios):.3f} ± {spread:.3f} (sd)", flush=True)
    print(f"{name}: {time.process_time() - start:.0f} CPU-seconds", flush=True)


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/capacity"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.parts or PARTS:
        measure_part(name, PARTS[name], arguments.out)


if __name__ == "__main__":
    main()
