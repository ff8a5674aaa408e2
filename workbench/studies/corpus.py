"""The corpus of a recipe: its facts, its entries and its questions, made by a world or read from a folder.

Nothing here holds a text: entries and questions are functions of entity and number (`worlds/entry_sequence.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, load_entities, save_entities
from workbench.facts.schema import Schema, schema_from_json, schema_to_json
from workbench.files import read_json, read_jsonl, write_json
from workbench.recipes.recipe import Recipe
from workbench.tasks.questions import Question, make_questions, save_questions
from workbench.tokens.assembly import count_entry_words
from workbench.tokens.lexicon import count_words
from workbench.worlds.biographies.schema import SCHEMA as BIOGRAPHIES
from workbench.worlds.biographies.world import make_biographies
from workbench.worlds.entries import Entry, save_entries
from workbench.worlds.entry_sequence import Entries, FileEntries, WorldEntries
from workbench.worlds.junk import MARK
from workbench.worlds.own.entities import load_table
from workbench.worlds.own.facts import FACTS_FILE, load_facts
from workbench.worlds.own.world import make_own, require_folder, resolve_own
from workbench.worlds.texts import TextWorld, text_world_from_json, text_world_to_json
from workbench.worlds.values.world import make_values
from workbench.worlds.world import World

SCHEMA_FILE = "schema.json"
ENTITIES_FILE = "entities.jsonl"
ENTRIES_FILE = "entries.jsonl"
TEXTS_FILE = "texts.json"
QUESTIONS_FILE = "questions.jsonl"
# What the first version called them; its runs still open.
FIRST_NAMES = {ENTITIES_FILE: "people.jsonl", ENTRIES_FILE: "biographies.jsonl"}


@dataclass(frozen=True)
class Corpus:
    """Everything a run's models read: the schema, entities in order of id, their entries, their questions."""

    schema: Schema
    entities: list[Entity]
    entries: Sequence[Entry]
    questions: Sequence[Question]

    @property
    def texts(self) -> "Texts":
        """Every text a tokenizer must cover: entries, then questions with answers."""
        return Texts(self.entries, self.questions)

    def count_words(self, further: Iterable[str] = ()) -> Counter[str]:
        """How often each word stands in the texts and in further ones, what a tokenizer is made from.

        Entries of templates stay unwritten.
        """
        asked = count_words(question.text for question in self.questions)
        return count_entry_words(self.entries) + asked + count_words(further)


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """The texts of entries, then of questions, each written when it is asked for; then further ones."""

    entries: Sequence[Entry]
    questions: Sequence[Question]
    further: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.entries) + len(self.questions) + len(self.further)

    def __iter__(self) -> Iterator[str]:
        yield from (entry.text for entry in self.entries)
        yield from (question.text for question in self.questions)
        yield from self.further

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        if row < len(self.entries):
            return self.entries[row].text
        row -= len(self.entries)
        n_questions = len(self.questions)
        return self.questions[row].text if row < n_questions else self.further[row - n_questions]


def require_entities(recipe: Recipe, what: str) -> None:
    """Refuse what is about entities for the arithmetic world; `what` begins the sentence."""
    if recipe.arithmetic is not None:
        raise WorkbenchError(
            f"{what} is of the arithmetic world: it has problems, made as they are read, and no entities; "
            "use `workbench train`, `workbench solve` and `workbench probe --kind v` on it."
        )


def make_corpus(recipe: Recipe) -> Corpus:
    """Make the recipe's corpus, or open the user's own where the recipe names a folder of texts."""
    require_entities(recipe, f"The recipe {recipe.name!r}")
    if recipe.biographies.corpus is not None:
        return load_corpus(Path(recipe.biographies.corpus), recipe.seed)
    if recipe.own is not None and (require_folder(recipe.own.folder) / ENTRIES_FILE).is_file():
        return load_corpus(Path(recipe.own.folder), recipe.seed)
    return corpus_of(make_world(recipe))


def corpus_of(world: World) -> Corpus:
    """The corpus of a world."""
    entities = list(world.entities)
    return Corpus(world.schema, entities, WorldEntries(world), make_questions(entities, world.schema))


def make_task_texts(recipe: Recipe, corpus: Corpus) -> list[str]:
    """The questions of the tasks that a recipe declares, with their answers; none where it declares none."""
    if recipe.tasks is None:
        return []
    return recipe.tasks.plan.make_texts(corpus.schema, corpus.entities, recipe.seed)


