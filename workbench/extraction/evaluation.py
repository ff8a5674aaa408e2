"""How well a model answers, and recites: accuracies per half and attribute, chance beside them, and wrong answers.

Shapes: S halves (train, test), A attributes, N questions.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from workbench_models import is_bidirectional

from workbench.errors import WorkbenchError
from workbench.extraction.answer_cases import make_answer_cases
from workbench.extraction.answer_space import answers_have_space
from workbench.extraction.asking import (
    ANSWER_KINDS,
    Answers,
    AskableQuestions,
    ask,
    askable_of,
    make_answer_book,
)
from workbench.extraction.finetunes import Finetune, base_checkpoint, load_finetuned, open_finetune
from workbench.extraction.recall import recite
from workbench.extraction.wrong_answers import WrongAnswer, list_wrong_answers
from workbench.field_checks import check_fields
from workbench.results.case_files import save_cases
from workbench.results.making import making
from workbench.results.provenance import make_attrs
from workbench.results.statistics import wilson_interval
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.opening import as_study
from workbench.studies.study import Study
from workbench.tasks.questions import Question
from workbench.tokens.encoding import encode_entries
from workbench.training.devices import choose_device
from workbench.training.evaluation import Statements, biography_statements

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SPLITS = ("train", "test")
BY_CELL = ("split", "attribute")


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked of whom. adapter: a finetune's name, or None for the checkpoint itself; which: its `last` or
    `best` state; checkpoint: by step, default the finetune's own, or the last. entities: at most so many of each
    half, drawn by the recipe's seed. cases: keep each entity's answers beside the result (not
    beside those of single groups, which everybody's hold).
    """

    adapter: str | None = None
    which: str = "last"
    checkpoint: str | int | Checkpoint | None = None
    beams: int = 1
    group: str | None = None
    entities: int | None = None
    again: bool = False
    cases: bool = True

    def __post_init__(self) -> None:
        check_fields(self, {"beams": 1, "entities": 1})

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one."""
        parts = [Path(self.adapter).name] if self.adapter else []
        parts += ["best"] if self.adapter and self.which == "best" else []
        parts += [f"group-{self.group}"] if self.group else []
        parts += [f"beams{self.beams}"] if self.beams > 1 else []
        parts += [f"entities{self.entities}"] if self.entities is not None else []
        return "+".join(parts)


@dataclass(frozen=True)
class Evaluation:
    """dataset: see `make_qa_dataset`. wrong: the wrong answers, none where the result was read from disk. groups: the
    same dataset of each group's entities, where the run has several groups and all of them were asked.
    """

    dataset: xr.Dataset
    wrong: list[WrongAnswer]
    groups: dict[str, xr.Dataset] = field(default_factory=dict)


@dataclass(frozen=True)
class _Measured:
    """What was said and recited: answers to the questions `chosen`, and whether each statement's first token and
    whole value were said.
    """

    asked: AskableQuestions
    chosen: np.ndarray
    answers: Answers
    statements: Statements
    first_N: np.ndarray
    whole_N: np.ndarray

    def make_dataset(self, group: str | None, attrs: dict[str, str]) -> xr.Dataset:
        """The labelled array of everybody, or of one group's entities."""
        asked = self.asked
        here = np.arange(len(self.chosen))
        told_N = np.ones(len(self.statements.texts), bool)
        if group is not None:
            here = np.flatnonzero(np.isin(self.chosen, asked.choose(group=group)))
            entities = asked.encoded.entities[self.chosen[here]]
            told_N = np.isin(self.statements.encoded.entities[self.statements.texts], entities)
        answers = Answers(
            [self.answers.kinds[i] for i in here],
            [self.answers.said[i] for i in here],
            self.answers.first_N[here],
        )
        return make_qa_dataset(asked, self.chosen[here], answers, self._recited(told_N), attrs)

    def make_cases(self, run: Study) -> xr.Dataset:
        """What was said about each entity, of the run's own questions."""
        return make_answer_cases(run.tokenizer, run.corpus.questions, self.asked, self.chosen, self.answers)

    def _recited(self, told_N: np.ndarray) -> dict[str, np.ndarray]:
        """recall_first, recall_whole, recall_n [S, A] over these statements."""
        shape = (len(SPLITS), len(self.statements.schema))
        cell_N = (np.where(self.statements.train, 0, 1) * shape[1] + self.statements.attributes)[told_N]
        n_SA, first_SA, whole_SA = (
            np.bincount(cell_N, weights, minlength=shape[0] * shape[1]).reshape(shape)
            for weights in (None, self.first_N[told_N], self.whole_N[told_N])
        )
        with np.errstate(invalid="ignore"):
            return {"recall_first": first_SA / n_SA, "recall_whole": whole_SA / n_SA, "recall_n": n_SA}


