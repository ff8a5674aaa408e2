"""How a model is finetuned on questions; what is not given follows the paper's appendix, or the model's size."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from workbench.errors import WorkbenchError
from workbench.extraction.answer_space import NO_SPACE
from workbench.extraction.batches import Loss
from workbench.field_checks import check_fields
from workbench.files import digest_json
from workbench.studies.checkpoints import Checkpoint
from workbench.tasks.plan import TaskPlan
from workbench.tasks.questions import Question

Method = Literal["lora", "full"]
NARROW = 256  # up to this width a model takes, and needs, larger rates: measured in docs/extraction.md
PAPER_STEPS = 50_000
# Of a wide model that was trained elsewhere, on a study's few questions (measured in docs/studies.md):
PASSES, FEWEST_STEPS, MEASURED = (
    20,
    30,
    3,
)  # how often each question is seen, in how many steps at least; measurements
FEW_LR = 1e-3  # of LoRA
FINAL_LR = 0.1  # the cosine ends at this share
SMALLEST = {  # what each number may be at least
    "rank": 0, "embedding_rank": 0, "weight_decay": 0, "steps": 1, "questions_per_step": 1, "seed": 0,
    "evaluate_every": 1, "entities_measured": 1,
}  # fmt: skip


@dataclass(frozen=True)
class FinetuneSettings:
    """One finetuning, completely.

    method: `lora`, or `full` (all weights; both ranks are 0). rank: of each query and value update, its reach
    into attention. embedding_rank: of the input embedding's; it decides how far names can be re-read. lr: peak,
    falling on a cosine to a tenth, without warm-up. loss: on the `answer` with its full stop, or on `all` tokens,
    which also teaches the questions' wording. evaluate_every: steps between measurements on `entities_measured`
    entities of each half; the best of them is kept beside the last. tasks: what is asked in place of the attributes.
    answer_space: whether a space stands before an answer, as before the values of the texts; without it the answers
    are other tokens to most tokenizers, and whoever asks this finetune asks it so.
    """

    method: Method = "lora"
    rank: int = 8
    embedding_rank: int = 128
    lr: float = 3e-4
    weight_decay: float = 0.01
    steps: int = PAPER_STEPS
    questions_per_step: int = 48
    loss: Loss = "answer"
    seed: int = 0
    group: str | None = None
    evaluate_every: int = 1000
    entities_measured: int = 100
    tasks: TaskPlan | None = None
    answer_space: bool = True

    def __post_init__(self) -> None:
        for key, known in (("method", get_args(Method)), ("loss", get_args(Loss))):
            if (given := getattr(self, key)) not in known:
                expected = " or ".join(map(repr, known))
                raise WorkbenchError(f"The finetuning's {key} {given!r} does not exist; expected {expected}.")
        check_fields(self)
        if not 0 < self.lr < math.inf:
            raise WorkbenchError(f"The finetuning's lr is {self.lr:g}; expected a number above 0.")
        if self.tasks is not None and not self.answer_space:
            raise WorkbenchError(
                "Tasks are answered behind a space; leave out the tasks or --no-answer-space."
            )
        for key, least in SMALLEST.items():
            if not least <= (number := getattr(self, key)) < math.inf:
                name = key.replace("_", " ")
                raise WorkbenchError(f"The finetuning's {name} is {number:g}; expected at least {least}.")

    @property
    def name(self) -> str:
        """What it is called where the user gives no name: method, space, group and seed."""
        parts = [
            self.method,
            *([] if self.answer_space else [NO_SPACE]),
            *(_name_plan(self.tasks) if self.tasks else []),
            *([self.group] if self.group else []),
            *([f"seed{self.seed}"] if self.seed else []),
        ]
        return "-".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file; `tasks` only where there are any, `answer_space` only where there is none."""
        values = {key: value for key, value in asdict(self).items() if key not in ("tasks", "answer_space")}
        values |= {} if self.answer_space else {"answer_space": False}
        return values if self.tasks is None else {**values, "tasks": self.tasks.as_dict()}


def _name_plan(plan: TaskPlan) -> list[str]:
    return [
        "tasks",
        *(["hints"] if plan.hints else []),
        *([f"n{plan.train_entities}"] if plan.train_entities is not None else []),
    ]


def fit_questions_per_step(width: int, kinds: int) -> int:
    """The default number of questions a step, as near as equally many of each of so many kinds come to it."""
    usual = 96 if width <= NARROW else FinetuneSettings().questions_per_step
    return max(1, round(usual / kinds)) * kinds if kinds else usual


def choose_settings(width: int, *, n_questions: int | None = None, **given: Any) -> FinetuneSettings:
    """Settings for a model of this width: what is given (not None), and defaults of its size for the rest.

    Above 256 the paper's: lr 3e-4 and embedding rank 128 for `lora`, 1e-4 for `full`, 50,000 steps of 48.
    n_questions: of train entities, where the model was trained elsewhere; a wide one then takes so many steps that each
    question is seen 20 times, at least 30, with lr 1e-3. Raises WorkbenchError for settings that cannot be, before
    anything is loaded.
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    FinetuneSettings(**chosen)  # refuses what cannot be, before anything is computed with it
    defaults: dict[str, Any] = {}
    measurements = 10
    if n_questions is not None and width > NARROW:
        per_step = chosen.get("questions_per_step", FinetuneSettings().questions_per_step)
        steps = max(FEWEST_STEPS, math.ceil(PASSES * n_questions / per_step))
        defaults, measurements = {"lr": FEW_LR, "steps": min(steps, PAPER_STEPS)}, MEASURED
    if width <= NARROW:
        defaults = {"embedding_rank": 32, "lr": 3e-3, "steps": 1500, "questions_per_step": 96}
    if chosen.get("method") == "full":
        defaults |= {"rank": 0, "embedding_rank": 0, "lr": 1e-3 if width <= NARROW else 1e-4}
        if chosen.get("rank") or chosen.get("embedding_rank"):
            raise WorkbenchError("Full finetuning changes every weight and has no rank; leave the ranks out.")
    for key in ("rank", "embedding_rank"):  # of a network narrower than the usual ranks
        defaults[key] = min(defaults.get(key, getattr(FinetuneSettings, key)), width)
    merged = defaults | chosen
    steps = int(merged.get("steps", PAPER_STEPS))
    merged.setdefault("evaluate_every", -(-steps // measurements))
    settings = FinetuneSettings(**merged)
    for key in ("rank", "embedding_rank"):
        if (rank := getattr(settings, key)) > width:
            raise WorkbenchError(
                f"The {key.replace('_', ' ')} {rank} is larger than the matrices it updates, which are as wide as the "
                f"model; choose at most {width}."
            )
    return settings


def cosine(settings: FinetuneSettings, step: int) -> float:
    """The learning rate of a step (from 0): a cosine from lr to a tenth of it, without warm-up."""
    share = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.lr * (FINAL_LR + (1 - FINAL_LR) * share)


def describe_settings(
    checkpoint: Checkpoint, settings: FinetuneSettings, questions: list[Question] | None
) -> dict[str, Any]:
    """What determines a finetune, as far as a finished one remembers it."""
    return {
        **json.loads(json.dumps(settings.as_dict())),
        "base weights": checkpoint.weights_digest,
        "own questions": None if questions is None else digest_json([asdict(one) for one in questions]),
    }
