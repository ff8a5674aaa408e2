"""What a run trains on and is measured on: its encoded texts, the stream of rows, the statements to check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.recipes.recipe import Recipe
from workbench.studies.junk import make_junk
from workbench.studies.runs import Run
from workbench.tokens.encoding import (
    EncodedEntries,
    EncodedQuestions,
    EntryEncoder,
    check_values_tokenize_alike,
    encode_questions,
)
from workbench.tokens.packing import MixedStream, RowSource, RowStream, row_width
from workbench.tokens.task_texts import encode_tasks
from workbench.training.evaluation import (
    Statements,
    answer_statements,
    biography_statements,
    first_token_accuracy,
    sample_entities,
)
from workbench.training.plan import count_steps
from workbench.training.problems import ProblemData
from workbench.worlds.entries import Entry
from workbench.worlds.entry_sequence import WorldEntries

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from workbench.training.devices import Execution

ENTITIES_MEASURED_FINALLY = 1000  # of each half
ENTITIES_MEASURED_OFTEN = 150
ENTITIES_ASKED_OFTEN = 50


class TrainingSource(Protocol):
    """What a world gives the training loop: rows, how many steps of them, and what to measure."""

    @property
    def stream(self) -> RowSource: ...

    def count_steps(self) -> int:
        """Optimizer steps of the recipe's budget."""
        ...

    def measure(
        self, model: "PreTrainedModel", execution: "Execution", mask_id: int | None, final: bool
    ) -> dict[str, Any]:
        """What a row of metrics.jsonl says beside step and loss."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """The encoded corpus of a run and its endless stream of rows."""

    recipe: Recipe
    entries: EncodedEntries
    questions: EncodedQuestions
    entities: list[Entity]
    stream: RowStream | MixedStream
    seed: int

    def count_steps(self) -> int:
        """Optimizer steps that show every entity as often as the recipe says."""
        entries = self.stream.biographies if isinstance(self.stream, MixedStream) else self.stream
        return count_steps(self.recipe, entries.rows_a_text, len(self.entities))

    def measure(
        self, model: "PreTrainedModel", execution: "Execution", mask_id: int | None, final: bool
    ) -> dict[str, Any]:
        """First-token accuracies: biographies and answers → split → attribute."""
        return {
            kind: first_token_accuracy(model, statements, execution, mask_id)
            for kind, statements in self.statements(final).items()
        }

    def statements(self, final: bool) -> dict[str, Statements]:
        """What to measure: biographies and answers of a sample of entities, a larger one at the end."""
        biographies = sample_entities(
            self.entities, ENTITIES_MEASURED_FINALLY if final else ENTITIES_MEASURED_OFTEN, self.seed
        )
        answers = sample_entities(
            self.entities, ENTITIES_MEASURED_OFTEN if final else ENTITIES_ASKED_OFTEN, self.seed
        )
        return {
            "biographies": biography_statements(self.entries, self.entities, biographies, self.seed),
            "answers": answer_statements(self.questions, self.entities, answers),
        }


def make_source(run: Run) -> TrainingSource:
    """What a run trains on."""
    if run.recipe.arithmetic is not None:
        return ProblemData(run.recipe, run.tokenizer)
    return encode_run(run)


def encode_run(run: Run) -> TrainingData:
    """Encode a run's corpus, check it against the model's length, and make its stream."""
    recipe, corpus, tokenizer = run.recipe, run.corpus, run.tokenizer
    encoder = EntryEncoder(tokenizer, corpus.schema)
    entries = encoder.encode(corpus.entries)
    questions = encode_questions(tokenizer, corpus.questions, corpus.schema)
    check_values_tokenize_alike(tokenizer, entries, [entity.values for entity in corpus.entities])
    _require_fits(recipe, entries, questions)
    fill = recipe.tokens.row_length if recipe.tokens.fills_rows else None
    ids = {"end_id": tokenizer.eos_token_id, "pad_id": tokenizer.pad_token_id, "seed": recipe.seed}
    stream: RowStream | MixedStream
    stream = biographies = RowStream(
        entries,
        purpose="biographies",
        row_length=fill,
        packing=recipe.tokens.packing,
        rows_per_step=recipe.training.rows_per_step,
        longest=recipe.model.shape.max_length,
        fresh=_fresh_entries(encoder, corpus.entries),
        **ids,
    )
    if recipe.training.objective == "mixed":
        asked = select_questions(questions, _in_train(questions, corpus.entities))
        if recipe.tasks is not None:
            made = recipe.tasks.plan.make_questions(corpus.schema, corpus.entities, recipe.seed)
            trained = [question for question in made if question.split == "train"]
            asked = join_questions(asked, encode_tasks(tokenizer, trained, corpus.schema).encoded)
        width = fill or int(entries.lengths.max())  # question rows are filled, so both kinds cost the same
        question_rows = RowStream(asked, purpose="questions", row_length=width, **ids)
        stream = MixedStream(biographies, question_rows, recipe.training.qa_ratio, recipe.seed)
    if recipe.junk is not None:
        stream = MixedStream(biographies, _make_junk_rows(run, fill, ids), recipe.junk.share, recipe.seed)
    return TrainingData(recipe, entries, questions, corpus.entities, stream, recipe.seed)


def _make_junk_rows(run: Run, fill: int | None, ids: dict[str, Any]) -> RowStream:
    """Rows about others: every round new ones, or the same few in new texts."""
    recipe, corpus = run.recipe, run.corpus
    first = make_junk(recipe, 0, corpus.entities)

    def entries_of(number: int) -> EncodedEntries:
        is_same = recipe.junk is not None and recipe.junk.kind == "repeated"
        world = first if is_same else make_junk(recipe, number, corpus.entities)
        return EntryEncoder(run.tokenizer, corpus.schema).encode(
            WorldEntries(world, number if is_same else 0)
        )

    return RowStream(
        entries_of(0),
        purpose="junk",
        row_length=fill,
        rows_per_step=recipe.training.rows_per_step,
        longest=recipe.model.shape.max_length,
        fresh=entries_of,
        **ids,
    )


def _fresh_entries(encoder: EntryEncoder, entries: Sequence[Entry]) -> Callable[[int], EncodedEntries] | None:
    """Epoch → its entries, where some entity has a new one at every exposure (`multi∞`); else None."""
    if not (isinstance(entries, WorldEntries) and entries.is_endless):
        return None
    return lambda epoch: encoder.encode(entries.at_exposure(epoch))


def _in_train(questions: EncodedQuestions, entities: list[Entity]) -> np.ndarray:
    return np.array([entities[entity].split == "train" for entity in questions.entities], bool)


def join_questions(first: EncodedQuestions, second: EncodedQuestions) -> EncodedQuestions:
    """Questions behind one another; the second ones' `attribute` numbers go on from the first ones'."""
    kinds = int(first.attribute.max(initial=-1)) + 1
    return EncodedQuestions(
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        np.concatenate([first.entities, second.entities]),
        np.concatenate([first.answer_start, second.answer_start]),
        np.concatenate([first.answer_end, second.answer_end]),
        first.schema,
        np.concatenate([first.attribute, second.attribute + kinds]),
    )


def select_questions(questions: EncodedQuestions, keep: np.ndarray) -> EncodedQuestions:
    """Some of the questions (bool [N]): those about train entities are the only ones any training ever sees."""
    lengths = questions.lengths[keep]
    offsets = np.r_[0, np.cumsum(lengths)]
    ids = questions.ids[np.repeat(keep, questions.lengths)]
    return EncodedQuestions(
        ids,
        offsets,
        questions.entities[keep],
        questions.answer_start[keep],
        questions.answer_end[keep],
        questions.schema,
        questions.attribute[keep],
    )


def _require_fits(recipe: Recipe, entries: EncodedEntries, questions: EncodedQuestions) -> None:
    longest = max(row_width(int(entries.lengths.max())), int(questions.lengths.max()))
    if recipe.tokens.fills_rows:
        longest = max(longest, recipe.tokens.row_length)
    limit = recipe.model.shape.max_length
    if longest > limit:
        raise WorkbenchError(
            f"The longest row has {longest} tokens but the model reads {limit}; "
            f"set model.max_length to at least {longest}, or use shorter templates ({recipe.world}.templates)."
        )
