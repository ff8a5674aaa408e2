"""The figures that belong to a result, whatever its kind: what `workbench probe --figure` writes."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import xarray as xr

from workbench.figures.bars import plot_q_bars
from workbench.figures.cells import name_results
from workbench.figures.emergence import plot_emergence
from workbench.figures.heatmap import plot_probe_heatmap
from workbench.figures.learning_curve import plot_learning_curve
from workbench.figures.series import plot_heatmap_film, plot_heatmap_series
from workbench.figures.sets import partner_gain, plot_seen_partners, plot_seen_sets
from workbench.figures.training import plot_probe_over_training


def plot_results(
    results: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, xr.Dataset],
) -> dict[str, go.Figure]:
    """The figures of one or several results of one kind, by their titles.

    P: heatmaps side by side; of several checkpoints also as a film, as small multiples, as curves and by when each
    cell emerged; of several layers a heatmap each. Q: bars. seen: the sets, and what each value hangs on. Learning
    curves: curves.
    """
    named = name_results(results)
    first = next(iter(named.values()))
    figures: dict[str, go.Figure] = {}
    for name, result in named.items():
        if "train_entities" in result.dims:
            figures[f"{name}: learning curve"] = plot_learning_curve(result)
        elif "seen" in result.dims:
            figures[f"{name}: by what has been said"] = plot_seen_sets(result)
            if bool(partner_gain(result).notnull().any()):
                figures[f"{name}: what each value hangs on"] = plot_seen_partners(result)
        elif "layer" in result.dims and result.sizes["layer"] > 1:
            newest = result.isel(checkpoint=-1) if "checkpoint" in result.dims else result
            figures[f"{name}: every layer"] = plot_heatmap_series(newest, along="layer")
    if figures:
        return figures
    if first.sizes.get("position", 1) == 1:
        return {"From the name alone": plot_q_bars(named)}
    if all("checkpoint" in result.dims and result.sizes["checkpoint"] > 1 for result in named.values()):
        figures["Position × target over training"] = plot_heatmap_film(named)
        for name, result in named.items():
            figures[f"{name}: every checkpoint"] = plot_heatmap_series(result)
            figures[f"{name}: over training, position 0"] = plot_probe_over_training(result)
            if "ci_low" in result:
                figures[f"{name}: first step clear of chance"] = plot_emergence(result)
        return figures
    return {"Position × target": plot_probe_heatmap(named)}