def make_world(recipe: Recipe) -> World:
    """The world that the recipe chooses."""
    if recipe.own is not None:
        return make_own(recipe.own, recipe.seed)
    if recipe.values is not None:
        world = make_values(recipe.values, recipe.seed)
    else:
        world = make_biographies(recipe.people, recipe.biographies, recipe.seed)
    return replace(world, opening=MARK) if recipe.junk is not None and recipe.junk.mark else world


def resolve_recipe(recipe: Recipe, corpus: Corpus) -> Recipe:
    """The recipe with what a folder of own facts decides filled in, so that its digest names that content."""
    if recipe.own is None:
        return recipe
    return recipe.model_copy(update={"own": resolve_own(recipe.own, corpus.entities)})


def save_corpus(folder: Path, corpus: Corpus) -> None:
    """Write schema.json, entities.jsonl, entries.jsonl and questions.jsonl: every text, to look at or to change."""
    write_json(folder / SCHEMA_FILE, schema_to_json(corpus.schema))
    save_entities(folder / ENTITIES_FILE, corpus.entities)
    save_entries(folder / ENTRIES_FILE, corpus.entries)
    save_questions(folder / QUESTIONS_FILE, corpus.questions)


def save_corpus_recipe(folder: Path, corpus: Corpus) -> None:
    """Write what a run needs to make its corpus again: schema, entities, and templates instead of their texts.

    Ready texts, and those of a world that is no function of templates, are written whole.
    """
    if not (isinstance(corpus.entries, WorldEntries) and isinstance(corpus.entries.world, TextWorld)):
        save_corpus(folder, corpus)
        return
    write_json(folder / SCHEMA_FILE, schema_to_json(corpus.schema))
    save_entities(folder / ENTITIES_FILE, corpus.entities)
    write_json(folder / TEXTS_FILE, text_world_to_json(corpus.entries.world))


def load_corpus(folder: Path | str, seed: int | None = None, *, people: int | None = None) -> Corpus:
    """Open a corpus, a run's (without a seed) or a user's own; the questions follow from the entities.

    A folder with facts.toml has its entities in a table, as in the world `own`; without one and without a schema.json
    the facts are the biographies'. people: how many entities there must be. Raises WorkbenchError for a missing file.
    """
    folder = Path(folder)
    if seed is not None and (folder / FACTS_FILE).is_file():
        facts = load_facts(folder)
        schema, entities = facts.schema, load_table(folder, facts, seed)
    else:
        schema = load_schema(folder)
        entities = load_entities(_find(folder, ENTITIES_FILE), schema, seed)
        if people is not None and len(entities) != people:
            raise WorkbenchError(
                f"{folder / ENTITIES_FILE} holds {len(entities):,} entities, but the recipe makes {people:,}: the file "
                "was cut short or is of another run; restore it."
            )
    return Corpus(schema, entities, _open_entries(folder, entities, schema), make_questions(entities, schema))


def load_schema(folder: Path) -> Schema:
    """The schema of a corpus folder: its schema.json, or the biographies' where there is none."""
    file = folder / SCHEMA_FILE
    return schema_from_json(read_json(file)) if file.is_file() else BIOGRAPHIES


def load_entity(folder: Path, number: int) -> tuple[Entity, list[Entry], int]:
    """One entity of a run, its entries, and how many entities there are, without making the rest."""
    schema, path = load_schema(folder), _find(folder, ENTITIES_FILE)
    if not (folder / TEXTS_FILE).is_file():
        entities = load_entities(path, schema)
        _require_entity(number, len(entities))
        return (
            entities[number],
            FileEntries(_find(folder, ENTRIES_FILE), entities, schema).of(number),
            len(entities),
        )
    rows = list(read_jsonl(path))
    _require_entity(number, len(rows))
    entity = Entity(**rows[number])
    world = text_world_from_json(read_json(folder / TEXTS_FILE), schema, [entity])
    return entity, list(world.entries()), len(rows)


def _require_entity(number: int, n_entities: int) -> None:
    if not 0 <= number < n_entities:
        raise WorkbenchError(f"There is no entity {number}; ids run from 0 to {n_entities - 1}.")


def _open_entries(folder: Path, entities: list[Entity], schema: Schema) -> Entries:
    if (folder / TEXTS_FILE).is_file():
        return WorldEntries(text_world_from_json(read_json(folder / TEXTS_FILE), schema, entities))
    return FileEntries(_find(folder, ENTRIES_FILE), entities, schema)


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / FIRST_NAMES[name]):
        if file.is_file():
            return file
    raise WorkbenchError(f"The corpus folder {folder} has no {name}; see docs/formats.md for its format.")
