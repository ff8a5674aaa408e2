"""An experiment as a TOML file declares it: arms, what is done with each, and the claims about what is measured.

Shipped ones lie in `workbench/claims/shipped`, one a part of the papers; a user's own file has the same form
(docs/claims.md). Everything is checked when the file is read: names, measures, and that each claim's arms have the
stages that make what it measures.
"""

import importlib.resources
import tomllib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from workbench.claims.expressions import MEAN, Inequality, Term, parse_inequality
from workbench.claims.stages import Stage, Table
from workbench.errors import WorkbenchError, nearest
from workbench.text_files import read_text
from workbench.user_forms import explain_fault


class DeclaredArm(Table):
    """One model. recipe: what it starts from at a scale, where that is not the scale's own; set: what is changed in it,
    at: what further at a scale; stages: what is done with it, by name.

    like: the arm whose recipe, changes and stages it has, but for what it says itself.
    """

    like: str = ""
    recipe: dict[str, str] = Field({})
    set: dict[str, Any] = Field({})
    at: dict[str, dict[str, Any]] = Field({})
    stages: tuple[str, ...] = ()


class Claim(Table):
    """A result as inequalities.

    given: what must hold for it to be tested at all; holds: what it says; paper: the paper's own number of each of
    these, in order, `?` where it prints none.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    says: str
    source: str
    holds: tuple[str, ...] = Field(min_length=1)
    given: tuple[str, ...] = ()
    paper: tuple[float | Literal["?"], ...] = ()

    @model_validator(mode="after")
    def _check_numbers(self) -> "Claim":
        if self.paper and len(self.paper) != len(self.holds):
            raise ValueError(f"has {len(self.paper)} numbers of the paper for {len(self.holds)} inequalities")
        return self

    @cached_property
    def inequalities(self) -> tuple[Inequality, ...]:
        """What it says."""
        return tuple(parse_inequality(text) for text in self.holds)

    @cached_property
    def premises(self) -> tuple[Inequality, ...]:
        """What is given."""
        return tuple(parse_inequality(text) for text in self.given)

    @property
    def terms(self) -> list[Term]:
        """Everything that it measures."""
        both = (*self.premises, *self.inequalities)
        return list(dict.fromkeys(term for one in both for _, term in one.terms))

    @property
    def arms(self) -> list[str]:
        """The arms that it needs."""
        both = (*self.premises, *self.inequalities)
        return list(dict.fromkeys(arm for one in both for arm in one.arms))

    def paper_numbers(self) -> list[float | None]:
        """The paper's number of each inequality, None where it has none."""
        given: Sequence[float | str] = self.paper or ("?",) * len(self.holds)
        return [None if isinstance(number, str) else float(number) for number in given]


class LeftOut(Table):
    """A result of the paper that no claim here is about, and why."""

    source: str
    why: str


