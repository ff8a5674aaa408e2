"""Probes of runs larger than memory: seconds and peak memory as the number of entities grows.

    python benchmarks/probing_memory.py                                   # 1,000 and 3,000 entities × 5 entries
    python benchmarks/probing_memory.py --entities 10000 30000 100000     # the sizes of the claim; an hour on two cores

Each size is a run of the tiny recipe (`multi5+permute`: five entries an entity) with an untrained model, probed by
`workbench probe`'s own functions under `--memory`: texts are encoded, activations cached once, then every family is
fitted at every layer, position and target with its control. Every step runs in a process of its own. Peak memory is
private memory beyond what the process holds once its libraries and the model are loaded; pages of the mapped store
are not private. At the smallest size the same probe is also made in memory, and the largest difference of an accuracy
is printed. `data` is what making the corpus and the run's folder takes, `encode` reading and encoding it.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

STEPS = ("data", "encode", "cache")


class PeakMemory:
    """The largest private memory of this process inside a `with` block, beyond what it held at its start, in MiB."""

    def __enter__(self) -> "PeakMemory":
        self.before = self.peak = _private_mib()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, _private_mib())


def _private_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1]) / 1024
    return 0.0


def run_step(step: str, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """One step of one size in this process: seconds, CPU seconds, MiB and, of a probe, its accuracies."""
    import torch

    from workbench.probing.cached_probe import make_cached_task, run_cached_probe
    from workbench.probing.layer_features import find_features
    from workbench.probing.p_probe import make_p_probe_data
    from workbench.studies.loading import load_model
    from workbench.studies.runs import open_run

    torch.set_num_threads(options["threads"])
    found: dict[str, Any] = {"step": step}
    if step != "data":
        run = open_run(folder)
        checkpoint = run.checkpoint("last")
        load_model(checkpoint)
    with PeakMemory() as memory:
        started, cpu = time.perf_counter(), time.process_time()
        if step == "data":
            _make_run(folder, options["entities"], options["width"])
        else:
            task = make_cached_task(run, make_p_probe_data(run))
            if step == "cache":
                find_features(run, checkpoint, task.reading, options["layers"], "cpu", options["memory"])
            elif step != "encode":
                found["texts"] = len(task.reading)
                prepared = time.perf_counter() - started
                result = run_cached_probe(
                    run, checkpoint, task, probe=step, layers=options["layers"], memory=options["memory"]
                )
                found["read_from"] = json.loads(result.attrs["notes"])["read_from"]
                found["probe_seconds"] = time.perf_counter() - started - prepared
                found["accuracy"] = result.accuracy.values.ravel().tolist()
        found |= {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    return found | {"peak_mib": memory.peak - memory.before}


def _make_run(folder: Path, entities: int, width: int | None) -> None:
    """A run of the tiny recipe whose only checkpoint is its untrained model."""
    from workbench.recipes.recipe import load_recipe
    from workbench.studies.checkpoints import save_checkpoint
    from workbench.studies.runs import create_run
    from workbench.training.loop import make_fresh_model

    changes: dict[str, Any] = {"people.number": entities, "biographies.augmentation": "multi5+permute"}
    if width:
        changes |= {"model.d_model": width, "model.n_heads": 2}
    run = create_run(load_recipe("tiny", changes), folder)
    tokenizer = run.tokenizer
    model = make_fresh_model(run.recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    save_checkpoint(run.checkpoints_folder, model, tokenizer, 0, {})


def in_fresh_process(*arguments: Any) -> dict[str, Any]:
    """A step where nothing else has been imported or allocated."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run_step, *arguments).result()


def main() -> None:
    """Measure and print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entities", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--families", nargs="+", default=["ridge", "logistic"])
    parser.add_argument("--layers", nargs="+", help="default: all")
    parser.add_argument("--width", type=int, help="of the hidden states; default: the tiny recipe's")
    parser.add_argument("--memory", default="1GiB", help="given to every step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where runs are made; default: a temporary folder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from workbench.memory import read_bytes

    rows: list[dict[str, Any]] = []
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for number, entities in enumerate(given.entities):
            options = {
                "entities": entities, "layers": given.layers, "threads": given.threads,
                "memory": read_bytes(given.memory), "width": given.width,
            }  # fmt: skip
            folder = Path(name) / str(entities)
            for step in (*STEPS, *given.families):
                row = {"entities": entities, **in_fresh_process(step, folder, options)}
                accuracy = row.pop("accuracy", None)
                if number == 0 and step in given.families:
                    held = in_fresh_process(step, folder, options | {"memory": 1 << 40})
                    differences = [
                        abs(a - b) for a, b in zip(accuracy, held["accuracy"], strict=True) if a == a
                    ]
                    row |= {"in_memory": held["read_from"], "largest_difference": max(differences)}
                rows.append(row)
                print(json.dumps({key: _short(value) for key, value in row.items()}), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def _short(value: Any) -> Any:
    return round(value, 4 if value < 1 else 1) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
