"""The panel of capacity over sizes (Part 3.3's Figure 1): learned bits against parameters, all runs in one picture."""

from collections.abc import Sequence

import numpy as np

from workbench.errors import WorkbenchError
from workbench.figures.capacity import LINES
from workbench.figures.publication.measured import evidence_of, load_firsts
from workbench.figures.publication.panels import LogPlot, LogSeries, Panel, Ray
from workbench.figures.publication.request import FigureRequest, PanelSpec
from workbench.results.statistics import Z_95
from workbench.studies.study import Study

READ = ("parameters", "bits", "bits_se", "most_bits", "ratio")


def draw_scaling(runs: Sequence[Study], _request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    """A point a run; runs with as much to learn make a line; lines of 1 and 2 bits a parameter, and of R max.

    R max is the paper's: the most bits a parameter that any of these models has learned.
    """
    shown = [(source, source.shown(spec.step)) for source in load_firsts(runs, "capacity")]
    told = [
        {name: float(source.data[name].broadcast_like(source.data["bits"]).sel(checkpoint=step)) for name in READ}
        for source, step in shown
    ]  # fmt: skip
    evidence = tuple(
        evidence_of(source, step, np.array([one["bits"]]))
        for (source, step), one in zip(shown, told, strict=True)
    )
    kept = [number for number, one in enumerate(told) if one["bits"] > 0]
    if not kept:
        raise WorkbenchError(
            "No model has learned a bit (all are below zero), so there is nothing to draw; train for longer."
        )
    best = max(kept, key=lambda number: told[number]["ratio"])
    most = told[best]["ratio"]
    rays = [Ray(ratio, f"{ratio:g} bit{'' if ratio == 1 else 's'} a parameter") for ratio in LINES]
    rays.append(Ray(most, f"R max: {most:.2f} bits a parameter", strong=True))
    groups = sorted({round(told[number]["most_bits"]) for number in kept})
    series = [
        _series([told[number] for number in kept if round(told[number]["most_bits"]) == group])
        for group in groups
    ]
    sub = f"R max {most:.2f} bits a parameter ({shown[best][0].name})"
    if left := len(told) - len(kept):
        sub += f"; {left} of {len(told)} below zero, not drawn"
    plot = LogPlot(series, tuple(rays), "parameters (unused vocabulary rows left out)", "learned bits")
    return [Panel("", "scaling", "Bits over parameters", sub, plot, evidence)]


def _series(members: list[dict[str, float]]) -> LogSeries:
    """Models that have as much to learn, by their size."""
    members = sorted(members, key=lambda one: one["parameters"])
    xs, ys, errors = (np.array([one[name] for one in members]) for name in ("parameters", "bits", "bits_se"))
    most = members[0]["most_bits"]
    return LogSeries(f"{most:,.0f} bits to learn", xs, ys, ys - Z_95 * errors, ys + Z_95 * errors, most)
