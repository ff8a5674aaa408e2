"""Towns that a model read about: a table, a word tokenizer, and a study.toml; models are the test's own."""

from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from workbench.cli import app

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
COUNTRIES = ("Arland", "Borvia", "Cordova")
TEMPLATES = ("{town} lies in {country} .", "The road to {town} leads through {country} .")
TOML = """
[series]
models = "series"

[table]
file = "towns.csv"
entity = "town"
nouns = "towns"

[texts]
templates = ["{town} lies in {country} .", "The road to {town} leads through {country} ."]

[[attributes]]
key = "country"

[[attributes]]
key = "side"
forms = ["whole"]

[questions]
country = "The road to {town} leads through"
"""


def make_towns() -> list[dict[str, str]]:
    names = [(a + b).capitalize() for a in SYLLABLES[:12] for b in SYLLABLES[:5]]
    return [
        {"town": name, "country": COUNTRIES[i % 3], "side": ("East", "West")[i // 2 % 2]}
        for i, name in enumerate(names)
    ]


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_tokenizer() -> "PreTrainedTokenizerFast":
    """Every word of the towns' texts and of punctuation."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [template.format(**row) for row in make_towns() for template in TEMPLATES]
    backend = Tokenizer(models.WordLevel())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    words = [*texts, "Answer: East. West."]
    backend.train_from_iterator(
        words, trainers.WordLevelTrainer(special_tokens=["<end>"], show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")


def write_towns(folder: Path) -> None:
    """The table and the study.toml, which reads the models in `series`."""
    write_table(folder / "towns.csv", make_towns())
    (folder / "towns.toml").write_text(TOML, encoding="utf-8")


def workbench(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
