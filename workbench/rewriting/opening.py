"""What a rewriting is opened with: the facts to write about, and the texts there are (of a recipe, a folder of facts, a
study, or a study.toml); the model that writes.
"""

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.rewriting.checking import Checker
from workbench.rewriting.contexts import learn_contexts
from workbench.rewriting.corpus_folder import first_texts, sample_entries
from workbench.rewriting.engines import Engine, Manner
from workbench.rewriting.mentions import Mentions
from workbench.rewriting.prompts import Prompt, PromptFiles
from workbench.rewriting.wordings import Wordings
from workbench.rewriting.work import Order
from workbench.studies.corpus import Corpus
from workbench.text_files import read_text

LEARNED_FROM = 2000  # entries, spread over the corpus, that tell which words stand around values
SHOWN = 5  # of an entity's own texts, so many may be shown for rewriting
WORDS_PER_ATTRIBUTE = (4, 25)


@dataclass(frozen=True)
class Subject:
    """What is written about. seed: the recipe's or the study's, so that halves and prompts follow from it."""

    corpus: Corpus
    seed: int
    name: str


def open_subject(source: str, overrides: list[str]) -> Subject:
    """Open whatever holds facts: a recipe by file or name, a folder of facts, a run, a study, or a study.toml.

    Raises WorkbenchError for a path that is none of them.
    """
    from workbench.recipes.recipe import load_recipe
    from workbench.studies.corpus import make_corpus
    from workbench.studies.opening import open_study
    from workbench.studies.study_file import load_study_file
    from workbench.studies.table_facts import read_facts
    from workbench.worlds.own.facts import FACTS_FILE

    path = Path(source)
    if path.is_dir():
        if (path / FACTS_FILE).is_file():
            recipe = load_recipe("own", [f"own.folder={json.dumps(source)}", *overrides])
            return Subject(make_corpus(recipe), recipe.seed, path.name)
        study = open_study(path)
        return Subject(study.corpus, study.seed, path.resolve().name)
    if path.is_file() and "series" in _toml(path):
        file, corpus, _ = read_facts(load_study_file(path), path.parent)
        return Subject(corpus, file.seed, path.stem)
    recipe = load_recipe(source, overrides)
    return Subject(make_corpus(recipe), recipe.seed, recipe.name)


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError:
        return {}  # the reader of recipes says what is wrong


def make_order(
    subject: Subject,
    prompts: PromptFiles,
    wordings: Wordings,
    *,
    per_entity: int,
    attempts: int,
    words: tuple[int | None, int | None] = (None, None),
    repair: bool = False,
    exchanges: bool = True,
    entities: int | None = None,
) -> Order:
    """Put together what is to be written. words: fewest and most of a text; by default 4 and 25 an attribute.

    entities: only so many, from the first on.
    """
    corpus = subject.corpus
    n = len(corpus.schema)
    fewest, most = words
    checker = Checker(
        corpus.schema,
        Mentions(corpus.schema, corpus.entities, wordings),
        learn_contexts(corpus.schema, sample_entries(corpus, LEARNED_FROM), wordings.cues),
        (fewest or WORDS_PER_ATTRIBUTE[0] * n, most or WORDS_PER_ATTRIBUTE[1] * n),
        exchanges,
    )
    texts = first_texts(corpus, SHOWN) if prompts.wants_text else {}
    return Order(
        checker,
        corpus.entities[:entities],
        prompts,
        per_entity,
        attempts,
        subject.seed,
        repair,
        texts,
    )


@dataclass(frozen=True)
class Writer:
    """The model that writes, and how it is asked.

    model: a folder or hub name; with a server its name there. batch, device: of a local model; concurrency, timeout
    (seconds) and retries: of a server.
    """

    model: str
    server: str | None = None
    manner: Manner = field(default_factory=Manner)
    batch: int = 16
    device: str | None = None
    concurrency: int = 8
    timeout: float = 120.0
    retries: int = 8

    @property
    def together(self) -> int:
        """How many prompts make a batch."""
        return self.batch if self.server is None else 1

    @property
    def drawn(self) -> dict[str, Any]:
        """What decides its answers beside the prompts."""
        return {**asdict(self.manner), "batch": self.batch if self.server is None else None}

    def open(self) -> Engine:
        """The engine; a local model is loaded."""
        if self.server is None:
            from workbench.rewriting.local_model import load_local

            return load_local(self.model, self.manner, self.batch, self.device)
        from workbench.rewriting.server import Server

        return Server(
            self.server,
            self.model,
            self.manner,
            concurrency=self.concurrency,
            seconds=self.timeout,
            retries=self.retries,
        )

    def open_counter(self) -> Callable[[Prompt], int]:
        """What counts a prompt's tokens, without the model: about so many of a server."""
        if self.server is not None:
            from workbench.rewriting.server import count_about

            return count_about
        from workbench.rewriting.local_model import encode_prompt, load_tokenizer_of

        tokenizer = load_tokenizer_of(self.model)
        return lambda prompt: len(encode_prompt(tokenizer, prompt))
