"""Role shares of all heads: own hooks against TransformerLens's `run_with_cache` patterns. Time and memory.

    python benchmarks/attention.py --entries 10000 --threads 2

`plain` is what TransformerLens's documentation shows: `run_with_cache` with a filter for the patterns, whole texts in
their own order, padded, a fixed number at a time. `same` gives it our batches, which are sorted by length and cut
behind the last position. All use the same untrained model and reduce with the same function. Prints processor
seconds, the ratios, and what memory each process needs for measuring, at a tenth of the entries and at all (flat is
equal).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]


HOWS = ("own", "same", "plain")
PLAIN_BATCH = 128


def measure(how: str, entries: int, preset: str) -> dict[str, float]:
    """Seconds of the measurement alone, and the process's peak memory before and after, in MiB."""
    import torch
    from workbench_models import load_preset, make_model

    from workbench.activations.toolkits import copy_sharing_weights, make_bridge
    from workbench.attention.examples import make_examples
    from workbench.attention.shares import measure_shares
    from workbench.recipes.recipe import load_recipe
    from workbench.studies.corpus import make_corpus
    from workbench.tokens.tokenizers import make_tokenizer

    recipe = load_recipe("tiny", {"people.number": entries, "biographies.augmentation": "single"})
    corpus = make_corpus(recipe)
    tokenizer = make_tokenizer(recipe.tokens, corpus.texts)
    chosen = corpus.entries[:entries]
    examples, few = (
        make_examples(tokenizer, some, corpus.schema) for some in (chosen, chosen[: 2 * PLAIN_BATCH])
    )
    model = make_model(
        load_preset(preset), vocab_size=len(tokenizer), seed=0, eos_token_id=0, pad_token_id=1
    ).eval()
    share = {"own": measure_shares, "same": _with_lens, "plain": _with_lens_plainly}[how]
    if how != "own":
        model = make_bridge(copy_sharing_weights(model))
    texts = [tokenizer.encode("<|endoftext|>" + entry.text) for entry in chosen] if how == "plain" else None
    with torch.no_grad():
        share(
            model, few, **({"texts": texts} if texts else {})
        )  # first calls are slow, and show the peak of a batch
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.process_time()  # what other processes take does not count
        share(model, examples, **({"texts": texts} if texts else {}))
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "before": before, "peak": peak, "tokens": float(len(examples.ids))}


def _with_lens(bridge, examples):  # type: ignore[no-untyped-def]
    """TransformerLens on our batches: all patterns of a batch, then their rows, then the shares."""
    from workbench.attention.shares import CPU_TOKENS

    return sum(_reduce(bridge, batch) for batch in examples.batches("cpu", CPU_TOKENS))


def _with_lens_plainly(bridge, examples, texts):  # type: ignore[no-untyped-def]
    """TransformerLens as one would first write it: whole texts, in order, padded on the right."""
    import dataclasses

    import numpy as np
    import torch

    totals = 0.0
    for start in range(0, len(examples), PLAIN_BATCH):
        rows = np.arange(start, min(start + PLAIN_BATCH, len(examples)))
        width = max(len(texts[n]) for n in rows)
        ids_BT = torch.tensor([texts[n] + [1] * (width - len(texts[n])) for n in rows])
        batch = examples.batch(rows)
        roles_BT = torch.nn.functional.pad(batch.roles_BT, (0, width - batch.roles_BT.shape[1]), value=-1)
        totals = totals + _reduce(bridge, dataclasses.replace(batch, ids_BT=ids_BT, roles_BT=roles_BT))
    return totals


def _reduce(bridge, batch):  # type: ignore[no-untyped-def]
    """Sums over a batch of the shares of all heads."""
    import torch

    from workbench.attention.shares import _one_hot, reduce_pattern

    _, cache = bridge.run_with_cache(batch.ids_BT, names_filter=lambda name: name.endswith("hook_pattern"))
    one_hot, found = _one_hot(batch.roles_BT, int(batch.roles_BT.max()) + 1), []
    for block in range(bridge.cfg.n_layers):
        rows = batch.at_positions(cache[f"blocks.{block}.attn.hook_pattern"].transpose(1, 2)).transpose(1, 2)
        shares, measures = reduce_pattern(rows, one_hot, batch.positions_BP)
        found.append(torch.cat([shares, measures], -1).double().sum(0))
    return torch.stack(found)


def main() -> None:
    """Run each measurement in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.entries, arguments.preset)))
        return
    found: dict[tuple[str, int], dict[str, float]] = {}
    for entries in (arguments.entries // 10, arguments.entries):
        for how in HOWS:
            command = [sys.executable, __file__, "--one", how, "--entries", str(entries)]
            command += ["--preset", arguments.preset, "--threads", str(arguments.threads)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            row = found[how, entries] = json.loads(answer.stdout.splitlines()[-1])
            measuring, speed = row["peak"] - row["before"], row["tokens"] / row["seconds"]
            print(
                f"{how:6} {entries:6} entries  {speed:9,.0f} tokens/s  {row['seconds']:7.2f} s"
                f"  peak {row['peak']:6.0f} MiB, {measuring:4.0f} more than after the first batches",
                flush=True,
            )
    seconds = {how: found[how, arguments.entries]["seconds"] for how in HOWS}
    for how in HOWS[1:]:
        print(f"TransformerLens ({how}) takes {seconds[how] / seconds['own']:.2f} times as long")


if __name__ == "__main__":
    main()
