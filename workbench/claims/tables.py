"""Verdicts as a table for a terminal, and as a Markdown page with everything that each stands on."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from workbench.claims.decision import Decision
from workbench.claims.declared import Experiment
from workbench.claims.kept import KeptVerdicts
from workbench.claims.verdicts import WORDS, Verdict, difference

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"holds": "green", "fails": "red", "undecided": "yellow", "not measured": "dim"}
EMPTY = "–"
NOTE = (
    "ours: estimate and interval over entities and seeds, 95 % for the whole claim; shares in percent, differences in "
    "points. chance: the commonest value, at this scale. n: test entities × seeds"
)


def count_verdicts(words: Iterable[str]) -> str:
    """`3 hold, 1 fails, 2 undecided, 40 not measured`."""
    counts = Counter(words)
    spelt = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}
    return ", ".join(f"{counts[word]} {spelt.get(word, (word, word))[counts[word] != 1]}" for word in WORDS)


def make_verdict_table(verdicts: Sequence[Verdict]) -> "Table":
    """One row an inequality, claims that are not measured left out; verdicts first."""
    from rich.table import Table

    table = Table(
        title=count_verdicts(one.word for one in verdicts), title_justify="left", box=None, pad_edge=False
    )
    for heading in ("verdict", "claim", "ours", "", "paper", "ours − paper", "chance", "n"):
        table.add_column(
            heading,
            justify="left" if heading in ("verdict", "claim") else "right",
            no_wrap=heading != "claim",
        )
    for word in WORDS[:-1]:
        for verdict in verdicts:
            if verdict.word != word:
                continue
            name = f"{verdict.experiment} {verdict.claim.name}"
            for number, cells in enumerate(_rows(verdict)):
                first = (f"[{STYLES[word]}]{word}[/]", name) if number == 0 else ("", "")
                table.add_row(*first, *cells)
            if verdict.reason:
                table.add_row("", f"[dim]{_escape(verdict.reason)}[/]")
    table.caption, table.caption_justify = NOTE, "left"
    return table


def make_page(
    experiments: Sequence[Experiment],
    verdicts: Sequence[Verdict],
    kept: KeptVerdicts,
) -> str:
    """The page of results in Markdown: verdicts on top, then each experiment's claims with what they stand on.

    kept: the same verdicts as they lie in verdicts.json, with how they were made.
    """
    commit = f", at commit `{kept.commit}`" if kept.commit else ""
    commands = {one.name: one.command for one in kept.experiments}
    lines = [
        "# Results",
        "",
        f"Made by `{kept.command}`{commit}, {kept.made[:10]}; scale `{kept.scale}`, "
        f"seeds {', '.join(map(str, kept.seeds))}. Do not edit: run the command again.",
        "",
        f"**{count_verdicts(one.word for one in verdicts)}.** How a claim is decided: [claims](claims.md). {NOTE}.",
        "",
        "| experiment | " + " | ".join(WORDS) + " |",
        "|---|" + "---|" * len(WORDS),
    ]
    for experiment in experiments:
        counts = Counter(verdict.word for verdict in verdicts if verdict.experiment == experiment.name)
        lines.append(f"| {experiment.title} | " + " | ".join(str(counts[word]) for word in WORDS) + " |")
    for experiment in experiments:
        own = [verdict for verdict in verdicts if verdict.experiment == experiment.name]
        lines += [
            "",
            f"## {experiment.title}",
            "",
            *([f"{experiment.paper}.", ""] if experiment.paper else []),
        ]
        lines += _claim_table([verdict for verdict in own if verdict.word != "not measured"])
        if missing := [verdict for verdict in own if verdict.word == "not measured"]:
            lines += ["Not measured; `" + commands[experiment.name] + "` does:", ""]
            lines += [f"- **{one.claim.name}** ({one.claim.source}): {one.claim.says}" for one in missing]
        if experiment.left_out:
            lines += ["", "No claim is about:", ""]
            lines += [f"- {one.source}: {one.why}." for one in experiment.left_out]
    return "\n".join(lines) + "\n"


def _claim_table(verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return []
    lines = ["| verdict | claim | | ours | | paper | ours − paper | chance | n |", "|---" * 9 + "|"]
    for verdict in sorted(verdicts, key=lambda one: WORDS.index(one.word)):
        says = f"{verdict.claim.says} ({verdict.claim.source})"
        says += f" *{verdict.reason}.*" if verdict.reason else ""
        for number, (cells, one) in enumerate(zip(_rows(verdict), verdict.claim.inequalities, strict=True)):
            first = (f"**{verdict.word}**", says) if number == 0 else ("", "")
            lines.append("| " + " | ".join([*first, f"`{one.text}`", *cells]) + " |")
    return [*lines, ""]


def _rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """ours, the bound, the paper's, the difference, chance, n: a row for each inequality."""
    columns = zip(verdict.decisions, verdict.claim.paper_numbers(), verdict.chances, strict=True)
    return [
        (
            *_ours(decision),
            *_beside(decision, paper),
            EMPTY if math.isnan(chance) else f"{chance:.1f}",
            _count(decision),
        )
        for decision, paper, chance in columns
    ]


def _ours(decision: Decision) -> tuple[str, str]:
    sign = {">=": "≥", "<=": "≤"}[decision.relation]
    bound = f"{sign} {decision.bound:g}"
    if math.isnan(decision.estimate):
        return EMPTY, bound
    places = 2 if abs(decision.bound) < 5 and abs(decision.estimate) < 10 else 1
    low, high = (f"{number:.{places}f}" for number in (decision.low, decision.high))
    return f"{decision.estimate:.{places}f} ({low} to {high})", bound


def _beside(decision: Decision, paper: float | None) -> tuple[str, str]:
    if paper is None:
        return EMPTY, EMPTY
    apart = difference(decision, paper)
    places = 2 if abs(paper) < 5 else 1
    shown = (
        EMPTY
        if apart is None
        else f"{apart[0]:+.{places}f} ({apart[1]:+.{places}f} to {apart[2]:+.{places}f})"
    )
    return f"{paper:.{places}f}", shown


def _count(decision: Decision) -> str:
    return EMPTY if decision.entities is None else f"{decision.entities:,} × {decision.seeds}"


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
