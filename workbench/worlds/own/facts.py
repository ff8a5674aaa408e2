"""facts.toml: what a folder of the user's own facts says about itself, as a schema and the columns of its table."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from workbench.errors import WorkbenchError
from workbench.facts.entities import PRONOUNS
from workbench.facts.schema import WHOLE_FORMS, Attribute, Schema
from workbench.text_files import read_toml
from workbench.user_forms import fit_form
from workbench.worlds.sections import Section

FACTS_FILE = "facts.toml"


class AttributeFacts(Section):
    """One `[[attributes]]` of facts.toml; see `Attribute` for what each key does."""

    key: str
    column: str | None = Field(None, description="the table's column; default: the key")
    label: str = ""
    question: str = ""
    forms: tuple[str, ...] | None = None
    parts: dict[str, str] = Field(default_factory=dict)
    determined_by: str | None = None
    letter: str = ""


class FactsFile(Section):
    """The whole of facts.toml."""

    entity: str = Field("name", description="the table's column with each entity's name")
    noun: str = "entity"
    nouns: str = "entities"
    pronoun: str = Field("it", description="what stands for an entity after its first mention")
    pronoun_column: str | None = None
    group_column: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    attributes: tuple[AttributeFacts, ...]


@dataclass(frozen=True)
class Facts:
    """The schema, and where the table keeps what.

    columns: attribute → column. pronoun: of every entity, unless `pronoun_column` says it row by row.
    """

    schema: Schema
    entity: str
    columns: dict[str, str]
    pronoun: str
    pronoun_column: str | None
    group_column: str | None


def load_facts(folder: Path) -> Facts:
    """Read a folder's facts.toml; every fault is one sentence naming the key."""
    path = folder / FACTS_FILE
    if not path.is_file():
        raise WorkbenchError(
            f"The folder {folder} has no {FACTS_FILE}; `workbench data {folder} --init` writes one to start from."
        )
    file = fit_form(FactsFile, read_toml(path), str(path))
    if file.pronoun not in PRONOUNS:
        raise WorkbenchError(f"{path}: pronoun is {file.pronoun!r}; expected one of {', '.join(PRONOUNS)}.")
    attributes = tuple(
        Attribute(
            key=one.key,
            label=one.label,
            question=one.question.replace("{entity}", "{name}"),
            forms=one.forms if one.forms is not None else (*WHOLE_FORMS, *one.parts),
            parts=one.parts,
            determined_by=one.determined_by,
            letter=one.letter,
        )
        for one in file.attributes
    )
    try:
        schema = Schema(attributes, file.noun, file.nouns, file.pairs)
    except WorkbenchError as error:
        raise WorkbenchError(f"{path}: {error}") from error
    columns = {one.key: one.column or one.key for one in file.attributes}
    return Facts(schema, file.entity, columns, file.pronoun, file.pronoun_column, file.group_column)
