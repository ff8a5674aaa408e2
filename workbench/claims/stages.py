"""What an experiment file may ask to be done with a model: kinds of stages, and the options of each."""

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from workbench.capacity.quantising import QUANTISATIONS
from workbench.tasks.specs import FAMILIES, split_specs

Plain = str | int | float | bool
Kind = Literal["p", "q", "finetune", "ask", "solve", "v", "capacity"]

# The options that a kind of stage passes on to its command.
OPTIONS: dict[str, tuple[str, ...]] = {
    "p": ("rank", "steps", "group", "entries_per_entity"),
    "q": ("rank", "steps", "group"),
    "finetune": (
        "method", "rank", "embedding_rank", "lr", "weight_decay", "steps", "group", "tasks", "hints",
        "train_entities", "pairs", "loss", "seed", "no_answer_space",
    ),
    "ask": ("tasks", "hints", "beams"),
    "solve": ("operations", "number", "beams", "temperature", "regret", "mistakes"),
    "v": ("property", "operations", "steps"),
    "capacity": ("entities", "quantize"),
}  # fmt: skip


class Table(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


class Stage(Table):
    """What is done with a trained model. options: of the command that does it; at: others at a scale.

    after: the finetune whose model it is done with, in place of the one that was trained.
    """

    kind: Kind
    options: dict[str, Plain] = {}
    at: dict[str, dict[str, Plain]] = {}
    after: str = ""
    _first: "Stage | None" = PrivateAttr(None)

    @model_validator(mode="after")
    def _check_options(self) -> "Stage":
        for options in (self.options, *self.at.values()):
            for key in options:
                if key not in OPTIONS[self.kind]:
                    known = ", ".join(OPTIONS[self.kind])
                    raise ValueError(f"a stage of kind {self.kind!r} has no option {key!r} (known: {known})")
            rounded = options.get("quantize", "int8")
            if rounded not in QUANTISATIONS:
                known = ", ".join(QUANTISATIONS)
                raise ValueError(
                    f"quantize = {rounded!r}: a stage is about one of {known}; give each its own"
                )
        return self

    def options_at(self, scale: str) -> dict[str, Plain]:
        """Its options at a scale."""
        return {**self.options, **self.at.get(scale, {})}

    @property
    def first(self) -> "Stage | None":
        """The finetune that it comes after."""
        return self._first

    @property
    def makes(self) -> str:
        """The kind of measure that it makes, as `MEASURES` names it."""
        if self.kind in ("finetune", "ask"):
            return "tasks" if "tasks" in self.options else "answers"
        return self.kind

    @property
    def asks(self) -> list[str]:
        """The tasks that its option `tasks` names, each as it is written there."""
        return split_specs(str(self.options.get("tasks", "")))

    def may_ask(self, task: str) -> bool:
        """Whether one of them may be this task, as results call it.

        A name in full follows from the facts (`month%2` is `birth_date.month%2`), so families are compared alone; what
        a class of the user's own calls its tasks only it knows.
        """
        family = task.partition(":")[0]
        alike = {family, "extraction"} if family == "retrieval" else {family}
        return any(
            asked in alike or asked not in FAMILIES
            for asked in (spec.partition(":")[0] for spec in self.asks)
        )
