"""verdicts.json: every verdict with what it stands on, written by `workbench reproduce`, read by whoever asks."""

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.claims.decision import Decision, Relation, Word
from workbench.claims.declared import Experiment
from workbench.claims.verdicts import Verdict, difference
from workbench.errors import WorkbenchError
from workbench.files import write_json
from workbench.text_files import parse_json, read_text

VERDICTS_FILE = "verdicts.json"


class _Part(BaseModel):
    """Keys that a later version adds are let pass."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class KeptInequality(_Part):
    """One inequality `estimate relation bound`, decided. estimate, low, high: shares in percent, differences in
    points, None where nothing was measured. difference: ours minus the paper's, with the interval of ours."""

    inequality: str
    verdict: Word
    estimate: float | None
    low: float | None
    high: float | None
    relation: Relation
    bound: float
    entities: int | None
    paper: float | None
    difference: tuple[float, float, float] | None
    needs: str
    chance: float | None = None  # in percent; verdicts of earlier versions have one a claim alone


class KeptVerdict(_Part):
    """One claim. arms: the models it is about, as its experiment names them; chance: of its first inequality that has
    one, in percent."""

    experiment: str
    claim: str
    says: str
    source: str
    verdict: Word
    reason: str
    chance: float | None
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    holds: tuple[KeptInequality, ...]
    given: tuple[KeptInequality, ...]


class LeftOut(_Part):
    """A result of the paper that no claim is about."""

    source: str
    why: str


class KeptExperiment(_Part):
    """What was asked. command: what measures all of it; runs: arm → folders beside the file, one a seed."""

    name: str
    title: str
    paper: str
    command: str
    runs: dict[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]


class KeptVerdicts(_Part):
    """The whole file. command, made (UTC, ISO 8601), commit: what the verdicts were made with."""

    scale: str
    seeds: tuple[int, ...]
    command: str
    made: str
    commit: str
    experiments: tuple[KeptExperiment, ...]
    verdicts: tuple[KeptVerdict, ...]


def keep_experiment(experiment: Experiment, command: str, runs: dict[str, tuple[str, ...]]) -> KeptExperiment:
    """An experiment as the file holds it."""
    left_out = tuple(LeftOut(source=one.source, why=one.why) for one in experiment.left_out)
    return KeptExperiment(
        name=experiment.name, title=experiment.title, paper=experiment.paper, command=command, runs=runs,
        left_out=left_out,
    )  # fmt: skip


def keep_verdict(verdict: Verdict) -> KeptVerdict:
    """A verdict as the file holds it; what is not finite becomes None."""
    claim = verdict.claim
    asked = [*claim.inequalities, *claim.premises]
    return KeptVerdict(
        experiment=verdict.experiment,
        claim=claim.name,
        says=claim.says,
        source=claim.source,
        verdict=verdict.word,
        reason=verdict.reason,
        chance=next((chance for chance in verdict.chances if math.isfinite(chance)), None),
        seeds=verdict.seeds,
        arms=tuple(dict.fromkeys(arm for one in asked for arm in one.arms)),
        holds=tuple(
            _keep_decision(one, each.text, paper, chance)
            for one, each, paper, chance in zip(
                verdict.decisions, claim.inequalities, claim.paper_numbers(), verdict.chances, strict=True
            )
        ),
        given=tuple(
            _keep_decision(one, each.text, None)
            for one, each in zip(verdict.premises, claim.premises, strict=True)
        ),
    )


def _keep_decision(
    decision: Decision, text: str, paper: float | None, chance: float = math.nan
) -> KeptInequality:
    apart = difference(decision, paper)
    return KeptInequality(
        inequality=text,
        chance=_known(chance),
        verdict=decision.word,
        estimate=_known(decision.estimate),
        low=_known(decision.low),
        high=_known(decision.high),
        relation=decision.relation,
        bound=decision.bound,
        entities=decision.entities,
        paper=paper,
        difference=None if apart is None or not all(map(math.isfinite, apart)) else apart,
        needs=decision.needs,
    )


def write_verdicts(folder: Path, kept: KeptVerdicts) -> Path:
    """Write them as JSON beside the runs; returns the file."""
    write_json(folder / VERDICTS_FILE, kept.model_dump(mode="json"))
    return folder / VERDICTS_FILE


def read_verdicts(path: Path) -> KeptVerdicts:
    """Read such a file.

    Raises WorkbenchError for what is no verdicts.json, or one of a version that kept less: `workbench reproduce …
    --no-run` writes it anew from the same runs.
    """
    content = parse_json(read_text(path), str(path))
    try:
        return KeptVerdicts.model_validate(content)
    except ValidationError as error:
        raise WorkbenchError(
            f"{path} holds no verdicts that can be read ({_first_fault(error)}); write it anew from the same runs by "
            "`workbench reproduce … --no-run`."
        ) from error


def _first_fault(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {str(first['msg'])[0].lower()}{str(first['msg'])[1:]}"


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
