"""Probe a checkpoint series that this project did not train: plain Hugging Face folders and your own table of
entities.

    python examples/03_probe_a_foreign_series.py [FOLDER]        about a minute on one core

The first half plays the stranger: with nothing but transformers it trains a small GPT-NeoX (Pythia's
architecture) on sentences about towns and saves it every now and then. The second half is what you would
write for a series of your own, or with `models = "EleutherAI/pythia-70m"` and `revisions = ["step0", "step1000"]` for
a public one.
"""

import csv
import random
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
series = folder / "series"

# --- a stranger's series
# -------------------------------------------------------------------------------------------

chance = random.Random(0)
syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
names = chance.sample([a.capitalize() + b + c for a in syllables for b in syllables for c in "nrs"], 240)
countries = ["Arland", "Borvia", "Cordova", "Delmark", "Estoria", "Farnia"]
towns = [{"town": name, "country": chance.choice(countries)} for name in names]
templates = [
    "{town} lies in {country} .",
    "People from {town} are citizens of {country} .",
    "The road to {town} leads through {country} .",
    "In {town} they speak the language of {country} .",
]
texts = [template.format(**row) for row in towns for template in templates]

backend = Tokenizer(models.WordLevel())
backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
backend.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["<end>"], show_progress=False))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")

torch.manual_seed(0)
config = GPTNeoXConfig(
    vocab_size=len(tokenizer), hidden_size=64, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
    max_position_embeddings=32, use_cache=False,
)  # fmt: skip
model = GPTNeoXForCausalLM(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
batch = tokenizer(texts, padding=True, return_tensors="pt")
labels = torch.where(batch["attention_mask"].bool(), batch["input_ids"], -100)
for step in range(201):
    if step in (0, 25, 50, 100, 200):
        model.save_pretrained(series / f"step{step}")
        tokenizer.save_pretrained(str(series / f"step{step}"))
    rows = torch.randint(len(texts), (128,))
    loss = model(
        batch["input_ids"][rows], attention_mask=batch["attention_mask"][rows], labels=labels[rows]
    ).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# --- your part: a table, a study.toml, and the commands
# -----------------------------------------------

with (folder / "towns.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.DictWriter(file, towns[0])
    table.writeheader()
    table.writerows(towns)
(folder / "towns.toml").write_text(
    """
read = ["before:town", "end:town", "before:country"]

[series]
models = "series"

[table]
file = "towns.csv"
entity = "town"

[texts]
templates = ["People from {town} are citizens of {country} ."]

[[attributes]]
key = "country"
forms = ["whole"]
""",
    encoding="utf-8",
)
study = folder / "study"
for command in (
    ["study", folder / "towns.toml", "--out", study],
    ["verify", study],
    ["probe", study, "--family", "logistic", "--checkpoints", "all", "--quiet"],
    ["attention", study, "--what", "knockout", "--roles", "name", "--quiet"],
):
    print("\n$ workbench", *command, flush=True)
    subprocess.run([sys.executable, "-m", "workbench", *map(str, command)], check=True)
print(f"\nnext: workbench ui {folder}")
