"""Claims: which of the papers' results hold in the runs here, with the number and interval each was decided by."""

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dash import html

from workbench.claims.kept import KeptExperiment, KeptVerdict, KeptVerdicts
from workbench.claims.markup import Part, claim, legend
from workbench.claims.tables import count_verdicts
from workbench.claims.verdicts import WORDS
from workbench_app import cards, controls
from workbench_app.selection import MOST_RUNS, choose
from workbench_app.verdict_files import VerdictFile, find_verdicts, read, run_id
from workbench_app.view import Component, Page, View
from workbench_app.written import written

READS = ("verdicts",)
HOW_TO_READ = (
    "A result of a paper as an inequality over what was measured here. It holds where the whole 95 % interval lies on "
    "its side of the bound, fails where all of it lies on the other, and is else undecided; what is given must itself "
    "hold."
)
ALL = "all"
DASHS = {"class": "className", "id": "id", "title": "title", "role": "role", "href": "href"}
NO_VERDICTS = "No experiment has been judged here yet. What one costs on this machine, starting nothing:"


def render(view: View, key: str) -> Page:
    """A card of counts, and one an experiment with its claims as rows: verdict, sentence, interval beside the bound."""
    folder = Path(view.folder)
    files = find_verdicts(folder)
    head = cards.heading("Claims", HOW_TO_READ)
    if not files:
        out = f"{view.folder if view.writable else 'runs'}/reproduction"
        command = ("workbench", "reproduce", "part-3.1", "--out", out, "--dry-run")
        return Page([head, cards.empty(NO_VERDICTS, *command)])
    wanted = choose(view.selection.set, [file.id for file in files])
    file = next(one for one in files if one.id == wanted)
    content = read(file)
    which = controls.select(
        "set", "Verdicts of", [(one.id, one.id.replace("~", "/")) for one in files], wanted
    )
    if isinstance(content, str):
        return Page(
            [head, controls.bar(which), cards.faults([content], "Cannot be shown")], [], [], {"set": wanted}
        )
    counts = Counter(verdict.verdict for verdict in content.verdicts)
    words = [(ALL, "all"), *[(word, f"{word} ({counts[word]})") for word in WORDS if counts[word]]]
    shown = choose(view.selection.form, [word for word, _ in words], ALL)
    bar = controls.bar(which, controls.segmented("form", "Show", words, shown))
    boxes = [_experiment(view, folder, file, one, content, shown) for one in content.experiments]
    children = [head, bar, _summary(content), *[box for box in boxes if box is not None]]
    return Page([html.Div(children, className="claims")], [], [], {"set": wanted, "form": shown})


def _summary(kept: KeptVerdicts) -> Component:
    seeds = ", ".join(map(str, kept.seeds))
    commit = f", commit {kept.commit}" if kept.commit else ""
    made = f"scale {kept.scale}, seed{'s' * (len(kept.seeds) > 1)} {seeds}; {kept.made[:10]}{commit}"
    counted = count_verdicts(one.verdict for one in kept.verdicts)
    return cards.card(f"{counted}.", cards.command_line(kept.command), sub=made)


def _experiment(
    view: View, folder: Path, file: VerdictFile, experiment: KeptExperiment, kept: KeptVerdicts, word: str
) -> Component | None:
    own = [one for one in kept.verdicts if one.experiment == experiment.name]
    shown = [one for one in own if word in (ALL, one.verdict)]
    if not shown:
        return None
    measured = [one for one in shown if one.verdict != "not measured"]
    missing = [one for one in shown if one.verdict == "not measured"]
    order = sorted(measured, key=lambda one: WORDS.index(one.verdict))
    body: list[Component] = []
    if order:
        told = [claim(one, _links(view, folder, file, experiment, one)) for one in order]
        body.append(written(*map(_component, told)))
        body.append(_component(legend()))
    if missing:
        listed = html.Ul(
            [html.Li([one.says, " ", html.Span(one.source, className="sub")]) for one in missing]
        )
        body += [
            html.H3(f"Not measured ({len(missing)})"),
            html.Div([html.P("This measures them:"), cards.command_line(experiment.command)]),
            html.Details([html.Summary("What they say"), listed]) if order else listed,
        ]
    if experiment.left_out and word == ALL:
        left = html.Ul([html.Li(f"{one.source}: {one.why}.") for one in experiment.left_out])
        body.append(html.Details([html.Summary("Results that no claim is about"), left]))
    counted = count_verdicts(one.verdict for one in own)
    return cards.card(experiment.title, *body, sub=" · ".join(filter(None, [experiment.paper, counted])))


def _links(
    view: View, folder: Path, file: VerdictFile, experiment: KeptExperiment, one: KeptVerdict
) -> list[Part]:
    """To the runs that the claim is about, those that are here."""
    names = [name for arm in one.arms for name in experiment.runs.get(arm, ())]
    ids = [name for name in (run_id(file, folder, name) for name in names) if name in view.entries]
    if not ids:
        return []
    address = f"{view.prefix}overview?runs={','.join(quote(name, safe='') for name in ids[:MOST_RUNS])}"
    return [Part("a", ("its runs" if len(ids) > 1 else "its run",), attributes={"href": address})]


def _component(part: Part) -> Component:
    """A piece of a page that the report shows, too."""

    def make(tag: str, children: list[Any], attributes: dict[str, str], style: dict[str, str]) -> Component:
        known = {DASHS[name]: value for name, value in attributes.items() if name in DASHS}
        others = {name: value for name, value in attributes.items() if name not in DASHS}
        return getattr(html, tag.capitalize())(children, style=style, **known, **cards.extra(others))

    return part.build(make)
