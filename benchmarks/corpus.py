"""Seconds and peak memory of a corpus by its number of people: what `workbench data` does, and what training reads.

Run `python benchmarks/corpus.py` (10,000 and 100,000 people; `--people 1000000` takes minutes and several GiB). Each
number is measured in a process of its own, on one thread.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time


def measure(people: int, augmentation: str, tokenizer: str) -> dict[str, float]:
    """CPU-seconds of making the facts, counting words, making the tokenizer and encoding; peak memory in MiB."""
    from workbench.recipes.recipe import load_recipe
    from workbench.studies.corpus import make_corpus
    from workbench.tokens.encoding import encode_entries, encode_questions
    from workbench.tokens.tokenizers import make_tokenizer

    changes = {
        "people": {"number": people, "pool_sizes": {}},
        "biographies": {"augmentation": augmentation},
        "tokens.tokenizer": tokenizer,
    }
    recipe = load_recipe("tiny", changes)
    found: dict[str, float] = {}
    started = time.process_time()

    def lap(stage: str) -> None:
        nonlocal started
        found[stage] = round(time.process_time() - started, 1)
        started = time.process_time()

    corpus = make_corpus(recipe)
    lap("facts")
    words = corpus.count_words()
    lap("words")
    made = make_tokenizer(recipe.tokens, words)
    lap("tokenizer")
    entries = encode_entries(made, corpus.entries, corpus.schema)
    lap("entries")
    encode_questions(made, corpus.questions, corpus.schema)
    lap("questions")
    found["total"] = round(sum(found.values()), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**found, "entries made": len(entries), "vocabulary": len(made), "peak MiB": round(peak)}


def main() -> None:
    """Measure each number of people in its own process and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--augmentation", default="multi5+permute")
    parser.add_argument("--tokenizer", default="word", choices=["word", "bpe"])
    parser.add_argument("--one", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.people[0], options.augmentation, options.tokenizer)))
        return
    for number, people in enumerate(options.people):
        arguments = ["--people", str(people), "--augmentation", options.augmentation]
        arguments += ["--tokenizer", options.tokenizer, "--one"]
        threads = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, __file__, *arguments]
        answer = subprocess.run(
            command, env={**os.environ, **threads}, check=True, capture_output=True, text=True
        )
        found = json.loads(answer.stdout)
        if number == 0:
            print("people".rjust(10), *(name.rjust(13) for name in found))
        print(f"{people:10,}", *(f"{value:13,}" for value in found.values()), flush=True)


if __name__ == "__main__":
    main()
