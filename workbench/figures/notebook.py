"""`show(run)`: what was found in a run, in a notebook: pictures under a slider of checkpoints, that need no network."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.figures.publication import PaperFigure, make_figure
from workbench.figures.publication.sources import usual_family
from workbench.results.storing import list_results
from workbench.studies.opening import as_study
from workbench.studies.study import Study

MOST_FRAMES = 12  # each is a picture of its own in the notebook's file
# The pictures lie one over the other; the slider shows one. Where scripts do not run, the newest stays.
PAGE = """<div style="max-width: {width}cm"><div>{pictures}</div>
<label style="display: flex; gap: .8em; align-items: center">checkpoint
<input type="range" min="0" max="{last}" value="{last}" style="flex: 1" oninput="
const box = this.closest('div'), shown = this.valueAsNumber;
[...box.firstElementChild.children].forEach((one, i) => {{ one.style.display = i === shown ? '' : 'none'; }});
this.nextElementSibling.textContent = 'step ' + {steps}[shown].toLocaleString('en-US');">
<output>step {newest:,}</output></label>
<details><summary>Caption</summary><p>{caption}</p></details></div>"""


@dataclass(frozen=True)
class Shown:
    """A figure at several checkpoints; a notebook displays it by itself. frames: step → figure."""

    frames: dict[int, PaperFigure]

    def _repr_html_(self) -> str:
        steps = list(self.frames)
        newest = self.frames[steps[-1]]
        pictures = "".join(
            f'<img alt="step {step:,}: {escape(", ".join(panel.title for panel in figure.panels))}" '
            f'style="width: 100%; background: white{"" if step == steps[-1] else "; display: none"}" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(figure.render("svg")).decode()}">'
            for step, figure in self.frames.items()
        )
        return PAGE.format(
            width=newest.request.width_cm,
            pictures=pictures,
            last=len(steps) - 1,
            steps=steps,
            newest=steps[-1],
            caption=escape(newest.caption),
        )


def show(*runs: Study | Path | str | Iterable[Study | Path | str], panels: str = "p", **wanted: Any) -> Shown:
    """What was found in a run, or in several side by side: `show(run)`, `show("runs/a", "runs/b", panels="p,q")`.

    panels and wanted: as of `make_figure`. Of many checkpoints about a dozen are kept, the first and the newest among
    them; runs that have not one of them show their newest before it.
    """
    if not runs:
        raise WorkbenchError("There is nothing to show: give a run, e.g. show('runs/tiny').")
    given = [[run] if isinstance(run, Study | Path | str) else run for run in runs]
    opened = [as_study(run) for several in given for run in several]
    kind = "q" if panels == "q" else "p"
    family = str(wanted.get("family") or usual_family(opened, [kind]))
    steps = sorted(
        {
            step
            for run in opened
            for result in list_results(run.path)
            if (result.kind, result.family) == (kind, family)
            for step in result.steps
        }
    )
    if not steps or "step" in wanted:
        figure = make_figure(
            opened, panels, **wanted
        )  # the step asked for, or the sentence that says what is missing
        return Shown({figure.panels[0].evidence[0].step: figure})
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_FRAMES)).round().astype(int))
    return Shown({steps[i]: make_figure(opened, panels, **{**wanted, "step": steps[i]}) for i in chosen})
