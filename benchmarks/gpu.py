"""Everything that a GPU is to be fast at, measured in one command of at most nine minutes; writes one JSON.

    python benchmarks/gpu.py --json gpu.json                     # on a GPU: the paper's shape, bf16, compiled
    python benchmarks/gpu.py --device cpu --json cpu.json        # the same script in small, about a minute

Needs python 3.11+, torch, transformers, numpy, xarray, scikit-learn; not dash, transformer-lens or nnsight.
Where pydantic is missing, `--wheels FOLDER` reads it from wheels (pydantic, pydantic-core, annotated-types,
typing-inspection). A part that fails is noted with its error, and the others go on.

training    tokens a second and MFU of our step (tied GPT-NeoX, filled rows, batches made ahead, losses read late)
recipe      the same shape as a plain GPT in the manner of nanoGPT (written below): compiled, fused AdamW, bf16
p_probe     seconds a step of all targets, and what 30,000 steps would take; q_probe likewise
caching     tokens a second to disk at six positions of every layer, beside a bare forward pass
linear      logistic probes of several cells by the engine on the device, beside scikit-learn on the CPU
equal       largest differences between device and CPU: losses, accuracies, answers
trained     a recipe trained from its texts on, as far as the time left allows
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "app")]
CLASSES = (12, 200, 200, 263, 263, 300, 300, 100, 100, 200, 200)  # of the paper's eleven targets


@dataclass(frozen=True)
class Sizes:
    """How large each part is: the paper's on a GPU, small on a CPU."""

    preset: str
    vocabulary: int
    rows: int
    length: int
    steps: int
    probe_steps: int
    texts: int
    cached_texts: int
    cells: int
    entities: int
    recipe: str
    recipe_seconds: float


GPU = Sizes("paper", 50_260, 96, 512, 30, 200, 50, 20_000, 12, 20_000, "small", 120.0)
CPU = Sizes("tiny", 400, 8, 64, 4, 4, 3, 200, 2, 400, "tiny", 8.0)


