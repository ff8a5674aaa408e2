"""Extraction against probing as a scatter: each point is one attribute of one run."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.figures.theme import apply_theme

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")


def plot_extraction_against_probing(pairs: pd.DataFrame, *, probe: str = "Q-probe") -> go.Figure:
    """Accuracy of finetuned answers over accuracy of the probe, test people, both 0–1.

    pairs: as `pair_accuracies` gives them: columns run, attribute, extraction, probe. A colour for each run, a
    symbol for each attribute; the title says Pearson's correlation. Points above the diagonal answer better than
    the probe reads.
    """
    figure = go.Figure()
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "width": 1, "color": "rgba(128,134,145,.6)"}
    )
    symbols = dict(zip(pairs["attribute"].unique(), SYMBOLS, strict=False))
    for run, rows in pairs.groupby("run", sort=False):
        labels = [attribute.replace("_", " ") for attribute in rows["attribute"]]
        figure.add_scatter(
            x=rows["probe"],
            y=rows["extraction"],
            mode="markers",
            name=str(run),
            marker={"size": 10, "symbol": [symbols[attribute] for attribute in rows["attribute"]]},
            customdata=labels,
            hovertemplate=f"{run}<br>%{{customdata}}<br>{probe} %{{x:.1%}}<br>answers %{{y:.1%}}<extra></extra>",
        )
    x, y = pairs["probe"].to_numpy(float), pairs["extraction"].to_numpy(float)
    varies = len(pairs) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
    said = (
        f"Pearson r = {np.corrcoef(x, y)[0, 1]:.2f}, {len(pairs)} points"
        if varies
        else f"{len(pairs)} points"
    )
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%"}
    figure.update_layout(
        title=f"Extraction against probing · {said}",
        xaxis={**axis, "title": f"{probe} accuracy, test people"},
        yaxis={**axis, "title": "accuracy of answers, test people", "scaleanchor": "x"},
    )
    return apply_theme(figure)
