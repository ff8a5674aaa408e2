"""How fast activations are cached, against a bare forward pass, TransformerLens and nnsight, in one process.

    python benchmarks/caching.py                      the tiny model on this machine's CPU
    python benchmarks/caching.py --model small --texts 400
    python benchmarks/caching.py --device cuda --model paper --dtype bfloat16 --texts 20000
    python benchmarks/caching.py --scale 10000 100000    caching to disk: minutes and peak memory

All contenders run the same model on the same batches of biographies, in turns; a figure is the median of the
rounds. Own hooks keep all `resid_post` at the six positions; so does what is taken from the toolkits' caches. Peak
memory is what a contender takes beside model and batches: on a CPU the growth of the resident set of a process of
its own.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workbench_models import is_bidirectional, load_preset, make_model, parse_sites

from workbench.activations import Reading, cache_activations, iterate_activations, read_entries
from workbench.activations.toolkits import copy_sharing_weights, make_bridge, make_trace
from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import make_corpus
from workbench.tokens.encoding import encode_entries
from workbench.tokens.reading import Ints, plan_batches
from workbench.tokens.tokenizers import make_tokenizer

Batch = tuple[torch.Tensor, torch.Tensor]


def make_reading(texts: int) -> tuple[Reading, int, int]:
    """Biographies of the tiny recipe at the six positions, the vocabulary's size and the end token."""
    changes = {"people.number": -(-texts // 5), "biographies.augmentation": "multi5+permute"}
    corpus = make_corpus(load_recipe("tiny", changes))
    tokenizer = make_tokenizer(load_recipe("tiny").tokens, corpus.texts)
    entries = encode_entries(tokenizer, corpus.entries[:texts], corpus.schema)
    return read_entries(entries, corpus.entities), len(tokenizer), int(tokenizer.eos_token_id or 0)


def make_batches(reading: Reading, model: Any, batch_tokens: int) -> list[Batch]:
    """The very batches own caching makes: ids [B, T] and positions [B, P] on the device."""
    lengths = reading.read_lengths(is_bidirectional(model.config))
    return [_pad(reading, lengths, rows, model.device) for rows in plan_batches(lengths, batch_tokens)]


def _pad(reading: Reading, lengths: Ints, rows: Ints, device: torch.device) -> Batch:
    ids = np.full((len(rows), int(lengths[rows].max())), 2, np.int64)
    for line, row in enumerate(rows):
        start = reading.offsets[row]
        ids[line, : lengths[row]] = reading.ids[start : start + lengths[row]]
    return torch.from_numpy(ids).to(device), torch.from_numpy(reading.positions[rows].astype(np.int64)).to(
        device
    )


def contenders(
    model: Any, batches: list[Batch], reading: Reading, options: Any
) -> dict[str, Callable[[], None]]:
    """What is timed, each over all batches once."""
    blocks = range(model.config.num_hidden_layers)
    sites = parse_sites("resid_post", len(blocks))
    bridge = make_bridge(copy_sharing_weights(model))
    traced = make_trace(copy_sharing_weights(model).base_model)
    wanted = [f"blocks.{block}.hook_resid_post" for block in blocks]
    paths = [f"model.layers.{block}" for block in blocks]

    def gather(tensor: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return tensor[torch.arange(len(positions), device=positions.device)[:, None], positions]

    def bare() -> None:
        for ids, _ in batches:
            model.base_model(ids)

    def hooks() -> None:
        for _ in iterate_activations(model, reading, sites, batch_tokens=options.batch_tokens):
            pass

    def store() -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache_activations(model, reading, sites, folder=folder, batch_tokens=options.batch_tokens)

    def lens_filtered() -> None:
        for ids, positions in batches:
            _, cache = bridge.run_with_cache(ids, names_filter=wanted, return_type=None)
            _ = [gather(cache[name], positions) for name in wanted]

    def lens_all() -> None:
        for ids, positions in batches:
            _, cache = bridge.run_with_cache(ids, return_type=None)
            _ = [gather(cache[name], positions) for name in wanted]

    def nnsight_cache() -> None:
        for ids, positions in batches:
            with traced.trace(ids) as tracer:
                cache = tracer.cache(modules=paths, device=None)
            _ = [gather(cache[path].output, positions) for path in paths]

    return {
        "bare forward, no head": bare,
        "workbench, in memory": hooks,
        "workbench, to disk": store,
        "TransformerLens, filtered": lens_filtered,
        "TransformerLens, unfiltered": lens_all,
        "nnsight .cache()": nnsight_cache,
    }


@contextlib.contextmanager
def peak_memory(device: str) -> Iterator[list[float]]:
    """Yields a list that afterwards holds the growth at the peak, in MiB."""
    found: list[float] = []
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found.append((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    yield found
    found.append((_status("VmHWM") - before) / 1024)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def prepare(options: argparse.Namespace) -> tuple[Reading, dict[str, Callable[[], None]]]:
    """The texts, and the contenders over one model and one list of batches."""
    reading, vocabulary, end = make_reading(options.texts)
    shape = load_preset(options.model)
    model: Any = make_model(shape, vocab_size=vocabulary, seed=0, eos_token_id=end, pad_token_id=end)
    model = model.to(options.device, getattr(torch, options.dtype)).eval()
    batches = make_batches(reading, model, options.batch_tokens)
    return reading, contenders(model, batches, reading, options)


def peak_of(name: str, options: argparse.Namespace) -> float:
    """MiB a contender takes, in a process of its own."""
    program = [
        sys.executable,
        __file__,
        "--peak",
        name,
        "--model",
        options.model,
        "--texts",
        str(options.texts),
    ]
    program += [
        "--batch-tokens",
        str(options.batch_tokens),
        "--device",
        options.device,
        "--dtype",
        options.dtype,
    ]
    return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


@torch.no_grad()
def measure_peak(name: str, options: argparse.Namespace) -> float:
    """What `peak_of` runs."""
    _, runs = prepare(options)
    with peak_memory(options.device) as peak:
        runs[name]()
    return peak[0]


@torch.no_grad()
def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second and peak memory of each contender, and the ratios the issue names."""
    reading, runs = prepare(options)
    tokens = int(reading.read_lengths(False).sum())
    times: dict[str, list[float]] = {}
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[options.clock]
    for round_number in range(options.rounds + 1):
        for name, run in runs.items():
            started = clock()
            run()
            if options.device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_number:  # the first round warms up
                times.setdefault(name, []).append(clock() - started)
    peaks = {name: peak_of(name, options) for name in runs}
    speed = {name: tokens / statistics.median(seconds) for name, seconds in times.items()}

    def ratio(name: str, other: str) -> float:
        """The median over rounds of the ratio within one round, which a busy machine disturbs less."""
        return statistics.median(b / a for a, b in zip(times[name], times[other], strict=True))

    own = "workbench, in memory"
    return {
        "tokens per second": speed,
        "peak MiB": peaks,
        "ratios": {
            "in memory / bare (aim 0.9)": ratio(own, "bare forward, no head"),
            "to disk / bare": ratio("workbench, to disk", "bare forward, no head"),
            "in memory / TransformerLens filtered (aim 2)": ratio(own, "TransformerLens, filtered"),
            "in memory / TransformerLens unfiltered (aim 4)": ratio(own, "TransformerLens, unfiltered"),
            "in memory / nnsight .cache() (aim 1.3)": ratio(own, "nnsight .cache()"),
        },
    }


def read_back(options: argparse.Namespace) -> float:
    """GB/s of turning a warm store's views into numpy arrays."""
    reading, vocabulary, end = make_reading(options.texts)
    model: Any = make_model(
        load_preset("tiny"), vocab_size=vocabulary, seed=0, eos_token_id=end, pad_token_id=end
    )
    with tempfile.TemporaryDirectory() as folder:
        store = cache_activations(
            model, reading, "resid_pre,resid_mid,resid_post,attn_out,mlp_out", folder=folder
        )
        times = []
        for _ in range(5):
            started = time.perf_counter()
            for site in store:
                store[site].to_numpy()
            times.append(time.perf_counter() - started)
        return store.bytes / min(times) / 1e9


def cache_at_scale(texts: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds, GB and peak resident memory of caching so many biographies to disk, in a process of its own."""
    program = [sys.executable, __file__, "--alone", str(texts), "--batch-tokens", str(options.batch_tokens)]
    return dict(json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout))


def alone(texts: int, options: argparse.Namespace) -> dict[str, float]:
    """What `cache_at_scale` runs: only the caching is timed, and its own growth of memory measured."""
    reading, vocabulary, end = make_reading(texts)
    model: Any = make_model(
        load_preset("tiny"), vocab_size=vocabulary, seed=0, eos_token_id=end, pad_token_id=end
    )
    with tempfile.TemporaryDirectory() as folder, peak_memory("cpu") as peak:
        started = time.perf_counter()
        store = cache_activations(
            model, reading, "resid_post", folder=folder, batch_tokens=options.batch_tokens
        )
        seconds = time.perf_counter() - started
        size = store.bytes
    total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "GB": size / 1e9,
        "peak growth MiB": peak[0],
        "peak of the process MiB": total,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help="a preset: tiny, small, paper")
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine others use too"
    )
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--scale", type=int, nargs="*", default=[], help="numbers of texts to cache to disk")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(measure_peak(options.peak, options))
        return
    if options.alone:
        print(json.dumps(alone(options.alone, options)))
        return
    for texts in options.scale:
        figures = cache_at_scale(texts, options)
        print(f"{texts:>7,} texts: " + ", ".join(f"{name} {value:,.1f}" for name, value in figures.items()))
    if options.scale:
        return
    found = compare(options)
    where = f"{options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(
        f"{options.model}, {options.dtype}, batches of {options.batch_tokens} tokens, {where}, {options.clock} time"
    )
    for name, speed in found["tokens per second"].items():
        print(f"  {name:<30} {speed:>12,.0f} tokens/s   peak {found['peak MiB'][name]:>8,.0f} MiB")
    for name, value in found["ratios"].items():
        print(f"  {name:<50} {value:.2f}")
    print(f"  {'reading a store back (aim 1 GB/s)':<50} {read_back(options):.2f} GB/s")


if __name__ == "__main__":
    main()
