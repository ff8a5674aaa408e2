"""A study of models that stand elsewhere: their series, a table of entities, texts, in one folder.

studies/cities/
    study.toml      what it was made from, every default written out
    study.json      digests; each model's folder, step, and sha256 of its files, or null: they lie in checkpoints/
    corpus/         schema.json entities.jsonl entries.jsonl questions.jsonl
    tokenizer/      the models' tokenizer
    results/ …      as in a run
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.files import read_jsonl, read_object, sha256_file, write_json
from workbench.recipes.recipe import ProbingRecipe, TrainingRecipe
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.corpus import QUESTIONS_FILE, Corpus, load_corpus, load_schema
from workbench.studies.series import STUDY_FILE, read_study_series
from workbench.studies.study import Study
from workbench.studies.study_file import StudyFile, load_study_file, study_to_toml
from workbench.tasks.questions import Question
from workbench.tokens.spans import Start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

STUDY_TOML = "study.toml"


@dataclass(frozen=True, repr=False)
class TableStudy(Study):
    """A study's folder and the file it was made from. `info`: the content of study.json."""

    file: StudyFile
    info: Mapping[str, Any]

    @cached_property
    def corpus(self) -> Corpus:
        corpus = load_corpus(self.corpus_folder)
        questions = [Question(**row) for row in read_jsonl(self.corpus_folder / QUESTIONS_FILE)]
        return replace(corpus, questions=questions)

    @cached_property
    def schema(self) -> Schema:
        return load_schema(self.corpus_folder)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerFast":
        from workbench.tokens.opening import load_tokenizer

        return load_tokenizer(self.path / "tokenizer")

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        return read_study_series(self.path)

    @property
    def seed(self) -> int:
        return self.file.seed

    @property
    def digest(self) -> str:
        return str(self.info["digest"])

    @property
    def experiment(self) -> str:
        return str(self.info["experiment"])

    @property
    def start(self) -> Start:
        return cast(Start, self.info["start"])

    @property
    def full_stops(self) -> bool:
        return False

    @property
    def read(self) -> tuple[str, ...]:
        return self.file.read

    @property
    def tests_all_texts(self) -> bool:
        return True

    @property
    def entity_word(self) -> str:
        return self.file.table.entity

    @property
    def probing(self) -> ProbingRecipe:
        return self.file.probing

    @property
    def training(self) -> TrainingRecipe:
        return TrainingRecipe()  # type: ignore[call-arg]

    @property
    def architecture(self) -> str:
        return str(self.info["model"]["architecture"])

    @property
    def model_words(self) -> str:
        model = self.info["model"]
        return f"{model['architecture']}, {model['blocks']} blocks of width {model['width']}"

    @property
    def width(self) -> int:
        return int(self.info["model"]["width"])

    @property
    def qa_ratio(self) -> float:
        return 0.0

    @property
    def n_entities(self) -> int:
        return int(self.info["entities"])

    @property
    def bidirectional(self) -> bool:
        return bool(self.info["model"]["bidirectional"])

    @property
    def groups(self) -> dict[str, str]:
        return dict(self.info["groups"])

    @property
    def status(self) -> dict[str, Any]:
        return {**read_object(self.path / STUDY_FILE), "state": "finished"}

    def write_descendant(self, folder: Path, answer_space: bool) -> None:
        (folder / STUDY_TOML).write_bytes((self.path / STUDY_TOML).read_bytes())
        about = {"series": None, "finetuned_from": self.name, "answer_space": answer_space}
        write_json(folder / STUDY_FILE, {**self.info, **about})

    def to_toml(self) -> str:
        return study_to_toml(self.file)

    def metrics(self) -> list[dict[str, Any]]:
        return []


def open_table_study(folder: Path) -> TableStudy:
    """Open a study's folder; one whose study.toml was changed since is refused."""
    info = read_object(folder / STUDY_FILE)
    toml = folder / STUDY_TOML
    if not toml.is_file() or info.get("toml_sha256") != sha256_file(toml):
        raise WorkbenchError(
            f"{toml} has been changed since the study was made; restore it, or make "
            "the changed one into a folder of its own."
        )
    return TableStudy(folder, load_study_file(toml), info)