def main() -> None:
    """Run every part that fits into the time, and write what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=8.5, help="no part begins after this")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to import what is missing from")
    parser.add_argument("--only", nargs="+", help="parts, by name")
    options = parser.parse_args()
    if options.wheels:
        sys.path.insert(0, _unpack(options.wheels))
    sizes = CPU if options.device == "cpu" else GPU
    found: dict[str, Any] = {"environment": describe(options.device)}
    started = time.perf_counter()
    for part in (training, recipe, p_probe, q_probe, caching, linear, equal, trained):
        name = part.__name__
        if options.only and name not in options.only:
            continue
        if time.perf_counter() - started > 60 * options.minutes:
            found[name] = {"left out": "no time was left"}
            continue
        begun = time.perf_counter()
        try:
            found[name] = part(options.device, sizes)
        except Exception as error:
            found[name] = {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        found[name]["seconds in all"] = round(time.perf_counter() - begun, 2)
        print(name, json.dumps({k: v for k, v in found[name].items() if k != "trace"}), flush=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if "tokens_per_second" in found.get("training", {}) and "tokens_per_second" in found.get("recipe", {}):
        found["ratio to the recipe"] = round(
            found["training"]["tokens_per_second"] / found["recipe"]["tokens_per_second"], 3
        )
    found["seconds"] = round(time.perf_counter() - started, 1)
    options.json.write_text(json.dumps(found, indent=1) + "\n")


def describe(device: str) -> dict[str, Any]:
    """What this is measured on."""
    import transformers

    on_gpu = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"CPU, {torch.get_num_threads()} threads",
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


# --- training


def training(device: str, sizes: Sizes) -> dict[str, Any]:
    """Our training step on filled rows of random ids, as `workbench train` takes it."""
    from workbench_models import count_parameters

    from workbench.tokens.packing import Rows
    from workbench.training.devices import peak_flops, training_flops_per_token
    from workbench.training.objectives import SummedLoss, to_tensors
    from workbench.training.optimizers import make_optimizers
    from workbench.training.pipelining import LateNumbers, make_ahead

    settings, execution = _training_settings(device)
    model = _make_model(sizes, device)
    execution.prepare(model)
    model.train()
    summed = SummedLoss(model, pad_id=1, bidirectional=False)
    if execution.compile:
        summed.compile(dynamic=False)
    optimizers = make_optimizers(model, settings, execution)
    late, n_targets = LateNumbers(device), sizes.rows * sizes.length

    def make(step: int) -> tuple[torch.Tensor, ...]:
        ids_BT = np.random.default_rng(step).integers(2, sizes.vocabulary, (sizes.rows, sizes.length + 1))
        return to_tensors(Rows(ids_BT[:, :-1].copy(), ids_BT[:, 1:].copy()), device)

    def step_once(batch: tuple[torch.Tensor, ...], step: int) -> None:
        with execution.autocast():
            loss = summed(*batch)
        (loss / n_targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        late.append(step, loss)

    found = _time_steps(device, sizes, make_ahead(make, range(10**9)), step_once)
    flops = training_flops_per_token(
        count_parameters(model), model.config.num_hidden_layers, model.config.hidden_size, sizes.length
    )
    peak = peak_flops(execution)
    return found | {
        **execution.describe(),
        "preset": sizes.preset,
        "parameters": count_parameters(model),
        "peak_tflops": round(peak / 1e12, 2),
        "mfu": round(found["tokens_per_second"] * flops / peak, 4),
    }


def recipe(device: str, sizes: Sizes) -> dict[str, Any]:
    """The same batch through the plain GPT below, in the manner of nanoGPT's training script."""
    from workbench_models import load_preset

    shape = load_preset(sizes.preset)
    _, execution = _training_settings(device)
    torch.manual_seed(0)
    network = PlainGpt(sizes.vocabulary, shape.n_layers, shape.d_model, shape.n_heads, sizes.length)
    network.to(device).train()
    step_of = torch.compile(network) if execution.compile else network
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)

    def batches() -> Iterator[torch.Tensor]:
        for step in range(10**9):
            ids_BT = np.random.default_rng(step).integers(2, sizes.vocabulary, (sizes.rows, sizes.length + 1))
            tensor = torch.from_numpy(ids_BT)
            yield tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor

    def step_once(ids_BT: torch.Tensor, step: int) -> None:
        with execution.autocast():
            loss = step_of(ids_BT[:, :-1], ids_BT[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return _time_steps(device, sizes, batches(), step_once)


class PlainGpt(nn.Module):
    """Pre-norm blocks, fused query-key-value, fused causal attention, tied head, no bias: a baseline, not a product."""

    def __init__(self, vocabulary: int, n_layers: int, width: int, n_heads: int, length: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, bias=False) for _ in range(2 * n_layers + 1))
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(n_layers))
        self.out = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(n_layers))
        self.up = nn.ModuleList(nn.Linear(width, 4 * width, bias=False) for _ in range(n_layers))
        self.down = nn.ModuleList(nn.Linear(4 * width, width, bias=False) for _ in range(n_layers))
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of the next tokens."""
        x_BTD = self.tokens(ids_BT) + self.places.weight[: ids_BT.shape[1]]
        for number, (qkv, out, up, down) in enumerate(
            zip(self.qkv, self.out, self.up, self.down, strict=True)
        ):
            parts = qkv(self.norms[2 * number](x_BTD)).unflatten(-1, (3, self.n_heads, -1))
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x_BTD = x_BTD + out(mixed.transpose(1, 2).flatten(2))
            x_BTD = x_BTD + down(functional.gelu(up(self.norms[2 * number + 1](x_BTD))))
        logits_BTV = functional.linear(self.norms[-1](x_BTD), self.tokens.weight)
        return functional.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())


def _time_steps(
    device: str, sizes: Sizes, batches: Iterator[Any], step_once: Callable[[Any, int], None]
) -> dict[str, Any]:
    """Tokens a second after a warm-up in which everything is compiled."""
    warm_up = 5 if device != "cpu" else 1
    begun = started = time.perf_counter()
    for step in range(warm_up + sizes.steps):
        if step == warm_up:
            _wait(device)
            started = time.perf_counter()
        step_once(next(batches), step)
    _wait(device)
    seconds = time.perf_counter() - started
    if hasattr(batches, "close"):
        batches.close()
    return {
        "tokens_per_second": round(sizes.steps * sizes.rows * sizes.length / seconds),
        "ms_per_step": round(1000 * seconds / sizes.steps, 2),
        "warm_up_seconds": round(started - begun, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device != "cpu" else None,
    }


# --- probes


def p_probe(device: str, sizes: Sizes) -> dict[str, Any]:
    """The paper's probe of all targets at six places of an entry: rank 2, LayerNorm, fifty entries a step."""
    return _time_probe(device, sizes, places=6, length=75, rank=2, norm="layer", texts=sizes.texts)


def q_probe(device: str, sizes: Sizes) -> dict[str, Any]:
    """The probe of the bare name: rank 16, BatchNorm, two hundred names a step on a GPU."""
    return _time_probe(device, sizes, places=1, length=7, rank=16, norm="batch", texts=4 * sizes.texts)


