"""A run: the folder made from a recipe. Its layout is this module's business alone."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.files import (
    UNWRITTEN_BY_US,
    digest_json,
    folder_atomically,
    follow_link,
    is_vacant,
    read_object,
    sha256_file,
    write_json,
)
from workbench.locks import hold
from workbench.recipes.differences import first_difference
from workbench.recipes.recipe import ProbingRecipe, Recipe, TrainingRecipe, load_recipe, recipe_to_toml
from workbench.studies.checkpoints import Checkpoint, list_checkpoints
from workbench.studies.corpus import (
    Corpus,
    load_corpus,
    load_schema,
    make_corpus,
    make_task_texts,
    require_entities,
    resolve_recipe,
    save_corpus_recipe,
)
from workbench.studies.junk import make_junk_texts
from workbench.studies.metrics_file import read_metrics
from workbench.studies.study import Study, folder_of
from workbench.tasks.plan import TaskPlan
from workbench.tokens.positions import POSITIONS
from workbench.tokens.spans import Start
from workbench.worlds.arithmetic.schema import SCHEMA as ARITHMETIC
from workbench.worlds.arithmetic.wording import list_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

RECIPE_FILE = "recipe.toml"
RUN_FILE = "run.json"
MADE_FIRST = {RECIPE_FILE, RUN_FILE, "corpus", "tokenizer"}  # before any step is made


@dataclass(frozen=True, repr=False)
class Run(Study):
    """A run's folder and the recipe it was made from."""

    recipe: Recipe

    @property
    def checkpoints_folder(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def corpus_folder(self) -> Path:
        first = self.path / "biographies"  # the first version's name
        return first if first.is_dir() else self.path / "corpus"

    @cached_property
    def corpus(self) -> Corpus:
        """Entities, entries and questions, read from the run's own files; the arithmetic world has none."""
        require_entities(self.recipe, str(self.path))
        is_drawn = self.recipe.world == "biographies" and self.recipe.biographies.corpus is None
        return load_corpus(self.corpus_folder, people=self.n_entities if is_drawn else None)

    @cached_property
    def schema(self) -> Schema:
        """What is known about an entity, without reading the corpus; in the arithmetic world, about a parameter."""
        return ARITHMETIC if self.recipe.arithmetic is not None else load_schema(self.corpus_folder)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerFast":
        from workbench.tokens.opening import load_tokenizer

        return load_tokenizer(self.path / "tokenizer")

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The complete checkpoints by step."""
        return list_checkpoints(self.checkpoints_folder, self.status.get("recipe_digest"))

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @property
    def digest(self) -> str:
        return self.recipe.digest

    @property
    def experiment(self) -> str:
        return digest_json(
            {key: value for key, value in self.recipe.to_json().items() if key not in ("name", "seed")}
        )

    @property
    def start(self) -> Start:
        return "eos"

    @property
    def full_stops(self) -> bool:
        return True

    @property
    def read(self) -> tuple[str, ...]:
        return (POSITIONS,)

    @property
    def tests_all_texts(self) -> bool:
        return False

    @property
    def entity_word(self) -> str:
        return "name"

    @property
    def probing(self) -> ProbingRecipe:
        return self.recipe.probing

    @property
    def training(self) -> TrainingRecipe:
        return self.recipe.training

    @property
    def model_words(self) -> str:
        return f"{self.recipe.model.architecture} {self.recipe.model.preset}"

    @property
    def architecture(self) -> str:
        return self.recipe.model.architecture

    @property
    def width(self) -> int:
        return self.recipe.model.shape.d_model

    @property
    def qa_ratio(self) -> float:
        return self.recipe.training.qa_ratio if self.recipe.training.objective == "mixed" else 0.0

    @property
    def tasks(self) -> TaskPlan | None:
        return None if self.recipe.tasks is None else self.recipe.tasks.plan

    @property
    def n_entities(self) -> int:
        return sum(group.people for group in self.recipe.groups)

    @property
    def bidirectional(self) -> bool:
        return self.recipe.model.architecture == "gbert"

    @property
    def groups(self) -> dict[str, str]:
        return {group.name: group.augmentation for group in self.recipe.groups}

    def write_descendant(self, folder: Path, answer_space: bool) -> None:
        (folder / RECIPE_FILE).write_bytes((self.path / RECIPE_FILE).read_bytes())
        about = {"state": "finished", "finetuned_from": self.name, "answer_space": answer_space}
        write_json(folder / RUN_FILE, {**self.status, **about})

    def to_toml(self) -> str:
        return recipe_to_toml(self.recipe)

    @property
    def status(self) -> dict[str, Any]:
        """run.json: `state` is `new`, `training`, `interrupted` or `finished`."""
        return read_object(self.path / RUN_FILE)

    def set_status(self, **changes: Any) -> None:
        """Merge `changes` into run.json."""
        write_json(self.path / RUN_FILE, {**self.status, **changes})

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, oldest first; empty before the first evaluation."""
        is_whole = self.status.get("state") == "finished" and isinstance(self.status.get("steps"), int)
        return read_metrics(self.metrics_file, self.status["steps"] if is_whole else None)


def create_run(recipe: Recipe, folder: Path | str) -> Run:
    """Make a run's folder with its recipe, corpus and tokenizer, or open it where it exists already.

    A folder that holds a run of another recipe is refused: results of two recipes never mix. One in which no step was
    made, as where training was refused at its start, makes room for the recipe that was mended. An empty folder is
    filled in place, by one process at a time.
    """
    folder = folder_of(folder)
    folder = follow_link(folder) if not folder.exists() else folder
    if (folder / RUN_FILE).is_file():
        if _was_never_trained(folder):
            recipe = _resolve_own(recipe)
            if open_run(folder).recipe.digest != recipe.digest:
                with hold(folder, "train", "made"):
                    if _was_never_trained(folder):
                        _empty(folder)
                        _fill(recipe, folder)
        return _open_same(recipe, folder)
    if not folder.exists():
        _fill(recipe, folder)
        return _open_same(recipe, folder)
    taken = f"{folder} exists and is not a run (it has no {RUN_FILE}); give --out another folder."
    if not folder.is_dir():
        raise WorkbenchError(taken)
    with hold(folder, "train", "made"):
        if not (folder / RUN_FILE).is_file():
            if not is_vacant(folder):
                raise WorkbenchError(taken)
            _fill(recipe, folder)
    return _open_same(recipe, folder)


def _was_never_trained(folder: Path) -> bool:
    """Whether a run's folder holds what `_fill` makes and nothing else."""
    names = {entry.name for entry in folder.iterdir()}
    return names <= MADE_FIRST | UNWRITTEN_BY_US and read_object(folder / RUN_FILE).get("state") == "new"


def _empty(folder: Path) -> None:
    # run.json first: it says that the others are whole
    for name in sorted(MADE_FIRST, key=lambda name: name != RUN_FILE):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _fill(recipe: Recipe, folder: Path) -> None:
    from workbench.tokens.tokenizers import Read, make_tokenizer

    corpus: Corpus | None = None
    words: Read
    if recipe.arithmetic is None:
        corpus = make_corpus(recipe)
        recipe = resolve_recipe(recipe, corpus)
        words = corpus.count_words(
            [*make_task_texts(recipe, corpus), *make_junk_texts(recipe, corpus.entities)]
        )
    else:  # problems are made as they are read: only their words are kept
        words = [" ".join(list_words(recipe.arithmetic.problems))]
    with folder_atomically(folder, last=RUN_FILE, replace=False) as partial:
        (partial / RECIPE_FILE).write_text(recipe_to_toml(recipe), encoding="utf-8")
        if corpus is not None:
            save_corpus_recipe(partial / "corpus", corpus)
        make_tokenizer(recipe.tokens, words).save_pretrained(str(partial / "tokenizer"))
        identity = {"recipe_digest": recipe.digest, "recipe_sha256": sha256_file(partial / RECIPE_FILE)}
        write_json(partial / RUN_FILE, {**identity, "state": "new", **_versions()})


def _resolve_own(recipe: Recipe) -> Recipe:
    """The recipe with the digest of its own facts, by which two of them are told apart."""
    if recipe.own is not None and recipe.own.digest is None:
        return resolve_recipe(recipe, make_corpus(recipe))
    return recipe


def _open_same(recipe: Recipe, folder: Path) -> Run:
    run, recipe = open_run(folder), _resolve_own(recipe)
    if run.recipe.digest != recipe.digest:
        raise WorkbenchError(
            f"{folder} holds a run of another recipe ({first_difference(run.recipe, recipe)}); "
            "give --out another folder, or delete this one."
        )
    return run


def open_run(folder: Path | str) -> Run:
    """Open an existing run; a folder that is none is refused with what would make one."""
    folder = folder_of(folder)
    if folder.name in ("", ".."):  # `.` has no name of its own
        folder = folder.resolve()
    if not (folder / RUN_FILE).is_file():
        raise WorkbenchError(
            f"{folder} is not a run (it has no {RUN_FILE}); make one with `workbench train RECIPE`."
        )
    recipe_file = folder / RECIPE_FILE
    if read_object(folder / RUN_FILE).get("recipe_sha256") != sha256_file(recipe_file):
        raise WorkbenchError(
            f"{recipe_file} has been changed since the run was made; "
            "restore it, or train the changed recipe into a folder of its own."
        )
    return Run(folder, load_recipe(recipe_file))


def _versions() -> dict[str, Any]:
    from importlib.metadata import version

    return {"versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}}
