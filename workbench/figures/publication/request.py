"""What a figure is asked to show, and the command that asks for the same again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from workbench.errors import WorkbenchError, nearest
from workbench.field_checks import check_fields

KINDS = {
    "p": "P-probe, position × target",
    "difference": "each later run's P-probe minus the first one's, or two steps of one run",
    "layers": "a P-probe on activations, layer × target at a position",
    "q": "Q-probe, from the bare name",
    "training": "the P-probe at a position over the checkpoints",
    "emergence": "the first step at which each cell of the P-probe is clear of chance",
    "half-way": "the step at which each cell is half-way to its last accuracy",
    "answers": "questions of test entities answered, by attribute",
    "tasks": "questions of tasks answered, of every finetune of a checkpoint",
    "attention": "share of each head's attention that goes to a role",
    "knockout": "what the right value loses when the look at a role is cut",
    "seen": "P-probe by the set of attributes said before",
    "bits": "bits of knowledge over the checkpoints, of all there are",
    "scaling": "bits of knowledge against parameters, on log axes",
    "v": "V-probes, property × sentences written",
    "solved": "problems solved by number of operations",
    "learning": "first tokens right in texts and answers while training",
    "cases": "probe right or wrong × answer right or wrong",
}
METRICS = ("accuracy", "accuracy_not_next", "above_chance", "selectivity", "train_accuracy")
POINTS = ("above_chance", "selectivity")  # they may be negative
FORMS = ("all", "first", "whole")
WIDTHS_CM = (4.0, 60.0)
FONTS_PT = (4.0, 16.0)
PROGRAM = ("workbench", "figure")
PAPERS = "embedding"  # the paper's own family of probes
OVER_STEPS = ("training", "emergence", "half-way", "bits", "learning")  # about all checkpoints together


class PanelSpec(NamedTuple):
    """A kind of panel, the step it stays at (None: the newest), and of a difference that of what is taken away."""

    kind: str
    step: int | None
    minus: int | None = None


@dataclass(frozen=True)
class FigureRequest:
    """What to draw of some runs, and how large.

    panels: kinds (`p`), each at a step of its own where it has one (`p@332`; `difference@1018-0`). step: the
    checkpoint; a run shows its newest one not after it (the first where all are later). family: the probe's, as
    `list_results` names it (`embedding+rank4`); by default the paper's where all runs have it, else one that they all
    have. layer: of a probe on activations, default the deepest. answers: whose, as `list_results` names them
    (`lora+lora`, `none`). form: targets by `first` token or `whole` value. position: of layers and training. role: what
    the panel `attention` is about. fold: `seed`, or another key of a recipe: runs shown as one (see `fold_runs`).
    width_cm: of the whole figure; font_pt: of its letters. columns: panels side by side, default as many as fit.
    """

    panels: tuple[str, ...] = ("p",)
    step: int | None = None
    family: str = ""
    metric: str = "accuracy"
    layer: str = ""
    answers: str = ""
    form: str = "all"
    position: int = 0
    role: str = "name"
    fold: str = ""
    width_cm: float = 17.0
    font_pt: float = 7.0
    columns: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layer, str):  # layer 0, as it is in results, is not the deepest
            object.__setattr__(self, "layer", str(self.layer))
        if isinstance(self.position, str) and self.position.isdecimal():  # as stores and cases call it
            object.__setattr__(self, "position", int(self.position))
        for name in ("width_cm", "font_pt"):
            if not isinstance(getattr(self, name), int | float):
                raise WorkbenchError(f"The {name} is {getattr(self, name)!r}; give a number.")
        check_fields(self, {"columns": 1})
        if not self.panels:
            raise WorkbenchError(f"A figure needs at least one panel: {', '.join(KINDS)}.")
        for panel in self.panels:
            parse_panel(panel)
        for name, value, known in (("metric", self.metric, METRICS), ("form", self.form, FORMS)):
            if value not in known:
                raise WorkbenchError(
                    f"The {name} {value!r} is none of {', '.join(known)}{nearest(value, known) or '.'}"
                )
        for name, number, (low, high), unit in (
            ("width", self.width_cm, WIDTHS_CM, "cm"),
            ("font size", self.font_pt, FONTS_PT, "pt"),
        ):
            if not low <= number <= high:
                raise WorkbenchError(f"The {name} is {number:g} {unit}; give {low:g} to {high:g} {unit}.")

    @property
    def specs(self) -> list[PanelSpec]:
        """The panels, those without a step of their own at the figure's."""
        specs = map(parse_panel, self.panels)
        return [spec if spec.step is not None else spec._replace(step=self.step) for spec in specs]

    def line(self, runs: Sequence[str], out: str) -> str:
        """The command that makes the same bytes again from the same results."""
        words = [*PROGRAM, *runs]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default or (field.name == "family" and value == PAPERS):
                continue
            text = ",".join(value) if field.name == "panels" else str(value)
            words += [f"--{field.name.replace('_', '-')}", text.removesuffix(".0")]
        return shlex.join([*words, "--out", out])


def parse_panel(text: str) -> PanelSpec:
    """`p@332` → the kind `p` at step 332; `difference@332-0` → step 332 minus step 0."""
    kind, at, step = text.partition("@")
    if kind not in KINDS:
        known = "; ".join(f"{name}: {words}" for name, words in KINDS.items())
        raise WorkbenchError(f"There is no panel {kind!r}{nearest(kind, list(KINDS))} ({known}).")
    steps = step.split("-") if at else []
    if len(steps) > (2 if kind == "difference" else 1) or not all(
        one.isascii() and one.isdecimal() for one in steps
    ):
        raise WorkbenchError(
            f"The panel {text!r} has no step behind its @; write it as {kind}@332"
            + (" or difference@332-0." if kind == "difference" else ".")
        )
    if steps and kind in OVER_STEPS:
        raise WorkbenchError(
            f"The panel {kind} shows all checkpoints, none of its own; write {kind} without @{step}."
        )
    numbers = [int(one) for one in steps]
    return PanelSpec(kind, numbers[0] if numbers else None, numbers[1] if len(numbers) > 1 else None)
