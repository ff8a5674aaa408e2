"""Verdicts on top of the report that `workbench reproduce` writes: what holds, with its interval and the paper's."""

from collections.abc import Sequence

from workbench.claims.axis import number, place, tell
from workbench.claims.kept import KeptExperiment, KeptInequality, KeptVerdict, KeptVerdicts
from workbench.claims.tables import count_verdicts
from workbench.claims.verdicts import WORDS
from workbench.report.markup import card, details, escape, missing, section


def verdicts(kept: KeptVerdicts) -> str:
    """A card an experiment: its claims, decided ones first, then what was not measured and what no claim is about."""
    cards = [
        _experiment(one, [verdict for verdict in kept.verdicts if verdict.experiment == one.name])
        for one in kept.experiments
    ]
    seeds = ", ".join(map(str, kept.seeds))
    commit = f", commit <code>{escape(kept.commit)}</code>" if kept.commit else ""
    made = (
        f"<p>{escape(count_verdicts(one.verdict for one in kept.verdicts))}. Made by "
        f"<code>{escape(kept.command)}</code>, {escape(kept.made[:10])}{commit}; scale {escape(kept.scale)}, seed "
        f"{escape(seeds)}. A claim holds where its whole 95 % interval lies on its side of the bound, fails where all "
        "of it lies on the other, and is else undecided. Shares in percent, differences in points.</p>"
    )
    return section("Does it hold?", made, *cards)


def _experiment(experiment: KeptExperiment, own: Sequence[KeptVerdict]) -> str:
    measured = sorted(
        (one for one in own if one.verdict != "not measured"), key=lambda one: WORDS.index(one.verdict)
    )
    lacking = [one for one in own if one.verdict == "not measured"]
    parts = [f'<div class="claims">{"".join(map(_claim, measured))}</div>'] if measured else []
    if lacking:
        listed = "".join(f"<li>{escape(one.says)} ({escape(one.source)})</li>" for one in lacking)
        parts.append(missing(f"{len(lacking)} not measured; this does:", experiment.command))
        parts.append(details("What they say", f"<ul>{listed}</ul>"))
    if experiment.left_out:
        listed = "".join(f"<li>{escape(one.source)}: {escape(one.why)}.</li>" for one in experiment.left_out)
        parts.append(details("Results that no claim is about", f"<ul>{listed}</ul>"))
    return card(experiment.title, *parts, sub=experiment.paper)


def _claim(one: KeptVerdict) -> str:
    chance = "" if one.chance is None else f" · chance {one.chance:.1f}"
    reason = f"<p class='small'>{escape(one.reason[0].upper() + one.reason[1:])}.</p>" if one.reason else ""
    return (
        f'<article class="claim {one.verdict.replace(" ", "-")}"><b class="verdict">{one.verdict}</b>'
        f"<div><p>{escape(one.says)}</p><p class='small'>{escape(one.source)}{chance}</p>{reason}</div>"
        f"<div>{''.join(map(_inequality, one.holds))}</div></article>"
    )


def _inequality(one: KeptInequality) -> str:
    told = [f"<b>{number(one.estimate)}</b> ({number(one.low)} to {number(one.high)})"]
    if one.paper is not None:
        told.append(f"paper {number(one.paper)}")
    if one.difference is not None:
        apart, low, high = map(number, one.difference)
        told.append(f"ours − paper {apart} ({low} to {high})")
    if one.entities is not None:
        told.append(f"n {one.entities:,}")
    return (
        f'<div class="inequality {one.verdict.replace(" ", "-")}"><code>{escape(one.inequality)}</code>{_axis(one)}'
        f"<p class='small'>{' · '.join(told)}</p></div>"
    )


def _axis(one: KeptInequality) -> str:
    axis = place(one)
    if axis is None:
        return ""
    start, end = axis.side
    papers = "" if axis.paper is None else f'<i class="papers" style="left:{axis.paper}%"></i>'
    words = escape(tell(one))
    return (
        f'<span class="axis" role="img" aria-label="{words}" title="{words}">'
        f'<i class="side" style="left:{start}%;width:{end - start:.2f}%"></i>'
        f'<i class="bound" style="left:{axis.bound}%"></i>'
        f'<i class="span" style="left:{axis.low}%;width:{axis.high - axis.low:.2f}%"></i>'
        f'<i class="estimate" style="left:{axis.estimate}%"></i>{papers}</span>'
    )
