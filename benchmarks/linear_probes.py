"""All linear probes of a tiny run, by the engine and by a process-parallel loop of scikit-learn's LogisticRegression.

    python benchmarks/linear_probes.py                  # 10 checkpoints × 5 layers × 6 positions × 11 targets
    python benchmarks/linear_probes.py --checkpoints 1 --sample 20      # half a minute
    python benchmarks/linear_probes.py --l2 1 0 --controls              # and as `workbench probe` does it

Both read the same arrays from disk, with the same penalty, on the same cores. scikit-learn gets standardised
features for nothing and is timed on a random sample of its fits, each with its `predict`; the time of all of them is
the sample's, extrapolated. The engine is timed on everything `fit_probes` does: reading, standardising, fitting,
scoring with intervals. CPU time is shown beside the wall clock, since on a busy machine only that is comparable.
Memory is the peak of private memory over all processes of a contender.

Features are made as activations are: class means of every attribute plus noise whose directions differ in size by
two orders of magnitude, with a signal that varies from cell to cell. As in the tiny recipe the first token of a value
determines it, so of the 11 targets 6 are distinct, which the engine notices; `--distinct` makes all 11 differ.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, POSITIONS, WIDTH, CLASSES = 5, 6, 128, 16
ENTITIES = 2000  # half of them train


def make_arrays(folder: Path, checkpoints: int, distinct: bool) -> None:
    """Write features [cells, N, D], labels [N, 11] and train [N]."""
    rng = np.random.default_rng(0)
    attributes = rng.integers(CLASSES, size=(ENTITIES, 11 if distinct else 6))
    attributes[:, 0] %= 12  # the month
    columns = list(range(11)) if distinct else [0, *(k for k in range(1, 6) for _ in range(2))]
    cells = checkpoints * LAYERS * POSITIONS
    shape = (cells, ENTITIES, WIDTH)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, shape)
    sizes = np.arange(1, WIDTH + 1, dtype=float) ** -0.5
    sizes = sizes / np.sqrt((sizes**2).mean())
    for m in range(cells):
        turn = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
        signal: np.ndarray = np.asarray(rng.uniform(0.4, 1.3, size=attributes.shape[1]))
        means = (
            rng.normal(size=(attributes.shape[1], CLASSES, WIDTH)) * signal[:, None, None] / np.sqrt(WIDTH)
        )
        rows = rng.normal(size=(ENTITIES, WIDTH))
        for k in range(attributes.shape[1]):
            rows += 3 * means[k, attributes[:, k]] / np.sqrt(attributes.shape[1] / 6)
        features[m] = (rows * sizes) @ turn.T * rng.uniform(0.5, 2, WIDTH) + rng.normal(size=WIDTH)
    features.flush()
    np.save(folder / "labels.npy", attributes[:, columns])
    np.save(folder / "train.npy", rng.permutation(ENTITIES) < ENTITIES // 2)


def load_arrays(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, labels, train), the features as a memory map."""
    features = np.load(folder / "features.npy", mmap_mode="r")
    return features, np.load(folder / "labels.npy"), np.load(folder / "train.npy")


class PeakMemory:
    """The largest private memory of this process inside a `with` block, imports included, in MiB.

    The mapped features are not private: they cost no memory that another process could not have.
    """

    def __enter__(self) -> "PeakMemory":
        self.mib = _private_mib()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.mib = max(self.mib, _private_mib())

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.mib = max(self.mib, _private_mib())


def _private_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1]) / 1024
    return 0.0


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_engine(folder: Path, cores: int, l2: float, controls: bool) -> dict[str, Any]:
    """Everything at once, by `fit_probes`; l2 = 0: the penalty is chosen."""
    import torch

    from workbench.probing.linear import LogisticProbe, fit_probes

    torch.set_num_threads(cores)
    features, labels, train = load_arrays(folder)
    entities, probe = np.arange(len(train)), LogisticProbe(l2=l2) if l2 else LogisticProbe()
    fit_probes(features[:2], labels, entities, train, probe=probe, controls=controls)  # imports and kernels
    with PeakMemory() as memory:
        started, cpu = time.perf_counter(), _cpu_seconds()
        result = fit_probes(features, labels, entities, train, probe=probe, controls=controls)
        wall, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
    accuracy, converged = result.accuracy.values, float(result.converged.mean())
    return {
        "wall": wall,
        "cpu": cpu,
        "mib": memory.mib,
        "accuracy": accuracy.tolist(),
        "converged": converged,
    }


_arrays: tuple[np.ndarray, np.ndarray, np.ndarray]


def _start_worker(folder: Path) -> None:
    global _arrays
    from sklearn.linear_model import LogisticRegression  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _arrays = load_arrays(folder)


