"""Answers per second: `workbench.extraction.generation` against `transformers.generate` used plainly.

    python benchmarks/generation.py runs/multi5+permute --adapter lora --questions 600 --threads 1

The same model (adapter merged), the same questions, float32, the cache on. `one by one` is a loop over prompts,
what a script does first; `padded` is transformers' own batching with left padding and a mask. Transformers is
timed on a part of the questions (its rate does not depend on their number) and must give the same answers.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from workbench.extraction.asking import make_answer_book, make_askable
from workbench.extraction.finetunes import load_finetuned, open_finetune
from workbench.extraction.generation import generate
from workbench.studies.loading import load_model
from workbench.studies.runs import open_run
from workbench.tokens.encoding import encode_questions

Said = list[list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--adapter", help="a finetune of the run; default: its last checkpoint")
    parser.add_argument("--questions", type=int, default=3000)
    parser.add_argument(
        "--theirs", type=int, default=120, help="questions transformers is timed on, one by one"
    )
    parser.add_argument("--batch", type=int, default=64, help="rows of transformers' padded batches")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    run = open_run(arguments.run)
    if arguments.adapter:
        model = load_finetuned(run, open_finetune(run, arguments.adapter), device=arguments.device)
    else:
        model = load_model(run.checkpoint(), device=arguments.device)
    asked = make_askable(
        encode_questions(run.tokenizer, run.corpus.questions, run.corpus.schema), run.corpus.entities
    )
    book = make_answer_book(asked, run.tokenizer.eos_token_id)
    chosen = np.random.default_rng(0).permutation(len(asked))[: arguments.questions]
    prompts = [asked.prompt(n) for n in chosen]
    stops, pad = list(book.ends), int(run.tokenizer.pad_token_id)

    for beams in arguments.beams:
        settings = {"max_new_tokens": book.longest, "num_beams": beams, "do_sample": False, "use_cache": True}
        settings |= {"eos_token_id": stops, "pad_token_id": pad}

        def ours(part: list[np.ndarray], beams: int = beams) -> Said:
            said = generate(model, part, stop_ids=stops, max_new=book.longest, beams=beams).tokens_NM
            return [row[row >= 0].tolist() for row in said]

        def one_by_one(part: list[np.ndarray], settings: dict[str, object] = settings) -> Said:
            said = []
            for prompt in part:
                ids = torch.from_numpy(prompt.astype(np.int64))[None].to(arguments.device)
                out = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
                said.append(out[0, len(prompt) :].tolist())
            return said

        def padded(part: list[np.ndarray], settings: dict[str, object] = settings) -> Said:
            said = []
            for start in range(0, len(part), arguments.batch):
                rows = part[start : start + arguments.batch]
                width = max(map(len, rows))
                ids = torch.full((len(rows), width), pad)
                for row, prompt in zip(ids, rows, strict=True):
                    row[width - len(prompt) :] = torch.from_numpy(prompt.astype(np.int64))
                ids = ids.to(arguments.device)
                out = model.generate(ids, attention_mask=(ids != pad).long(), **settings)[:, width:].tolist()
                said += [_cut(row, stops) for row in out]
            return said

        timed = {
            "workbench": (ours, prompts),
            "transformers, one by one": (one_by_one, prompts[: arguments.theirs]),
            "transformers, padded": (padded, prompts[: 8 * arguments.batch]),
        }
        answers: dict[str, Said] = {}
        for name, (method, part) in timed.items():
            method(part[: arguments.batch])  # kernels are chosen and memory is taken on the first call
            answers[name], seconds, cpu_seconds = _time(method, part)
            same = sum(a == b for a, b in zip(answers[name], answers["workbench"], strict=False))
            row = {
                "beams": beams,
                "method": name,
                "answers_per_second": round(len(part) / seconds, 1),
                "answers_per_cpu_second": round(len(part) / cpu_seconds, 1),  # fair on a busy machine too
                "questions": len(part),
                "equal_answers": same,
                "device": arguments.device,
            }
            print(json.dumps(row), flush=True)


def _time(method: Callable[[list[np.ndarray]], Said], part: list[np.ndarray]) -> tuple[Said, float, float]:
    """What was said, the seconds it took, and the processor's seconds."""
    started, cpu_started = time.perf_counter(), time.process_time()
    said = method(part)
    return said, time.perf_counter() - started, time.process_time() - cpu_started


def _cut(row: list[int], stops: list[int]) -> list[int]:
    """A row of a padded batch up to and with its stop token."""
    return next((row[: i + 1] for i, token in enumerate(row) if token in stops), row)


if __name__ == "__main__":
    main()
