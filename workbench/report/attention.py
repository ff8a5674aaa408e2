"""The report's look inside: where heads look, and what becomes of an answer when that is cut, exchanged or pushed."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import xarray as xr

from workbench.attention.runner import TITLES
from workbench.attention.tables import counted
from workbench.figures import attention as figures
from workbench.figures.labelled import at_step, in_words
from workbench.report.markup import details, figure_box, section
from workbench.report.parts import RunParts

# analysis → the sentence over its picture, the picture
PICTURES: dict[str, tuple[str, Callable[[xr.Dataset], go.Figure]]] = {
    "shares": (
        "How much of a head’s attention goes to a role, from the position before a value.",
        figures.plot_role_shares,
    ),
    "knockout": (
        "Points of the right value’s probability that are lost when no block may look at a role.",
        figures.plot_knockout,
    ),
    "ablation": (
        "Points of the right value’s probability that are lost without a head or feed-forward part, replaced by its "
        "mean at every token.",
        figures.plot_ablation,
    ),
    "interchange": (
        "How often another entity’s value is stated after that entity’s hidden state has been put in place.",
        figures.plot_interchange,
    ),
    "steering": (
        "How often another value is stated after a push of the hidden state before the value, along a probe.",
        figures.plot_steering,
    ),
    "lens": (
        "How often the output layer, applied to a layer’s hidden state, says the value’s first token.",
        figures.plot_lens,
    ),
    "heads": (
        "What the foremost heads of each kind are worth together, beside as many random ones.",
        figures.plot_head_sets,
    ),
}


def attention(parts: Sequence[RunParts]) -> str:
    """A folded picture of each attention analysis at the newest checkpoint; nothing where none was made."""
    boxes = [_box(part, data) for part in parts for data in part.attention if _has_picture(data)]
    return section("Inside the network", *boxes) if boxes else ""


def _box(part: RunParts, data: xr.Dataset) -> str:
    family = data.attrs["family"]
    says, draw = PICTURES[family]
    newest = at_step(data, None)
    variant = in_words(data.attrs.get("variant", "")).replace("+", ", ")
    told = f", {variant}" if variant else ""
    step = f", step {int(newest['checkpoint']):,}" if "checkpoint" in newest.coords else ""
    title = f"{part.name}: {TITLES[family]}{told}{step}{counted(newest)}"
    return details(title, f"<p>{says}</p>", figure_box({"attention": draw(newest)}))


def _has_picture(data: xr.Dataset) -> bool:
    """Not where heads were scored and no sets of them left out: that is a table."""
    return data.attrs["family"] != "heads" or "head_set" in data.dims
