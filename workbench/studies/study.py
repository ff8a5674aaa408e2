"""A study: a series of checkpoints, facts and texts in a folder. Every command takes one.

A run is a study whose series was trained here from a recipe; a table study reads models that stand elsewhere.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.recipes.recipe import ProbingRecipe, TrainingRecipe
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.corpus import Corpus
from workbench.studies.steps import Which, select_checkpoints
from workbench.tasks.plan import TaskPlan
from workbench.tokens.spans import Start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, repr=False)
class Study(ABC):
    """What probing, attention, extraction and the entity view need to know of a folder."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def corpus_folder(self) -> Path:
        return self.path / "corpus"

    @property
    @abstractmethod
    def corpus(self) -> Corpus:
        """Entities, entries and questions, read from the study's own files."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """What is known about an entity, without reading the corpus."""

    @property
    @abstractmethod
    def tokenizer(self) -> "PreTrainedTokenizerFast":
        """The tokenizer all its models share."""

    @property
    @abstractmethod
    def checkpoints(self) -> list[Checkpoint]:
        """The series: the complete checkpoints by step."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """What splits the entities, and draws entries of the test half."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hex sha256 of what determines series, facts and texts: results of two digests are never joined."""

    @property
    @abstractmethod
    def experiment(self) -> str:
        """What determines it but for its seed: equal ones are seeds of one experiment."""

    @property
    @abstractmethod
    def start(self) -> Start:
        """What its models read before a text."""

    @property
    @abstractmethod
    def full_stops(self) -> bool:
        """Whether its models end an answer with a full stop, as the texts they were trained on here do."""

    @property
    @abstractmethod
    def read(self) -> tuple[str, ...]:
        """Where a P-probe reads: `positions` (the token before each value, by rank), or places of spans."""

    @property
    @abstractmethod
    def tests_all_texts(self) -> bool:
        """Whether P-probes are tested on every text of a test entity; if not, on one of each, drawn by the seed."""

    @property
    @abstractmethod
    def entity_word(self) -> str:
        """What places call the entity beside `name`: the table's column, `city`."""

    @property
    @abstractmethod
    def probing(self) -> ProbingRecipe:
        """How embedding probes are trained."""

    @property
    @abstractmethod
    def training(self) -> TrainingRecipe:
        """Precision, attention kernel and compilation of whatever is trained on top of it."""

    @property
    @abstractmethod
    def model_words(self) -> str:
        """The models in a few words."""

    @property
    @abstractmethod
    def architecture(self) -> str:
        """The models' architecture in a word."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The models' width D."""

    @property
    @abstractmethod
    def qa_ratio(self) -> float:
        """The share of rows that held questions while its series was trained; 0 where none did or nobody knows."""

    @property
    @abstractmethod
    def n_entities(self) -> int:
        """How many entities there are, without reading the corpus."""

    @property
    @abstractmethod
    def bidirectional(self) -> bool:
        """Whether its models see what comes later in a text."""

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, str]:
        """The groups of entities, and what is special about the texts of each."""

    @property
    @abstractmethod
    def status(self) -> dict[str, Any]:
        """What its folder says of its making; `state` among it."""

    @property
    def tasks(self) -> TaskPlan | None:
        """The tasks that its models have learned the words of, or were trained on, already."""
        return None

    @property
    def answer_space(self) -> bool:
        """Whether a space stands before an answer, as its models were taught; not where a finetune left it out."""
        return bool(self.status.get("answer_space", True))

    @abstractmethod
    def to_toml(self) -> str:
        """The file that determines it, every default written out."""

    @abstractmethod
    def metrics(self) -> list[dict[str, Any]]:
        """What was measured while its series was trained, oldest first; empty where it was trained elsewhere."""

    @abstractmethod
    def write_descendant(self, folder: Path, answer_space: bool) -> None:
        """Make a folder with corpus, tokenizer and `checkpoints/` of its own a study of these facts and texts.

        answer_space: whether its models were taught answers behind a space.
        """

    def checkpoint(self, which: "int | str | Checkpoint" = "last") -> Checkpoint:
        """The checkpoint of a step or label, or the `last` one; an unknown step is refused with the known ones.

        A checkpoint is given back as it is.
        """
        if isinstance(which, Checkpoint):
            return which
        members = self.checkpoints
        by_step = {str(one.step): one for one in members}
        by_step["last"] = select_checkpoints(members, "last", self.path)[-1]
        by_name = {one.label: one for one in members} | by_step
        if str(which) not in by_name:
            raise WorkbenchError(
                f"{self.path} has no checkpoint {str(which)!r}; choose one of {', '.join(by_step)}."
            )
        return by_name[str(which)]

    def choose(self, which: Which = "all") -> list[Checkpoint]:
        """Some of the series: `all`, `last`, `every:4`, steps and labels, one or several; checkpoints as they are."""
        if isinstance(which, Checkpoint):
            return [which]
        given = (
            [one for one in which if isinstance(one, Checkpoint)] if isinstance(which, list | tuple) else []
        )
        if given and isinstance(which, list | tuple) and len(given) == len(which):
            return given
        return select_checkpoints(self.checkpoints, which, self.path)

    def in_train(self, entities: "np.typing.ArrayLike") -> "np.ndarray":
        """bool, of the shape given: whether each entity, by its number, is in the train half.

        `study.in_train(store.columns["entity"])` is the `train` of `fit_probes`.
        """
        is_train = np.array([entity.split == "train" for entity in self.corpus.entities])
        numbers = np.asarray(entities)
        if numbers.dtype.kind not in "iu" or (
            numbers.size and not 0 <= numbers.min() <= numbers.max() < len(is_train)
        ):
            raise WorkbenchError(
                f"Entities are numbers from 0 to {len(is_train) - 1} here, as in the column 'entity' of a reading."
            )
        found: np.ndarray = is_train[numbers]
        return found

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.path)!r})"  # nothing is read, so that a damaged one prints too
        )

    def require_group(self, group: str | None) -> list[str]:
        """The names of all groups; one (or None, everybody) that is not among them is refused."""
        known = sorted({entity.group for entity in self.corpus.entities})
        if group is not None and group not in known:
            raise WorkbenchError(f"{self.path} has no group {group!r}; its groups are {', '.join(known)}.")
        return known


def folder_of(study: Study | Path | str) -> Path:
    """The folder of a run or a study, which may be given itself; anything else is refused."""
    if isinstance(study, Study):
        return study.path
    if isinstance(study, str | os.PathLike):
        return Path(study)
    raise WorkbenchError(
        f"Expected a run or a study, or its folder, and got {type(study).__name__}; open one with open_study(FOLDER)."
    )


def name_apart(studies: Sequence[Study]) -> list[str]:
    """A name for each study: its folder's, after as many of the folders above as it takes to tell them apart."""
    parts = [study.path.resolve().parts for study in studies]
    names = [study.name for study in studies]
    length = 1
    while len(set(names)) < len(set(parts)):
        length += 1
        names = ["/".join(part[-length:]) for part in parts]
    return names
