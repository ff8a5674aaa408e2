"""Verdicts on top of the report that `workbench reproduce` writes: what holds, with its interval and the paper's."""

from collections.abc import Sequence

from workbench.claims.kept import KeptExperiment, KeptVerdict, KeptVerdicts
from workbench.claims.markup import claim, legend
from workbench.claims.tables import count_verdicts
from workbench.claims.verdicts import WORDS
from workbench.report.markup import card, details, escape, missing, render, section


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
    parts = (
        [f"<div>{''.join(render(claim(one)) for one in measured)}</div>", render(legend())]
        if measured
        else []
    )
    if lacking:
        listed = "".join(f"<li>{escape(one.says)} ({escape(one.source)})</li>" for one in lacking)
        parts.append(missing(f"{len(lacking)} not measured; this does:", experiment.command))
        parts.append(details("What they say", f"<ul>{listed}</ul>"))
    if experiment.left_out:
        listed = "".join(f"<li>{escape(one.source)}: {escape(one.why)}.</li>" for one in experiment.left_out)
        parts.append(details("Results that no claim is about", f"<ul>{listed}</ul>"))
    return card(experiment.title, *parts, sub=experiment.paper)