def _time_probe(
    device: str, sizes: Sizes, *, places: int, length: int, rank: int, norm: Any, texts: int
) -> dict[str, Any]:
    from workbench.probing.embedding_probe import ProbeSettings, fit_embedding_probes
    from workbench.probing.probe_batches import Readings
    from workbench.tokens.encoding import EncodedTexts

    _, execution = _training_settings(device)
    model = _make_model(sizes, device)
    execution.prepare(model)
    rng, n = np.random.default_rng(0), 2000
    ids = rng.integers(2, sizes.vocabulary, n * length).astype(np.int32)
    encoded = EncodedTexts(ids, np.arange(n + 1) * length, np.arange(n, dtype=np.int32))
    places_NP = np.sort(rng.integers(1, length, (n, places)), axis=1)
    places_NP[:, -1] = length - 1
    labels_KN = np.stack([rng.integers(classes, size=n) for classes in CLASSES])
    valid_KNP = np.ones((len(CLASSES), n, places), bool)
    readings = Readings(encoded, places_NP, labels_KN, valid_KNP)
    settings = ProbeSettings(rank, norm, 3, texts, 1e-3, 1e-3, 0.3, dropout=True)

    def fit(steps: int) -> float:
        started = time.perf_counter()
        fit_embedding_probes(
            model, readings, np.arange(n), list(CLASSES), replace(settings, steps=steps), execution
        )
        _wait(device)
        return time.perf_counter() - started

    fit(3)
    per_step = fit(sizes.probe_steps) / sizes.probe_steps
    return {
        "targets": len(CLASSES),
        "texts_per_step": texts,
        "steps": sizes.probe_steps,
        "ms_per_step": round(1000 * per_step, 2),
        "minutes_for_30000_projected": round(30_000 * per_step / 60, 1),
    }


