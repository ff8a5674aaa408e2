"""The corpus of a recipe: its entities, their biographies and their questions."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, load_entities, save_entities
from workbench.recipes.recipe import Recipe
from workbench.tasks.questions import Question, make_questions, save_questions
from workbench.worlds.biographies.attributes import ATTRIBUTES
from workbench.worlds.biographies.people import make_people
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.entries import Entry, load_entries, save_entries
from workbench.worlds.rendering import make_entries
from workbench.worlds.templates import load_questions, load_templates, shortest

ENTITIES_FILE = "entities.jsonl"
ENTRIES_FILE = "biographies.jsonl"
QUESTIONS_FILE = "questions.jsonl"


@dataclass(frozen=True)
class Corpus:
    """Everything a run's models read: entities in order of id, their entries, their questions."""

    entities: list[Entity]
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
        for file in (ENTITIES_FILE, ENTRIES_FILE):
            if not (folder / file).is_file():
                raise WorkbenchError(
                    f"The corpus folder {folder} has no {file}; see docs/formats.md for its format."
                )
        entities = load_entities(folder / ENTITIES_FILE, recipe.seed)
        entries = load_entries(folder / ENTRIES_FILE, entities)
    else:
        pools = load_pools(
            None if recipe.people.pools == "shipped" else Path(recipe.people.pools), recipe.people.pool_sizes
        )
        entities = make_people(pools, {group.name: group.people for group in recipe.groups}, recipe.seed)
        templates = load_templates()
        if recipe.biographies.templates is not None:
            templates = {key: shortest(templates[key], recipe.biographies.templates) for key in ATTRIBUTES}
        entries = make_entries(entities, recipe.augmentations, templates, recipe.seed)
    return Corpus(entities, entries, make_questions(entities, forms))


def save_corpus(folder: Path, corpus: Corpus) -> None:
    """Write entities.jsonl, biographies.jsonl and questions.jsonl into a folder."""
    save_entities(folder / ENTITIES_FILE, corpus.entities)
    save_entries(folder / ENTRIES_FILE, corpus.entries)
    save_questions(folder / QUESTIONS_FILE, corpus.questions)


def load_corpus(folder: Path) -> Corpus:
    """Read a corpus back; the questions follow from the entities."""
    entities = load_entities(folder / ENTITIES_FILE)
    return Corpus(
        entities, load_entries(folder / ENTRIES_FILE, entities), make_questions(entities, load_questions())
    )