def evaluate(
    run: Study | Path | str,
    request: EvaluationRequest | None = None,
    *,
    questions: list[Question] | None = None,
    device: str | None = None,
) -> Evaluation:
    """Ask every question (or of a sample of entities), recite biographies, and keep the result of the run's own
    questions under `results/qa-<family>+<variant>`; one that exists for these weights is not made twice. Where
    everybody of several groups is asked, each group's result is kept too, as if it had been asked for alone.
    """
    run, request = as_study(run), request or EvaluationRequest()
    if request.adapter is None and request.which != "last":
        raise WorkbenchError(
            f"--which {request.which} is a state of a finetune; give --adapter as well, or leave it out."
        )
    tuned = None if request.adapter is None else open_finetune(run, request.adapter)
    checkpoint = run.checkpoint("last" if request.checkpoint is None else request.checkpoint)
    if tuned is not None:
        checkpoint = base_checkpoint(run, tuned, request.checkpoint)
    known = run.require_group(request.group)
    family = "none" if tuned is None else str(tuned.settings["method"])
    parts = {request.group: request}
    if len(known) > 1 and request.group is None and request.entities is None and questions is None:
        parts |= {group: replace(request, group=group) for group in known}
    paths = {
        group: result_path(run.path, "qa", family, checkpoint.step, part.variant)
        for group, part in parts.items()
    }
    if questions is None and not request.again:
        found = {
            group: find_result(path, checkpoint.weights_digest, _describe(run, parts[group], tuned))
            for group, path in paths.items()
        }
        complete = {group: dataset for group, dataset in found.items() if dataset is not None}
        if len(complete) == len(parts):
            whole = complete.pop(request.group)
            return Evaluation(whole, [], {str(group): dataset for group, dataset in complete.items()})
    if not (questions or run.corpus.questions):
        raise WorkbenchError(
            f"{run.path} has no questions to ask; give study.toml a [questions] table and make the study again, or ask "
            "your own with --questions FILE."
        )
    with nullcontext() if questions is not None else making(paths[request.group], "asked"):
        chosen_device = choose_device(device)
        if tuned is None:
            model = load_model(checkpoint, device=chosen_device)
        else:
            model = load_finetuned(run, tuned, which=request.which, device=chosen_device)
        space = answers_have_space(run, tuned)
        measured = _measure(run, model, request, questions or run.corpus.questions, space)
        datasets = {}
        for group, part in parts.items():
            settings, variant = _describe(run, part, tuned), part.variant
            attrs = make_attrs(
                kind="qa", family=family, run=run, checkpoint=checkpoint, settings=settings, variant=variant
            )
            dataset = measured.make_dataset(None if part is request else group, attrs)
            datasets[group] = dataset.assign_coords(checkpoint=checkpoint.step)
            if questions is None:
                cases = measured.make_cases(run) if part is request and request.cases else None
                save_cases(paths[group], datasets[group], cases)
                save_result(paths[group], datasets[group])
        whole = datasets.pop(request.group)
        wrong = list_wrong_answers(
            run.tokenizer, run.corpus.entities, measured.asked, measured.chosen, measured.answers
        )
        return Evaluation(whole, wrong, {str(group): dataset for group, dataset in datasets.items()})