def _fit_one(task: tuple[int, int, float]) -> tuple[float, float, float, float]:
    """(accuracy, wall, CPU seconds, MiB) of one fit and its predictions; l2 = 0: the best of the engine's four."""
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    warnings.simplefilter("ignore")  # LogisticRegression stops after 100 iterations and says so
    m, k, l2 = task
    features, labels, train = _arrays
    cell, y = np.asarray(features[m]), labels[:, k]
    deviation = cell[train].std(0)
    cell = (cell - cell[train].mean(0)) / np.where(deviation > 0, deviation, 1)
    x_train, y_train, x_test, y_test = cell[train], y[train], cell[~train], y[~train]
    with PeakMemory() as memory:
        started, cpu = time.perf_counter(), _cpu_seconds()
        if not l2:
            held_out = np.random.default_rng(0).random(len(y_train)) < 0.15
            losses = {}
            for strength in (1000.0, 100.0, 10.0, 1.0):
                model = LogisticRegression(C=1 / strength).fit(x_train[~held_out], y_train[~held_out])
                shares = model.predict_proba(x_train[held_out])
                losses[strength] = log_loss(y_train[held_out], shares, labels=model.classes_)
            l2 = min(losses, key=losses.__getitem__)
        model = LogisticRegression(C=1 / l2).fit(x_train, y_train)
        accuracy = float((model.predict(x_test) == y_test).mean())
        wall, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
    return accuracy, wall, cpu, memory.mib


def run_scikit_learn(folder: Path, cores: int, tasks: list[tuple[int, int, float]]) -> dict[str, Any]:
    """The sample of fits, `cores` processes with one thread each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, _start_worker, (folder,)) as pool:
        list(pool.map(_fit_one, tasks[: 2 * cores]))  # imports and page cache
        rows = np.array(list(pool.map(_fit_one, tasks)))
    per_fit = rows[:, 1].mean() / cores  # the reading and standardising between the fits is not counted
    memory = rows[:, 3].max() * cores  # every worker has imports of its own
    return {"wall": per_fit, "cpu": rows[:, 2].mean(), "mib": memory, "accuracy": rows[:, 0]}


def in_fresh_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a contender where nothing else has been imported or allocated."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoints", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--l2", type=float, nargs="+", default=[1.0], help="penalties to compare at; 0: chosen"
    )
    parser.add_argument("--sample", type=int, default=120, help="fits of scikit-learn to time")
    parser.add_argument("--distinct", action="store_true", help="no two targets alike")
    parser.add_argument("--controls", action="store_true", help="as many probes again, on shuffled labels")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.cores)
    cells = options.checkpoints * LAYERS * POSITIONS
    drawn = np.random.default_rng(1).permutation(cells * 11)[: options.sample]
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_arrays(folder, options.checkpoints, options.distinct)
        for l2 in options.l2:
            engine = in_fresh_process(run_engine, folder, options.cores, l2, options.controls)
            sklearn = run_scikit_learn(
                folder, options.cores, [(int(i) // 11, int(i) % 11, l2) for i in drawn]
            )
            found.append(_compare(engine, sklearn, drawn, cells * 11 * (1 + options.controls)) | {"l2": l2})
            if not options.json:
                print(_describe(found[-1], options.cores))
    if options.json:
        print(json.dumps(found, indent=1))


def _compare(
    engine: dict[str, Any], sklearn: dict[str, Any], drawn: np.ndarray, probes: int
) -> dict[str, Any]:
    ours = np.array(engine["accuracy"]).ravel()[drawn]
    difference = 100 * (ours - sklearn["accuracy"])
    return {
        "probes": probes,
        "engine_seconds": engine["wall"],
        "engine_cpu_seconds": engine["cpu"],
        "engine_peak_mib": engine["mib"],
        "engine_converged": engine["converged"],
        "sklearn_seconds_extrapolated": sklearn["wall"] * probes,
        "sklearn_cpu_seconds_extrapolated": sklearn["cpu"] * probes,
        "sklearn_peak_mib": sklearn["mib"],
        "sampled_fits": len(drawn),
        "ratio": sklearn["wall"] * probes / engine["wall"],
        "cpu_ratio": sklearn["cpu"] * probes / engine["cpu"],
        "accuracy": float(np.mean(sklearn["accuracy"])),
        "difference_points": float(difference.mean()),
        "absolute_difference_points": float(np.abs(difference).mean()),
    }


def _describe(row: dict[str, Any], cores: int) -> str:
    penalty = f"l2 = {row['l2']:g}" if row["l2"] else "l2 chosen of four on held-out entities"
    return (
        f"{row['probes']} probes, {penalty}, {cores} cores\n"
        f"  engine        {row['engine_seconds']:8.2f} s   {row['engine_cpu_seconds']:8.2f} s of CPU   "
        f"{row['engine_peak_mib']:6.0f} MiB   converged {row['engine_converged']:.0%}\n"
        f"  scikit-learn  {row['sklearn_seconds_extrapolated']:8.2f} s   "
        f"{row['sklearn_cpu_seconds_extrapolated']:8.2f} s of CPU   {row['sklearn_peak_mib']:6.0f} MiB   "
        f"(extrapolated from {row['sampled_fits']} fits)\n"
        f"  ratio {row['ratio']:.1f}× (CPU {row['cpu_ratio']:.1f}×); mean accuracy {row['accuracy']:.3f}, engine minus "
        f"scikit-learn {row['difference_points']:+.2f} points (absolute {row['absolute_difference_points']:.2f})"
    )


if __name__ == "__main__":
    main()