class Experiment(Table):
    """A declared experiment. scales: the recipe that arms start from at each scale."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str
    paper: str = ""
    scales: dict[str, str] = Field(min_length=1)
    stages: dict[str, Stage] = Field({})
    arms: dict[str, DeclaredArm] = Field(min_length=1)
    claims: tuple[Claim, ...] = Field(min_length=1)
    left_out: tuple[LeftOut, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_arms(cls, content: Any) -> Any:
        """Arms that are like another, filled with what that says."""
        arms = content.get("arms")
        if not isinstance(arms, dict):
            return content
        filled = {name: _fill(name, arm, arms) for name, arm in arms.items()}
        return {**content, "arms": filled}

    @model_validator(mode="after")
    def _link_stages(self) -> "Experiment":
        for name, stage in self.stages.items():
            if not stage.after:
                continue
            first = self.stages.get(stage.after)
            if first is None:
                hint = nearest(stage.after, list(self.stages)) or "."
                raise ValueError(
                    f"stage {name!r} comes after {stage.after!r}, and there is no such stage{hint}"
                )
            if stage.kind in ("solve", "v"):
                raise ValueError(
                    f"stage {name!r} is of kind {stage.kind!r}, which cannot come after a finetune"
                )
            if first.kind != "finetune" or first.after:
                raise ValueError(
                    f"stage {name!r} comes after {stage.after!r}; that must be a finetune of the trained model itself"
                )
            stage._first = first
        return self

    def stage_of(self, term: Term) -> str | None:
        """The name of the stage that measures a term; None for what every run tells. Raises WorkbenchError where there
        is none, or more than one and the term does not say which."""
        if term.kind.stage in ("train", ""):
            return None
        makers = [name for name in self.arms[term.arm].stages if self.stages[name].makes == term.kind.stage]
        if term.measure == "tasks" and term.cell != MEAN:
            makers = [name for name in makers if self.stages[name].may_ask(term.cell)]
        wanted = term.option("stage")
        if wanted is not None:
            if wanted not in makers:
                have = ", ".join(makers) or "none"
                raise WorkbenchError(f"{term}: the arm has no such stage {wanted!r} (it has {have}).")
            return str(wanted)
        named = [name for name in makers if term.cell in self.stages[name].asks]
        makers = named or makers
        if len(makers) != 1:
            have = (
                f"its stages {', '.join(makers)} both do; add stage=…"
                if makers
                else "none of its stages does"
            )
            raise WorkbenchError(f"{term}: nothing says what measures it in {term.arm!r}: {have}.")
        return makers[0]


def _fill(name: str, arm: Any, arms: dict[str, Any]) -> Any:
    if not isinstance(arm, dict) or not isinstance(arm.get("like"), str):
        return arm
    other = arms.get(arm["like"])
    if not isinstance(other, dict):
        hint = nearest(arm["like"], list(arms)) or "."
        raise ValueError(f"arm {name!r} is like {arm['like']!r}, and there is no such arm{hint}")
    if "like" in other:
        raise ValueError(
            f"arm {name!r} is like {arm['like']!r}, which is like {other['like']!r}; name that one"
        )
    return _merge(other, arm)


def _merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both tables, the tables in them merged, too; what `other` says counts."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = _merge(one[key], other[key])
    return both


def shipped_experiments() -> list[str]:
    """Names of the experiments that come with the package."""
    folder = importlib.resources.files("workbench.claims").joinpath("shipped")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_experiment(source: str | Path) -> Experiment:
    """Read an experiment from a TOML file, or a shipped one by its name.

    Raises WorkbenchError with the file, the claim or arm, and the fault.
    """
    path = Path(source)
    if path.is_file():
        text, label = read_text(path), str(path)
    elif str(source) in shipped_experiments():
        file = importlib.resources.files("workbench.claims").joinpath("shipped", f"{source}.toml")
        text, label = file.read_text(encoding="utf-8"), str(source)
    else:
        known = shipped_experiments()
        raise WorkbenchError(
            f"There is no experiment {str(source)!r} (give a TOML file or one of {', '.join(known)})"
            f"{nearest(str(source), known) or '.'}"
        )
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorkbenchError(f"The experiment {label} is not valid TOML: {error}.") from error
    return make_experiment(content, label)


def make_experiment(content: dict[str, Any], label: str = "experiment") -> Experiment:
    """Check a nested dictionary and make the experiment."""
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise WorkbenchError(_explain(error.errors()[0], content, label)) from error
    _check(experiment, label)
    return experiment


def _check(experiment: Experiment, label: str) -> None:
    """What the parts must have to do with one another."""
    for arm_name, arm in experiment.arms.items():
        for stage in arm.stages:
            if stage not in experiment.stages:
                known = list(experiment.stages)
                raise WorkbenchError(
                    f"{label}, arm {arm_name!r}: there is no stage {stage!r}"
                    f"{nearest(stage, known) or '.'} Declared: {', '.join(known) or 'none'}."
                )
        for scale in (*arm.recipe, *arm.at):
            _require_scale(experiment, scale, f"{label}, arm {arm_name!r}")
    for name, stage_ in experiment.stages.items():
        for scale in stage_.at:
            _require_scale(experiment, scale, f"{label}, stage {name!r}")
    names = [claim.name for claim in experiment.claims]
    for claim in experiment.claims:
        where = f"{label}, claim {claim.name!r}"
        if names.count(claim.name) > 1:
            raise WorkbenchError(f"{where}: there are two of this name; give each its own.")
        try:
            for term in claim.terms:
                if term.kind.stage and term.arm not in experiment.arms:
                    hint = nearest(term.arm, list(experiment.arms))
                    raise WorkbenchError(
                        f"{term}: there is no arm {term.arm!r}{hint or '.'} Declared: {', '.join(experiment.arms)}."
                    )
                if term.kind.stage:
                    experiment.stage_of(term)
        except WorkbenchError as error:
            raise WorkbenchError(f"{where}: {error}") from error


def _require_scale(experiment: Experiment, scale: str, where: str) -> None:
    if scale not in experiment.scales:
        raise WorkbenchError(
            f"{where}: there is no scale {scale!r}{nearest(scale, list(experiment.scales)) or '.'} "
            f"Declared: {', '.join(experiment.scales)}."
        )


def _explain(fault: Any, content: dict[str, Any], label: str) -> str:
    """A fault of pydantic's in one sentence that names the claim, arm or stage."""
    location: tuple[int | str, ...] = tuple(fault["loc"])
    match location:
        case ("claims", int(number), *rest):
            entry = content["claims"][number]
            name = entry.get("name") if isinstance(entry, dict) else None
            return explain_fault(Claim, (*rest,), fault, f"{label}, claim {name or number + 1!r}")
        case ("left_out", int(number), *rest):
            return explain_fault(LeftOut, (*rest,), fault, f"{label}, left_out {number + 1}")
        case ("arms", name, *rest):
            return explain_fault(DeclaredArm, (*rest,), fault, f"{label}, arm {name!r}")
        case ("stages", name, *rest):
            return explain_fault(Stage, (*rest,), fault, f"{label}, stage {name!r}")
    return explain_fault(Experiment, location, fault, label)
