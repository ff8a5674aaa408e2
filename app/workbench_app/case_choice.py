"""Which cases the address asks for, and those of each run."""

from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.results.case_table import FILTERS
from workbench.results.cases import NOTHING, CaseChoice
from workbench_app.case_results import SORTS, RunCases, case_steps, load_run_cases
from workbench_app.index import RunEntry
from workbench_app.selection import Selection, choose
from workbench_app.view import View

Known = tuple[dict[str, list[int]], dict[str, list[int]]]  # probes and answers with cases, name → steps


@dataclass(frozen=True)
class Asked:
    """What the address asks of the cases, with the page's defaults. answers: name → the checkpoints they are of."""

    choice: CaseChoice
    probes: list[str]
    answers: dict[str, list[int]]
    forms: list[str]
    places: list[tuple[str, str]]
    place_names: dict[str, str]
    attributes: list[str]
    attribute: str | None
    where: str
    text: str
    sort: str
    page: int


def ask(view: View) -> tuple[Asked, dict[str, RunCases | str]]:
    """What the address asks, and each run's cases: a sentence where they cannot be shown, empty if there are none."""
    selection = view.selection
    known = {entry.id: case_steps(entry) for entry in view.runs}
    probes = _union([list(probes) for probes, _ in known.values()])
    answers = {
        name: sorted({step for _, asked in known.values() for step in asked.get(name, [])})
        for name in _union([list(asked) for _, asked in known.values()])
    }
    probe = choose(selection.set, [*probes, NOTHING]) if probes else NOTHING
    told = selection.arm if selection.arm in (*answers, NOTHING) else ""
    form = selection.at.get("form", "") or (selection.target.partition("/")[2] if selection.target else "")
    loaded: dict[str, RunCases | str] = {}
    for entry in view.runs:
        loaded[entry.id] = _load(
            entry, known[entry.id], CaseChoice(probe, told, selection.step, form=form), selection
        )
    found = [cases.found for cases in loaded.values() if isinstance(cases, RunCases)]
    attributes = _union([one.table.attributes for one in found])
    attribute = selection.target.partition("/")[0]
    first = found[0] if found else None
    choice = first.choice if first else CaseChoice(probe, told)
    page = selection.at.get("page", "")
    return Asked(
        CaseChoice(
            probe,
            told or (choice.answers or NOTHING),
            selection.step,
            choice.layer,
            choice.position,
            choice.form,
        ),
        probes,
        answers,
        first.forms if first else [],
        first.places if first else [],
        first.place_names if first else {},
        attributes,
        attribute if attribute in attributes else None,
        choose(selection.form, list(FILTERS), "all"),
        selection.at.get("find", ""),
        choose(selection.at.get("sort", ""), list(SORTS), "entity"),
        int(page) if page.isascii() and page.isdecimal() and len(page) < 8 else 1,
    ), loaded


def _load(entry: RunEntry, known: Known, wanted: CaseChoice, selection: Selection) -> RunCases | str:
    """A run's cases, the nearest place and form that it has."""
    probes, asked = known
    if not probes and not asked:
        return ""
    if wanted.probe != NOTHING and wanted.probe not in probes:
        return f"This run has no cases of {wanted.probe}; it has {', '.join([*probes, *asked])}."
    answers = wanted.answers if wanted.answers in (*asked, NOTHING, "") else NOTHING
    plain = CaseChoice(wanted.probe, answers, wanted.step)
    try:
        first = load_run_cases(entry, plain)
        places = first.found.places
        layer = choose(selection.layer, [layer for layer, _ in places], first.found.choice.layer)
        named = selection.at.get("place", "") or (
            "" if selection.position is None else str(selection.position)
        )
        position = choose(named, [p for one, p in places if one == layer])
        form = choose(wanted.form, first.found.forms)
        return load_run_cases(entry, CaseChoice(wanted.probe, answers, wanted.step, layer, position, form))
    except WorkbenchError as error:
        return str(error)


def _union(lists: list[list[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
