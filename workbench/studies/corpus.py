"""The corpus of a recipe: its people, their biographies and their questions."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe
from workbench.tasks.questions import Question, make_questions, save_questions
from workbench.worlds.biographies.attributes import ATTRIBUTES
from workbench.worlds.biographies.people import Person, load_people, make_people, save_people
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.entries import Entry, load_entries, save_entries
from workbench.worlds.rendering import make_entries
from workbench.worlds.templates import load_questions, load_templates, shortest

PEOPLE_FILE = "people.jsonl"
ENTRIES_FILE = "biographies.jsonl"
QUESTIONS_FILE = "questions.jsonl"


@dataclass(frozen=True)
class Corpus:
    """Everything a run's models read: people in order of id, their entries, their questions."""

    people: list[Person]
    entries: list[Entry]
    questions: list[Question]

    @cached_property
    def texts(self) -> list[str]:
        """Every text a tokenizer must cover: biographies, then questions with answers."""
        return [entry.text for entry in self.entries] + [question.text for question in self.questions]


def make_corpus(recipe: Recipe) -> Corpus:
    """Make the recipe's corpus, or read the user's own where the recipe names a folder."""
    forms = load_questions()
    if recipe.biographies.corpus is not None:
        folder = Path(recipe.biographies.corpus)
        for file in (PEOPLE_FILE, ENTRIES_FILE):
            if not (folder / file).is_file():
                raise WorkbenchError(
                    f"The corpus folder {folder} has no {file}; see docs/formats.md for its format."
                )
        people = load_people(folder / PEOPLE_FILE, recipe.seed)
        entries = load_entries(folder / ENTRIES_FILE, people)
    else:
        pools = load_pools(
            None if recipe.people.pools == "shipped" else Path(recipe.people.pools), recipe.people.pool_sizes
        )
        people = make_people(pools, {group.name: group.people for group in recipe.groups}, recipe.seed)
        templates = load_templates()
        if recipe.biographies.templates is not None:
            templates = {key: shortest(templates[key], recipe.biographies.templates) for key in ATTRIBUTES}
        entries = make_entries(people, recipe.augmentations, templates, recipe.seed)
    return Corpus(people, entries, make_questions(people, forms))


def save_corpus(folder: Path, corpus: Corpus) -> None:
    """Write people.jsonl, biographies.jsonl and questions.jsonl into a folder."""
    save_people(folder / PEOPLE_FILE, corpus.people)
    save_entries(folder / ENTRIES_FILE, corpus.entries)
    save_questions(folder / QUESTIONS_FILE, corpus.questions)


def load_corpus(folder: Path) -> Corpus:
    """Read a corpus back; the questions follow from the people."""
    people = load_people(folder / PEOPLE_FILE)
    return Corpus(
        people, load_entries(folder / ENTRIES_FILE, people), make_questions(people, load_questions())
    )
