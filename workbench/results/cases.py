"""The cases of a run: found by name, step and place, and laid side by side."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError, nearest
from workbench.field_checks import check_fields
from workbench.results.case_files import LAST_LAYER, case_sets, load_case_file, paths_of
from workbench.results.case_table import CaseTable, forms_of, make_table, places_of, require_filter
from workbench.results.storing import usual_first

if TYPE_CHECKING:
    import pandas as pd

    from workbench.studies.study import Study

ANSWERS = "qa"
NOTHING = "none"
FORMS = ("whole", "first")  # shown first where an attribute has several
Read = Callable[[Path, Path], xr.Dataset]


@dataclass(frozen=True)
class CaseChoice:
    """Which cases: empty text and None mean the usual.

    probe: `p-embedding`, `p-logistic` …; `none`: only answers. answers: `qa-lora+lora` …; `none`: only the probe.
    step: the newest cases not after it, the first where all are later (`notes` says so). layer, position: where the
    probe reads; form: of each attribute's targets.
    """

    probe: str = ""
    answers: str = ""
    step: int | None = None
    layer: str = ""
    position: str = ""
    form: str = ""

    def __post_init__(self) -> None:
        for name in ("probe", "answers", "layer", "position", "form"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, "")
        check_fields(self, numbered=("layer", "position"))  # layer 0 is not the usual one


@dataclass(frozen=True, eq=False)
class FoundCases:
    """What was found: the table, and the choice with every default filled in (empty where a side is missing).

    probes: names that there are. places: (layer, position) with cases; forms_of: attribute → forms of its
    targets. seed: of the probe, where it was given several. notes: sentences on what is not there.
    """

    table: CaseTable
    choice: CaseChoice
    probes: list[str]
    places: list[tuple[str, str]]
    place_names: dict[str, str]
    forms_of: dict[str, list[str]]
    seed: str
    notes: list[str]

    @property
    def forms(self) -> list[str]:
        """Every form there is, whole values first."""
        found = list(dict.fromkeys(form for forms in self.forms_of.values() for form in forms))
        return [*[form for form in FORMS if form in found], *[form for form in found if form not in FORMS]]

    def form_of(self, attribute: str) -> str:
        """The form that the table shows of an attribute; empty where it has none."""
        has = self.forms_of.get(attribute, [])
        return self.choice.form if self.choice.form in has else (has[-1] if has else "")

    @property
    def step(self) -> int:
        """The checkpoint's."""
        assert self.choice.step is not None
        return self.choice.step

    def describe(self, run: str) -> dict[str, Any]:
        """What a table of these cases says of itself: run, step, probe, layer, position, form, answers, notes."""
        of = self.choice
        places = {"layer": of.layer, "position": of.position, "form": of.form}
        return {
            "run": run,
            "step": of.step,
            "probe": of.probe,
            **places,
            "answers": of.answers,
            "notes": self.notes,
        }


def list_cases(run_path: Path) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Probes and answers that have cases, each name → steps; the paper's probe and finetunes first."""
    found = case_sets(run_path)
    probes = sorted(
        (name for name in found if not name.startswith(f"{ANSWERS}-")),
        key=lambda name: (name[0] != "p", *usual_first(name.partition("-")[2])),
    )
    asked = sorted(
        (name for name in found if name.startswith(f"{ANSWERS}-")),
        key=lambda name: (name.startswith(f"{ANSWERS}-{NOTHING}"), name.count("+"), "lora" not in name, name),
    )
    return {name: found[name] for name in probes}, {name: found[name] for name in asked}


