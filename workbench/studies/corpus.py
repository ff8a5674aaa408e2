"""The corpus of a recipe: its facts, its entries and its questions, made by a world or read from a folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, load_entities, save_entities
from workbench.facts.schema import Schema, schema_from_json, schema_to_json
from workbench.files import read_json, write_json
from workbench.recipes.recipe import Recipe
from workbench.tasks.questions import Question, make_questions, save_questions
from workbench.worlds.biographies.schema import SCHEMA as BIOGRAPHIES
from workbench.worlds.biographies.world import make_biographies
from workbench.worlds.entries import Entry, load_entries, save_entries
from workbench.worlds.world import World

SCHEMA_FILE = "schema.json"
ENTITIES_FILE = "entities.jsonl"
ENTRIES_FILE = "entries.jsonl"
QUESTIONS_FILE = "questions.jsonl"
# What the first version called them; its runs still open.
FIRST_NAMES = {ENTITIES_FILE: "people.jsonl", ENTRIES_FILE: "biographies.jsonl"}


@dataclass(frozen=True)
class Corpus:
    """Everything a run's models read: the schema, entities in order of id, their entries, their questions."""

    schema: Schema
    entities: list[Entity]
    entries: list[Entry]
    questions: list[Question]

    @cached_property
    def texts(self) -> list[str]:
        """Every text a tokenizer must cover: entries, then questions with answers."""
        return [entry.text for entry in self.entries] + [question.text for question in self.questions]


def make_corpus(recipe: Recipe) -> Corpus:
    """Make the recipe's corpus, or read the user's own where the recipe names a folder."""
    if recipe.biographies.corpus is not None:
        return load_corpus(Path(recipe.biographies.corpus), recipe.seed)
    world = make_world(recipe)
    entities = list(world.entities)
    return Corpus(world.schema, entities, list(world.entries()), make_questions(entities, world.schema))


def make_world(recipe: Recipe) -> World:
    """The world that the recipe chooses."""
    return make_biographies(recipe.people, recipe.biographies, recipe.seed)


def save_corpus(folder: Path, corpus: Corpus) -> None:
    """Write schema.json, entities.jsonl, entries.jsonl and questions.jsonl into a folder."""
    write_json(folder / SCHEMA_FILE, schema_to_json(corpus.schema))
    save_entities(folder / ENTITIES_FILE, corpus.entities)
    save_entries(folder / ENTRIES_FILE, corpus.entries)
    save_questions(folder / QUESTIONS_FILE, corpus.questions)


def load_corpus(folder: Path, seed: int | None = None) -> Corpus:
    """Read a corpus, a run's (without a seed) or a user's own; the questions follow from the entities.

    Without a schema.json the facts are the biographies'. Raises WorkbenchError for a missing file.
    """
    schema = load_schema(folder)
    entities = load_entities(_find(folder, ENTITIES_FILE), schema, seed)
    entries = load_entries(_find(folder, ENTRIES_FILE), entities, schema)
    return Corpus(schema, entities, entries, make_questions(entities, schema))


def load_schema(folder: Path) -> Schema:
    """The schema of a corpus folder: its schema.json, or the biographies' where there is none."""
    file = folder / SCHEMA_FILE
    return schema_from_json(read_json(file)) if file.is_file() else BIOGRAPHIES


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / FIRST_NAMES[name]):
        if file.is_file():
            return file
    raise WorkbenchError(f"The corpus folder {folder} has no {name}; see docs/formats.md for its format.")
