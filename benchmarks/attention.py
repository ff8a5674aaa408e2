"""Role shares of all heads: own hooks against TransformerLens's `run_with_cache` patterns. Time and memory.

    python benchmarks/attention.py --entries 10000 --threads 2

Both read the same entries in the same batches with the same untrained model and reduce the patterns with the same
function; what differs is who runs the model and how much of each pattern is kept. Prints processor seconds, the
ratio and the
peak memory of a process of its own for each, at the full and at a quarter of the entries (flat is equal).
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


def measure(how: str, entries: int, preset: str, batch_tokens: int) -> dict[str, float]:
    """Seconds of the measurement alone, and the process's peak memory before and after, in MiB."""
    import torch
    from workbench_models import load_preset, make_model

    from workbench.activations.toolkits import copy_sharing_weights, make_bridge
    from workbench.attention.examples import make_examples
    from workbench.attention.shares import measure_shares
    from workbench.corpus import make_corpus
    from workbench.recipe import load_recipe
    from workbench.tokens.tokenizers import make_tokenizer

    recipe = load_recipe("tiny", {"people.number": entries, "biographies.augmentation": "single"})
    corpus = make_corpus(recipe)
    tokenizer = make_tokenizer(recipe.tokens, corpus.texts)
    examples = make_examples(tokenizer, corpus.entries[:entries])
    model = make_model(
        load_preset(preset), vocab_size=len(tokenizer), seed=0, eos_token_id=0, pad_token_id=1
    ).eval()
    share = measure_shares
    if how == "transformer-lens":
        share, model = _with_lens, make_bridge(copy_sharing_weights(model))
    share(
        model, make_examples(tokenizer, corpus.entries[:8]), batch_tokens=batch_tokens
    )  # first calls are slow
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.process_time()  # what other processes take does not count
    with torch.no_grad():
        share(model, examples, batch_tokens=batch_tokens)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "before": before, "peak": peak, "tokens": float(len(examples.ids))}


def _with_lens(bridge, examples, *, batch_tokens):  # type: ignore[no-untyped-def]
    """What one would write with TransformerLens: all patterns of a batch, then their rows, then the shares."""
    import torch

    from workbench.attention.roles import ROLES
    from workbench.attention.shares import _one_hot, reduce_pattern

    totals = 0.0
    for batch in examples.batches("cpu", batch_tokens):
        _, cache = bridge.run_with_cache(
            batch.ids_BT, names_filter=lambda name: name.endswith("hook_pattern")
        )
        one_hot = _one_hot(batch.roles_BT, len(ROLES))
        for block in range(bridge.cfg.n_layers):
            rows = batch.at_positions(cache[f"blocks.{block}.attn.hook_pattern"].transpose(1, 2))
            shares, measures = reduce_pattern(rows, one_hot, batch.positions_BP)
            totals = totals + torch.cat([shares, measures], -1).double().sum(0)
    return totals


def main() -> None:
    """Run each measurement in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=400)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.entries, arguments.preset, arguments.batch_tokens)))
        return
    found: dict[tuple[str, int], dict[str, float]] = {}
    for how in ("hooks", "transformer-lens"):
        for entries in (arguments.entries // 4, arguments.entries):
            command = [sys.executable, __file__, "--one", how, "--entries", str(entries)]
            command += ["--preset", arguments.preset, "--batch-tokens", str(arguments.batch_tokens)]
            command += ["--threads", str(arguments.threads)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            row = found[how, entries] = json.loads(answer.stdout.splitlines()[-1])
            measuring, speed = row["peak"] - row["before"], row["tokens"] / row["seconds"]
            print(
                f"{how:17} {entries:6} entries  {speed:9,.0f} tokens/s  {row['seconds']:7.2f} s"
                f"  peak {row['peak']:6.0f} MiB, of which measuring {measuring:5.0f}"
            )
    own, lens = (found[how, arguments.entries]["seconds"] for how in ("hooks", "transformer-lens"))
    print(f"TransformerLens takes {lens / own:.2f} times as long")


if __name__ == "__main__":
    main()
