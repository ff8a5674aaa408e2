"""Probes against answers: the scatter of stored evaluations over probe accuracies, and their correlation."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from dash import html

from workbench.errors import WorkbenchError
from workbench.extraction.comparison import Probe, correlate, pair_accuracies
from workbench.figures.cells import format_number
from workbench.figures.extraction import plot_extraction_against_probing
from workbench.results.statistics import correlation_interval
from workbench.studies.opening import open_study
from workbench_app import cards
from workbench_app.controls import set_label
from workbench_app.findings import MORE_STEPS
from workbench_app.index import RunEntry, probe_sets
from workbench_app.missing import missing
from workbench_app.view import Component, View

KIND_NAMES = {"q": "Q-probe", "p": "P-probe, position 0"}
USUAL = "q-embedding"
TITLE = "Against answering questions"
PAPERS = "The paper’s is 0.96 over its 80."


def probe_name(name: str) -> str:
    """`q-embedding` → `Q-probe`; any but the paper's says which: `Q-probe (logistic)`."""
    kind, _, family = name.partition("-")
    return KIND_NAMES[kind] + ("" if family == "embedding" else f" ({set_label(name)})")


def probes_of(entries: Sequence[RunEntry]) -> list[str]:
    """What answers can be laid against: every Q-probe's and P-probe's results of these runs, the paper's first."""
    return [name for kind in ("q", "p") for name in probe_sets(entries, kind)]


def scatter_card(
    view: View, entries: Sequence[RunEntry], key: str, set_name: str = "", probe: str = USUAL
) -> Component:
    """One point for each run and attribute: accuracy of the stored answers over that of the probe, test entities.

    set_name: which answers (`qa-lora+lora`); empty: those that most of the runs have, finetuned ones first.
    probe: which probe's results (`q-embedding`).
    """
    chosen = set_name or common_answers(entries)
    if not chosen:
        text = "No answers of these runs are stored. Finetune a run on the questions of its train entities, then ask:"
        return missing(view, entries[0], text, *ask_commands(entries[0]), title=TITLE)
    asked = [entry for entry in entries if chosen in entry.result_sets]
    pairs, faults = read_pairs(view, asked, chosen, probe)
    name = probe_name(probe)
    if pairs.empty:
        none = f"No attribute of these runs is both asked for and read by a {name}."
        return cards.card(TITLE, cards.faults(faults or [none], "Cannot be compared"))
    figure = plot_extraction_against_probing(pairs, probe=name)
    figure.update_layout(
        title=None,
        height=480,
        margin={"t": 8, "b": 8, "l": 8, "r": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0.5, "xanchor": "center"},
    )
    r = correlate(pairs)
    low, high = correlation_interval(r, len(pairs))
    known, least, most = (format_number(one, ".2f") for one in (r, low, high))
    ends = "" if np.isnan(low) else f" (95 %: {least} to {most})"
    told = f"{len(pairs)} points" if np.isnan(r) else f"Pearson r = {known}{ends} over {len(pairs)} points"
    missed = int((~pairs["converged"].astype(bool)).sum())
    doubt = (
        f"{missed} of {len(pairs)} probes had not converged (hollow points): {MORE_STEPS}, and r may change."
    )
    return cards.card(
        TITLE,
        cards.graph(
            "scatter",
            view.themed(figure),
            key,
            f"{name} accuracy against accuracy of answers, one point an attribute; {told}",
        ),
        html.P(doubt, className="unsure-words") if missed else None,
        cards.faults(faults, "Not compared"),
        sub=f"{told}, test entities, {_steps(pairs)}. {PAPERS if probe == USUAL else ''}".strip(),
        actions=[cards.downloads("scatter")],
    )


def _steps(pairs: pd.DataFrame) -> str:
    """The checkpoint of all points, or of each run's."""
    if pairs["step"].nunique() == 1:
        return f"step {pairs['step'].iloc[0]:,}"
    return ", ".join(
        f"{run} at step {step:,}" for run, step in pairs.groupby("run", sort=False)["step"].first().items()
    )


def ask_commands(entry: RunEntry) -> list[list[str]]:
    """The commands that put the questions to a run, by the plainest finetune."""
    run = str(entry.path)
    return [["workbench", "finetune", run], ["workbench", "evaluate", run, "--adapter", "lora"]]


def common_answers(entries: Sequence[RunEntry]) -> str:
    """The answers that most runs have; of equally many those of a finetune, LoRA before all weights."""
    found: dict[str, int] = {}
    for entry in entries:
        for name in entry.sets_of("qa"):
            found[name] = found.get(name, 0) + 1
    return max(
        found,
        key=lambda name: (found[name], not name.startswith("qa-none"), "-lora" in name, -len(name)),
        default="",
    )


def read_pairs(
    view: View, entries: Sequence[RunEntry], set_name: str, probe: str
) -> tuple[pd.DataFrame, list[str]]:
    """`pair_accuracies` run by run, remembered until a file changes, and a sentence for each run left out."""
    variant = set_name.partition("+")[2]
    rows, faults = [], []
    for entry in entries:
        if probe not in entry.result_sets:
            faults.append(f"{entry.id} has not been read by a {probe_name(probe)}.")
            continue
        files = [entry.result_sets.get(name, {}) for name in (set_name, probe)]
        key = (entry.path, set_name, probe, *(tuple(sorted(stamps.items())) for stamps in files))
        try:
            rows.append(view.library.remember(key, partial(_pairs, entry, variant, probe)))
        except (WorkbenchError, OSError) as error:
            faults.append(str(error))
    return (pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()), faults


def _pairs(entry: RunEntry, variant: str, probe: str) -> pd.DataFrame:
    kind, _, family = probe.partition("-")
    which: Probe = "p" if kind == "p" else "q"
    study = open_study(entry.path)
    return pair_accuracies([study], adapter=variant or None, probe=which, family=family).assign(run=entry.id)
