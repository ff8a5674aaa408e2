"""Panels of attention: how much of each head's look goes to a role, and what is lost when it is cut."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.attention.pooling import mean_over_positions, pool_cells
from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, format_points
from workbench.figures.labelled import in_words
from workbench.figures.publication.measured import evidence_of, grid_panel, load_firsts
from workbench.figures.publication.panels import Panel
from workbench.figures.publication.request import FigureRequest, PanelSpec
from workbench.results.statistics import Z_95
from workbench.studies.study import Study


def draw_shares(runs: Sequence[Study], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in load_firsts(runs, "attention", "shares"):
        step = source.shown(spec.step)
        cells = source.data.sel(checkpoint=step)
        groups = [str(name) for name in cells["group"].values.tolist()]
        if request.role not in groups:
            raise WorkbenchError(f"{source.name} has no group {request.role!r}; it has {', '.join(groups)}.")
        pooled = "pooled_group_share" in cells
        share = cells["pooled_group_share"] if pooled else mean_over_positions(cells, "group_share")
        values = _blocks(share.sel(group=request.role))
        reach: Any = np.nan
        if pooled:
            reach = Z_95 * _blocks(cells["pooled_group_share_se"].sel(group=request.role))
        even = np.nan
        if "group_uniform" in cells:
            even = float(mean_over_positions(cells, "group_uniform").sel(group=request.role))
        one = evidence_of(
            source, step, values, low=np.clip(values - reach, 0, 1), high=np.clip(values + reach, 0, 1),
            n=float(cells["n"].sum()), chance=even,
        )  # fmt: skip
        evenly = "" if np.isnan(even) else f", evenly {100 * even:.0f} %"
        sub = f"step {step:,} · at {in_words(request.role)}{evenly}"
        rows = [f"block {block}" for block in cells["block"].values.tolist()[::-1]]
        made.append(
            grid_panel("attention", one, sub, rows, [str(h) for h in cells["head"].values.tolist()], "head")
        )
    return made


def _blocks(share: xr.DataArray) -> np.ndarray:
    """[block, head], the deepest block on top."""
    return np.asarray(share.transpose("block", "head").values, float)[::-1]


def draw_knockout(runs: Sequence[Study], _request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in load_firsts(runs, "attention", "knockout"):
        step = source.shown(spec.step)
        cells = source.data.sel(checkpoint=step, window="all")
        loss = pool_cells(cells, "loss", "position")
        roles = [str(r) for r in cells["role"].values.tolist() if bool(loss.sel(role=r).notnull().any())]
        attributes = [str(name) for name in cells["attribute"].values.tolist()]
        cells, loss = cells.sel(role=roles), loss.sel(role=roles)
        mean = np.asarray(cells["pooled_loss"].values, float)[:, None]
        reach = Z_95 * np.asarray(cells["pooled_loss_se"].values, float)[:, None]
        values = np.hstack([mean, np.asarray(loss.transpose("role", "attribute").values, float)])
        n = np.asarray(cells["n"].sum("position").transpose("role", "attribute").values, float)
        ends = [
            np.hstack([end, np.full(loss.shape, np.nan)]) for end in (mean - reach, mean + reach)
        ]  # of single attributes no pooled error is kept
        one = evidence_of(
            source, step, values, low=ends[0], high=ends[1], n=np.hstack([n.sum(1, keepdims=True), n])
        )
        control = np.asarray(cells["pooled_loss_control"].values, float)
        made.append(
            grid_panel(
                "knockout", one, f"step {step:,}", [in_words(role) for role in roles],
                ["all", *map(attribute_label, attributes)], "attribute", points=True,
                notes=[f"(random {format_points(v)})" for v in control], keys=(roles, ["all", *attributes]),
            )
        )  # fmt: skip
    return made
