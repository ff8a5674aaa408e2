"""study.toml: which models are read, whom the table is about, which texts, where to read, what to ask."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from workbench.errors import WorkbenchError
from workbench.facts.schema import WHOLE_FORMS, Attribute, Schema
from workbench.recipes.recipe import ProbingRecipe
from workbench.text_files import read_toml
from workbench.user_forms import fit_form
from workbench.worlds.sections import Section


class SeriesSection(Section):
    """The models. Paths are relative to study.toml."""

    models: str = Field(description="a model folder, a folder of them, a run, or a hub name")
    checkpoints: str = Field("all", description="`all`, `last`, `every:4`, or steps and names")
    revisions: tuple[str, ...] = Field((), description="of a hub name, such as step1000")
    tokenizer: str | None = Field(None, description="a tokenizer's folder, if not the last model's own")


class TableSection(Section):
    """Whom the study is about: one row an entity, or several rows of one entity that agree."""

    file: str = Field(description="a table ending in .csv, .tsv, .jsonl or .parquet")
    entity: str = Field(description="the column of the entities' names; places and templates call it so")
    nouns: str | None = Field(None, description="what several entities are called: cities")
    group: str | None = Field(None, description="a column whose values make groups")
    value_in_name: Literal["refuse", "leave-out", "keep"] = Field(
        "refuse",
        description="entities whose name holds a value of theirs: a probe would read it off the name",
    )


class TextsSection(Section):
    """What is read about each entity: templates over the table's columns, or ready texts with spans."""

    templates: tuple[str, ...] = Field((), description="such as `{city} lies in {country}.`")
    file: str | None = Field(
        None, description="a table of texts: a row names its entity, has `text`, maybe `spans`"
    )
    text: str = Field("text", description="that table's column of texts")

    @model_validator(mode="after")
    def _check_one(self) -> "TextsSection":
        if bool(self.templates) == (self.file is not None):
            raise ValueError("give either templates or a file of texts")
        return self


class AttributeSection(Section):
    """One column of the table that probes predict; as in the schema of facts."""

    key: str
    label: str = ""
    forms: tuple[str, ...] = WHOLE_FORMS
    parts: dict[str, str] = Field({}, description="named parts of a value, each a regular expression")
    determined_by: str | None = None

    @classmethod
    def of(cls, key: str) -> "AttributeSection":
        """The attribute of a column about which nothing else is said."""
        return cls.model_validate({"key": key})


class ProbingSection(ProbingRecipe):
    """The embedding probe: fewer steps at higher rates than a run's, since every one goes through the whole network.

    Of 30 blocks of width 576 a step takes seconds of a processor core; the rates are those of the small recipes.
    """

    steps: int = Field(100, gt=0)
    entries_per_step: int = Field(25, gt=0)
    lr: float = Field(1e-2, gt=0)
    lr_embedding: float | None = Field(3e-2, gt=0, description="rate of the low-rank factors; default: lr")
    weight_decay: float = Field(1.0, ge=0)


class StudyFile(Section):
    """Everything that determines a study but the bytes of its models and tables."""

    seed: int = Field(0, ge=0, description="splits the entities in halves by name")
    start: Literal["tokenizer", "eos", "bos", "none"] = Field(
        "tokenizer", description="the token before a text; `tokenizer`: whatever it puts there itself"
    )
    read: tuple[str, ...] = Field(
        (), description="places of texts; default: end:ENTITY and before:ATTRIBUTE of each stated value"
    )
    series: SeriesSection
    table: TableSection
    texts: TextsSection
    attributes: tuple[AttributeSection, ...] = Field((), description="default: every column but the entity")
    questions: dict[str, str] = Field({}, description="attribute → prompt, filled from the table's columns")
    probing: ProbingSection = ProbingSection()  # type: ignore[call-arg]

    @field_validator("attributes", mode="before")
    @classmethod
    def _name_alone(cls, attributes: Any) -> Any:
        if not isinstance(attributes, list | tuple):
            return attributes
        return [{"key": one} if isinstance(one, str) else one for one in attributes]

    def make_schema(self) -> Schema:
        """The facts' schema; the questions are the study's own, so the schema has none."""
        attributes = tuple(
            Attribute(a.key, a.label, "", a.forms, a.parts, a.determined_by) for a in self.attributes
        )
        return Schema(attributes, self.table.entity, self.table.nouns or f"{self.table.entity} entities")


def load_study_file(path: Path) -> StudyFile:
    """Read a study.toml; every fault is one sentence naming the key."""
    if not path.is_file():
        raise WorkbenchError(f"There is no file {path}; give a study.toml, as docs/studies.md describes it.")
    return make_study_file(read_toml(path), str(path))


def make_study_file(content: dict[str, Any], label: str = "study") -> StudyFile:
    """Check a nested dictionary and make the file's content."""
    return fit_form(StudyFile, content, f"The study {label}")


def study_to_toml(file: StudyFile) -> str:
    """The content as TOML, every default written out; loading it gives an equal one."""
    import tomli_w

    return tomli_w.dumps(file.model_dump(mode="json", exclude_none=True))