def find_cases(run_path: Path, choice: CaseChoice | None = None, read: Read = load_case_file) -> FoundCases:
    """The cases of a run that a choice means. read: how a file of cases and its result are read.

    Answers are laid beside a probe only where they are of the same checkpoint. Raises WorkbenchError where the run has
    no cases, or not those named.
    """
    choice = choice or CaseChoice()
    probes, asked = list_cases(run_path)
    if not probes and not asked:
        raise WorkbenchError(
            f"{run_path} has no cases: its results were made before cases were kept, or with --no-cases. "
            f"`workbench probe {run_path} --again` and `workbench evaluate {run_path} --again` keep them."
        )
    name = _name(choice.probe, list(probes), "probe", run_path)
    told = _name(choice.answers, list(asked), "answers", run_path)
    if not name and not told:
        raise WorkbenchError("Neither a probe nor answers are to be shown; leave out one `none`.")
    step = _step(probes[name] if name else asked[told], choice.step)
    notes: list[str] = []
    if choice.step is not None and step > choice.step:
        notes.append(
            f"{name or told} has no cases up to step {choice.step:,}; shown are the first, of step {step:,}."
        )
    if told and step not in asked[told]:
        at = ", ".join(f"{one:,}" for one in asked[told])
        same = [other for other, steps in asked.items() if step in steps]
        if choice.answers or not same:
            notes.append(f"Nothing has been asked at step {step:,}; {told} has answers at step {at}.")
            told = ""
        else:
            told = same[0]
    probe = read(*paths_of(run_path, name, step)) if name else None
    answers = read(*paths_of(run_path, told, step)) if told else None
    notes += [text for part in (probe, answers) if part is not None and (text := str(part.attrs["left_out"]))]
    places, forms = ([], {}) if probe is None else (places_of(probe), forms_of(probe))
    layer, position = _place(choice, places)
    known = {one for has in forms.values() for one in has}
    form = choice.form or next((one for one in (*FORMS, *sorted(known)) if one in known), "")
    table = make_table(probe, answers, layer=layer, position=position, form=form)
    filled = CaseChoice(name, told, step, layer, position, form)
    return FoundCases(table, filled, list(probes), places, _place_names(probe), forms, _seed(probe), notes)


def load_cases(
    study: "Study | Path | str",
    choice: CaseChoice | None = None,
    *,
    where: str = "all",
    attribute: str | None = None,
) -> "pd.DataFrame":
    """What was said about each entity as a table, one row an entity and attribute.

    Columns: entity, name, attribute, value, guess, probability (NaN: not told), probe_right, answer, verdict,
    answer_right; a right of None is neither right nor wrong, nothing was read or asked. where: a filter such as
    `probe-only` (the probe right, the answer wrong). `attrs` name run, step, probe, place and answers.

    >>> load_cases("runs/tiny", CaseChoice(probe="q-embedding"), where="probe-only")  # doctest: +SKIP
    """
    from workbench.studies.opening import as_study

    opened = as_study(study)
    return tabulate_cases(opened, find_cases(opened.path, choice), where=where, attribute=attribute)


def tabulate_cases(
    study: "Study", found: FoundCases, *, where: str = "all", attribute: str | None = None
) -> "pd.DataFrame":
    """The table of `load_cases`, of cases that have been found."""
    chosen = found.table.matches(require_filter(where))
    if attribute is not None:
        chosen = chosen & only(found.table, attribute)
    names = [entity.name for entity in study.corpus.entities]
    frame = found.table.to_dataframe(names, chosen)
    frame.attrs = dict[Any, Any](found.describe(study.name))
    return frame


def only(table: CaseTable, attribute: str) -> np.ndarray:
    """bool [A, 1]: the row of one attribute."""
    if attribute not in table.attributes:
        raise WorkbenchError(
            f"There are no cases of {attribute!r}{nearest(attribute, table.attributes)}; "
            f"give one of {', '.join(table.attributes)}."
        )
    return np.array([[name == attribute] for name in table.attributes])


def _name(wanted: str, known: list[str], what: str, run_path: Path) -> str:
    """The set wanted, the first there is, or empty."""
    if wanted == NOTHING or (not wanted and not known):
        return ""
    if wanted and wanted not in known:
        has = f"there are {', '.join(known)}" if known else "there are none"
        raise WorkbenchError(
            f"{run_path} has no cases of the {what} {wanted!r}{nearest(wanted, known)} ({has})."
        )
    return wanted or known[0]


def _step(steps: list[int], wanted: int | None) -> int:
    """The newest step not after the one wanted; the first where all are later, as pictures show it."""
    return max((step for step in steps if wanted is None or step <= wanted), default=steps[0])


def _place(choice: CaseChoice, places: list[tuple[str, str]]) -> tuple[str, str]:
    """Layer and position: those wanted, else the last layer and its first position."""
    if not places:
        return "", ""
    layers = [layer for layer, _ in places]
    layer = choice.layer or (LAST_LAYER if LAST_LAYER in layers else layers[-1])
    of_layer = [position for one, position in places if one == layer]
    return layer, choice.position or (of_layer[0] if of_layer else "0")


def _seed(probe: xr.Dataset | None) -> str:
    """The probe's seed that the cases are of, where it was given several."""
    if probe is None:
        return ""
    settings = json.loads(probe.attrs["settings"])
    given = settings.get("seeds", settings.get("seed"))
    return str(probe.attrs["seed"]) if isinstance(given, list) and len(given) > 1 else ""


def _place_names(probe: xr.Dataset | None) -> dict[str, str]:
    """Position → what a study calls it, where that is no number."""
    if probe is None or "place" not in probe:
        return {}
    return dict(zip(probe["position"].values.tolist(), probe["place"].values.tolist(), strict=True))
