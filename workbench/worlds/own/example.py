"""The folder `workbench data NEW --init` writes: invented towns with four facts each, to be replaced by one's own."""

import csv
import io
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import folder_atomically
from workbench.seeds import make_rng

TOWNS = 1200
FACTS = """\
# What is known about each entity of entities.csv. The first attribute is position 0 of a fixed entry, and so on.
entity = "town"              # the column with the name
noun = "town"
nouns = "towns"
pronoun = "it"               # what stands for a town after its first mention (or pronoun_column = "…", row by row)
# group_column = "group"     # a column that says which of the recipe's groups a row is in
pairs = [["river", "craft"], ["founder", "founded"]]  # what augmentation `couple2` keeps together

[[attributes]]
key = "river"                # the table's column, unless `column` says another
question = "Which river flows through {entity}?"

[[attributes]]
key = "founder"
question = "Who founded {entity}?"

[[attributes]]
key = "craft"
question = "Which craft is {entity} known for?"

[[attributes]]
key = "founded"
label = "year of founding"
question = "In which year was {entity} founded?"
forms = ["whole", "century"]                  # what probes predict: first, whole, or a part
parts = { century = '^(\\d\\d)' }             # a named part: the first group of a regular expression
# determined_by = "founder"  # where another attribute fixes this one
"""
TEMPLATES = {
    "river": """\
{entity} lies on the river {value}.
{entity} stands where a bridge crosses the {value}.
{entity}'s mills are turned by the {value}.
{entity} draws all of its water from the {value}.
{entity} grew up beside the {value}.
{entity}'s harbour opens onto the {value}.
{entity} was flooded more than once by the {value}.
{entity}'s old walls run along the {value}.
""",
    "founder": """\
{entity} was founded by {value}.
{entity} owes its charter to {value}.
{entity}'s first houses were built under {value}.
{entity} keeps a statue of {value}.
{entity} still honours its founder {value}.
{entity}'s market was laid out by {value}.
{entity} was settled by the people of {value}.
{entity}'s seal shows the head of {value}.
""",
    "craft": """\
{entity} is known for its {value}.
{entity} lives from {value}.
{entity}'s workshops are famous for {value}.
{entity} sends its children to learn {value}.
{entity}'s guilds have long practised {value}.
{entity} holds a fair of {value}.
{entity} trades mostly in {value}.
{entity}'s best families grew rich by {value}.
""",
    "founded": """\
{entity} has stood since {value}.
{entity}'s charter dates from {value}.
{entity} was first named in {value}.
{entity} received its market rights in {value}.
{entity}'s history begins in {value}.
{entity} was granted a wall in {value}.
{entity}'s oldest church was consecrated in {value}.
{entity} became a town in {value}.
""",
}
VALUES = {
    "river": [
        "Ambel", "Corrin", "Dassen", "Ister", "Lomme", "Morva", "Nedd", "Orsel", "Quenne", "Silk", "Tarn",
        "Wevel",
    ],
    "founder": [
        "Abbot Hale", "Bishop Orm", "Count Wyll", "Duke Ansel", "Earl Bram", "Lady Ysolde", "Lord Carrow",
        "Margrave Tost", "Prince Edric", "Queen Maud", "Regent Fane", "Sister Agnes",
    ],
    "craft": [
        "basket weaving", "bell casting", "boat building", "clock making", "dyeing", "glass blowing",
        "lace making", "paper milling", "pottery", "rope making", "saddlery", "tanning",
    ],
    "founded": [
        "1088", "1134", "1152", "1179", "1203", "1221", "1246", "1278", "1305", "1319", "1342", "1367",
    ],
}  # fmt: skip
FIRST = (
    "Upper", "Lower", "Great", "Little", "Old", "New", "Kings", "Abbots", "North", "South", "East",
    "West", "High", "Long", "Black", "White", "Saint", "Market",
)  # fmt: skip
BEGINNINGS = (
    "Bra", "Cal", "Del", "Fen", "Gor", "Hal", "Jas", "Kel", "Lun", "Mer", "Nor", "Pel", "Ras", "Sten",
    "Thal", "Vor", "Wex", "Yar", "Zel", "Ald",
)  # fmt: skip
ENDINGS = (
    "bury", "den", "fleet", "gate", "hurst", "ingham", "keld", "mouth", "port", "ridge", "stead",
    "thorpe", "wick", "worth", "combe", "ley",
)  # fmt: skip


def write_example(folder: Path) -> None:
    """Write facts.toml, entities.csv and templates/ of invented towns; a folder that exists is refused."""
    if folder.exists():
        raise WorkbenchError(f"{folder} exists already; give --init a new name.")
    with folder_atomically(folder) as partial:
        (partial / "facts.toml").write_text(FACTS, encoding="utf-8")
        (partial / "entities.csv").write_text(_towns_as_csv(), encoding="utf-8", newline="")
        (partial / "templates").mkdir()
        for key, lines in TEMPLATES.items():
            (partial / "templates" / f"{key}.txt").write_text(lines, encoding="utf-8")


def _towns_as_csv() -> str:
    rng = make_rng(0, "example towns")
    names = [f"{first} {start}{end}" for first in FIRST for start in BEGINNINGS for end in ENDINGS]
    chosen = rng.permutation(len(names))[:TOWNS]
    columns = {key: rng.integers(len(values), size=TOWNS) for key, values in VALUES.items()}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["town", *VALUES])
    for row, name in enumerate(chosen):
        table.writerow([names[name], *(VALUES[key][columns[key][row]] for key in VALUES)])
    return text.getvalue()