def make_qa_dataset(
    asked: AskableQuestions,
    chosen: np.ndarray,
    answers: Answers,
    recited: dict[str, np.ndarray],
    attrs: dict[str, str],
) -> xr.Dataset:
    """The labelled array of one evaluation, dims (split, attribute) and, for `said`, answer_kind.

    Variables: accuracy, n, ci_low, ci_high of whole answers; chance, what the commonest value of the half's
    entities scores; first_accuracy, first_ci_low, first_ci_high, first_chance of first tokens; said, how many
    answers were of which kind; recall_first, recall_whole, recall_n of biographies.
    """
    schema = asked.encoded.schema
    right_SA, first_SA, n_SA = (np.zeros((len(SPLITS), len(schema)), int) for _ in range(3))
    chance_SA, first_chance_SA = (np.full(n_SA.shape, np.nan) for _ in range(2))
    said_SAK = np.zeros((*n_SA.shape, len(ANSWER_KINDS)), int)
    kinds_N = np.array([ANSWER_KINDS.index(kind) for kind in answers.kinds], int)
    for s, split in enumerate(SPLITS):
        for a in range(len(schema)):
            in_half = asked.train_N[chosen] == (split == "train")
            here = np.flatnonzero(in_half & (asked.encoded.attribute[chosen] == a))
            n_SA[s, a] = len(here)
            if not len(here):
                continue
            right_SA[s, a], first_SA[s, a] = answers.right_N[here].sum(), answers.first_N[here].sum()
            said_SAK[s, a] = np.bincount(kinds_N[here], minlength=len(ANSWER_KINDS))
            true = [asked.answer(n) for n in chosen[here]]
            chance_SA[s, a] = _commonest_share(true)
            first_chance_SA[s, a] = _commonest_share([answer[:1] for answer in true])
    (low_SA, high_SA), (first_low_SA, first_high_SA) = (
        wilson_interval(right_SA, n_SA),
        wilson_interval(first_SA, n_SA),
    )
    with np.errstate(invalid="ignore"):
        accuracy_SA, first_accuracy_SA = right_SA / n_SA, first_SA / n_SA
    variables: dict[str, Any] = {
        "accuracy": (BY_CELL, accuracy_SA),
        "n": (BY_CELL, n_SA),
        "ci_low": (BY_CELL, low_SA),
        "ci_high": (BY_CELL, high_SA),
        "chance": (BY_CELL, chance_SA),
        "first_accuracy": (BY_CELL, first_accuracy_SA),
        "first_ci_low": (BY_CELL, first_low_SA),
        "first_ci_high": (BY_CELL, first_high_SA),
        "first_chance": (BY_CELL, first_chance_SA),
        "said": ((*BY_CELL, "answer_kind"), said_SAK),
        **{name: (BY_CELL, values_SA) for name, values_SA in recited.items()},
    }
    coords = {"split": list(SPLITS), "attribute": list(schema.keys), "answer_kind": list(ANSWER_KINDS)}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _measure(
    run: Study,
    model: "PreTrainedModel",
    request: EvaluationRequest,
    questions: Sequence[Question],
    space: bool,
) -> _Measured:
    tokenizer, entities = run.tokenizer, run.corpus.entities
    mask_id = tokenizer.mask_token_id if is_bidirectional(model.config) else None
    asked = askable_of(run, questions, space)
    # The book holds the run's answers beside the user's, so what is said to either's questions is recognised alike.
    own = askable_of(run, run.corpus.questions, space)
    book = make_answer_book(own, tokenizer.eos_token_id, further=asked)
    in_halves = [
        asked.choose(train=split == "train", group=request.group, entities=request.entities, seed=run.seed)
        for split in SPLITS
    ]
    chosen = np.concatenate(in_halves)
    answers = ask(model, asked, chosen, book, beams=request.beams, mask_id=mask_id)
    entries = encode_entries(tokenizer, run.corpus.entries, run.corpus.schema, run.start)
    ids = np.unique(asked.encoded.entities[chosen])
    statements = biography_statements(entries, entities, ids, run.seed)
    return _Measured(asked, chosen, answers, statements, *recite(model, statements, mask_id))


def _commonest_share(answers: Sequence[tuple[int, ...]]) -> float:
    """What always giving the commonest of these answers would score."""
    counts: dict[tuple[int, ...], int] = {}
    for answer in answers:
        counts[answer] = counts.get(answer, 0) + 1
    return max(counts.values()) / len(answers)


def _describe(run: Study, request: EvaluationRequest, tuned: Finetune | None) -> dict[str, Any]:
    """What determines the numbers besides the base's weights."""
    asked = {key: value for key, value in asdict(request).items() if key in ("beams", "group", "entities")}
    if tuned is None:
        return asked if run.answer_space else {**asked, "answer_space": False}
    return {**asked, **tuned.describe(request.which)}