def caching(device: str, sizes: Sizes) -> dict[str, Any]:
    """Six positions of every residual state to disk, beside a pass of the same texts without head or hooks."""
    from workbench.activations.caching import cache_activations
    from workbench.activations.streaming import BATCH_TOKENS, plan_batches
    from workbench.tokens.reading import Reading

    model = _make_model(sizes, device).eval()
    rng, length = np.random.default_rng(0), 75
    n = sizes.cached_texts
    ids = rng.integers(2, sizes.vocabulary, n * length).astype(np.int32)
    positions = np.sort(rng.integers(1, length, (n, 6)), axis=1).astype(np.int32)
    positions[:, -1] = length - 1
    reading = Reading(ids, np.arange(n + 1) * length, positions, tuple("012345"))
    with tempfile.TemporaryDirectory() as folder:
        cache_activations(model, reading.take(slice(0, n // 10)), "layers", folder=f"{folder}/warm")
        _wait(device)
        started = time.perf_counter()
        store = cache_activations(model, reading, "layers", folder=f"{folder}/store")
        cached = time.perf_counter() - started
        size = store.bytes
    batch_tokens = BATCH_TOKENS["cpu" if device == "cpu" else "other"]
    started = time.perf_counter()
    with torch.no_grad():
        for rows in plan_batches(reading.lengths, batch_tokens):
            ids_BT = torch.from_numpy(ids.reshape(n, length)[rows].astype(np.int64)).to(device)
            model.base_model(input_ids=ids_BT)
    _wait(device)
    bare = time.perf_counter() - started
    return {
        "texts": n,
        "gib": round(size / 2**30, 3),
        "tokens_per_second": round(n * length / cached),
        "bare_tokens_per_second": round(n * length / bare),
        "ratio_to_bare": round(cached / bare, 3),
    }


def linear(device: str, sizes: Sizes) -> dict[str, Any]:
    """Logistic probes with one penalty: the engine on the device, scikit-learn's on one core, a sample of its fits."""
    from sklearn.linear_model import LogisticRegression

    from workbench.probing.linear import LogisticProbe, fit_probes

    features, labels, train = _planted(sizes)
    probe = LogisticProbe(l2=1.0)
    arguments: Any = (labels, np.arange(len(train)), train)
    fit_probes(features[:1], *arguments, probe=probe, controls=False, device=device)
    started = time.perf_counter()
    ours = fit_probes(features, *arguments, probe=probe, controls=False, device=device)
    seconds = time.perf_counter() - started
    rows = features[0]
    scaled = (rows - rows[train].mean(0)) / rows[train].std(0)
    started = time.perf_counter()
    theirs = LogisticRegression(C=1.0).fit(scaled[train], labels[train, 0])
    one = time.perf_counter() - started
    accuracy = float((theirs.predict(scaled[~train]) == labels[~train, 0]).mean())
    n_probes = ours.accuracy.size
    return {
        "probes": n_probes,
        "texts": len(train),
        "width": features.shape[-1],
        "engine_seconds": round(seconds, 3),
        "sklearn_seconds_of_one": round(one, 3),
        "ratio": round(one * n_probes / seconds, 1),
        "accuracy": [round(float(ours.accuracy.values.ravel()[0]), 4), round(accuracy, 4)],
    }


# --- are they right, and does it learn


def equal(device: str, sizes: Sizes) -> dict[str, Any]:
    """Device beside CPU in float32: losses of ten steps, probes' accuracies, generated answers."""
    from workbench.extraction.generation import generate
    from workbench.probing.linear import fit_probes
    from workbench.tokens.packing import Rows
    from workbench.training.devices import Execution
    from workbench.training.objectives import SummedLoss, to_tensors

    small = replace(CPU, vocabulary=400)
    features, labels, train = _planted(small)
    losses, accuracies, answers = [], [], []
    for where in (device, "cpu"):
        model = _make_model(small, where, dropout=0.0)
        execution = Execution(where, bf16=False, attention="sdpa", compile=False)
        execution.prepare(model)
        summed = SummedLoss(model, pad_id=1, bidirectional=False)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        noted = []
        for step in range(10):
            ids_BT = np.random.default_rng(step).integers(2, 400, (4, 33))
            loss = summed(*to_tensors(Rows(ids_BT[:, :-1].copy(), ids_BT[:, 1:].copy()), where)) / 128
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            noted.append(loss.item())
        losses.append(np.array(noted))
        arguments: Any = (features, labels, np.arange(len(train)), train)
        found = {
            name: fit_probes(*arguments, probe=name, device=where) for name in ("logistic", "ridge", "lda")
        }
        accuracies.append(np.stack([result.accuracy.values for result in found.values()]))
        prompts = [np.arange(2 + i, 7 + i) for i in range(8)]
        answers.append(generate(model, prompts, stop_ids=[0], max_new=6).tokens_NM)
    return {
        "largest_difference_of_losses": float(np.abs(losses[0] - losses[1]).max()),
        "largest_difference_of_accuracies": float(np.abs(accuracies[0] - accuracies[1]).max()),
        "share_of_equal_answers": float((answers[0] == answers[1]).all(1).mean()),
    }


def trained(device: str, sizes: Sizes) -> dict[str, Any]:
    """A shipped recipe trained from its texts on, stopped as a user would stop it."""
    from workbench.recipes.recipe import load_recipe
    from workbench.training.interruption import Interrupted
    from workbench.training.loop import train

    seen: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        changes: dict[str, Any] = {"training.checkpoints": "last"}
        if sizes is CPU:
            changes["people.number"] = 300
        chosen = load_recipe(sizes.recipe, changes)
        timer = threading.Timer(sizes.recipe_seconds, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        try:
            run = train(chosen, Path(folder) / "run", device=device, observer=seen.append)
            metrics = run.metrics()
        except Interrupted:
            from workbench.studies.runs import open_run

            metrics = open_run(Path(folder) / "run").metrics()
        finally:
            timer.cancel()
    last = seen[-1]
    return {
        "recipe": sizes.recipe,
        "step": last.step,
        "steps": last.steps,
        "loss": last.loss,
        "tokens_per_second": last.tokens_per_second,
        "mfu": last.mfu,
        "biographies": metrics[-1].get("biographies", {}).get("train", {}).get("mean"),
    }


# --- what the parts share


def _training_settings(device: str) -> tuple[Any, Any]:
    """A shipped recipe's training section, and how a long run of it would be executed here."""
    from workbench.recipes.recipe import load_recipe
    from workbench.training.devices import choose_execution

    settings = load_recipe("tiny", {"training.optimizer": "adamw"}).training
    return settings, choose_execution(settings, device, steps=10**9 if device != "cpu" else 1)


def _make_model(sizes: Sizes, device: str, dropout: float = 0.1) -> Any:
    from workbench_models import load_preset, make_model

    model: Any = make_model(
        load_preset(sizes.preset), vocab_size=sizes.vocabulary, seed=0, eos_token_id=0, pad_token_id=1,
        dropout=dropout,
    )  # fmt: skip
    return model.to(torch.device(device))


def _planted(sizes: Sizes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [cells, N, D] that hold the first of two labels, labels [N, 2], train [N]."""
    rng, classes, width = np.random.default_rng(0), 16, 768 if sizes is GPU else 64
    labels = rng.integers(classes, size=(sizes.entities, 2))
    means = rng.normal(size=(classes, width)) * 2 / np.sqrt(width)
    features = rng.normal(size=(sizes.cells, sizes.entities, width)) + 3 * means[labels[:, 0]]
    return features.astype(np.float32), labels, np.arange(sizes.entities) % 2 == 0


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _unpack(folder: Path) -> str:
    """Wheels are archives: unpacked into one temporary folder they can be imported."""
    target = tempfile.mkdtemp(prefix="wheels-")
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    return target


if __name__ == "__main__":
    main()
