"""The panels that a figure was asked for."""

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase

from workbench.errors import WorkbenchError
from workbench.figures.publication.asked_panels import ASKED_PANELS
from workbench.figures.publication.measured_panels import MEASURED_PANELS
from workbench.figures.publication.panels import Panel
from workbench.figures.publication.probe_panels import PROBE_PANELS
from workbench.figures.publication.request import FigureRequest
from workbench.figures.publication.sources import Source, load_sources, usual_family
from workbench.studies.study import Study

DRAWN = {**ASKED_PANELS, **MEASURED_PANELS}  # panels of what is no probe


def name_family(runs: Sequence[Study], request: FigureRequest) -> FigureRequest:
    """The request with the family of its probes named, where it leaves that open."""
    kinds = {_probe_of(spec.kind) for spec in request.specs if spec.kind not in DRAWN}
    return request if request.family else replace(request, family=usual_family(runs, kinds))


def make_panels(runs: Sequence[Study], request: FigureRequest) -> list[Panel]:
    """The panels asked for, kind by kind and within a kind run by run, with letters where there are several."""
    loaded: dict[str, list[Source]] = {}
    made: list[Panel] = []
    for spec in request.specs:
        if spec.kind in DRAWN:
            if request.fold:
                raise WorkbenchError(
                    f"The panel {spec.kind} lays runs side by side, never as one; leave out --fold."
                )
            made += DRAWN[spec.kind](runs, request, spec)
            continue
        kind = _probe_of(spec.kind)
        if kind not in loaded:
            loaded[kind] = load_sources(runs, kind, request)
        made += PROBE_PANELS[spec.kind](loaded[kind], request, spec)
    if len(made) > len(ascii_lowercase):
        raise WorkbenchError(
            f"The figure would have {len(made)} panels; at most {len(ascii_lowercase)} fit, name fewer."
        )
    letters = ascii_lowercase if len(made) > 1 else ""
    return [
        Panel(letters[i : i + 1], one.kind, one.title, one.sub, one.content, one.evidence)
        for i, one in enumerate(made)
    ]


def _probe_of(kind: str) -> str:
    """The kind of probe that a panel shows."""
    return "q" if kind == "q" else "p"
