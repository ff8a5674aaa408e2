"""Answers of runs side by side, over the share of questions in mixed training, and against a probe."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.figures.theme import apply_theme, series_style

CHANCE_COLOUR = "rgb(128,134,145)"
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")


def plot_extraction_against_probing(pairs: pd.DataFrame, *, probe: str = "Q-probe") -> go.Figure:
    """Accuracy of finetuned answers over accuracy of the probe, test entities, both 0–1.

    pairs: as `pair_accuracies` gives them: columns run, attribute, extraction, probe. A colour for each run, a
    shape for each attribute, told below; the title says Pearson's correlation. Points above the diagonal answer better
    than the probe reads.
    """
    figure = go.Figure()
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "width": 1, "color": "rgba(128,134,145,.6)"}
    )
    symbols = {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(pairs["attribute"].unique())}
    for number, (run, rows) in enumerate(pairs.groupby("run", sort=False)):
        colour, dash, _ = series_style(number)
        sure = rows["converged"] if "converged" in rows else [True] * len(rows)
        labels = [attribute.replace("_", " ") for attribute in rows["attribute"]]
        steps = [f", step {step:,}" for step in rows["step"]] if "step" in rows else [""] * len(rows)
        figure.add_scatter(
            x=rows["probe"],
            y=rows["extraction"],
            mode="markers",
            name=str(run),
            marker={
                "size": 10,
                "color": colour,
                "symbol": [
                    symbols[attribute] + ("" if fine else "-open")
                    for attribute, fine in zip(rows["attribute"], sure, strict=True)
                ],
                "line": {"width": 2 if dash == "solid" else 4, "color": colour},
                "opacity": 1 if dash == "solid" else 0.6,
            },
            customdata=labels,
            text=steps,
            meta={"beside": {"attribute": labels}},
            hovertemplate=f"{run}%{{text}}<br>%{{customdata}}<br>{probe} %{{x:.1%}}<br>"
            "answers %{y:.1%}<extra></extra>",
        )
    for attribute, symbol in symbols.items():  # what the shapes mean, in a legend of their own
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=str(attribute).replace("_", " "),
            marker={"size": 10, "symbol": symbol, "color": CHANCE_COLOUR},
            legend="legend2",
            hoverinfo="skip",
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
        height=560,
        legend2={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.2, "yanchor": "top"},
        xaxis={**axis, "title": f"{probe}<br>accuracy, test entities", "constrain": "domain"},
        yaxis={
            **axis,
            "title": "accuracy of answers, test entities",
            "scaleanchor": "x",
            "constrain": "domain",
        },
    )
    return apply_theme(figure)


def plot_answers(pooled: pd.DataFrame) -> go.Figure:
    """Accuracy of answers as bars: attributes along x, a colour for each run (or its seeds together), chance as a line.

    pooled: as `pool_seeds` gives it: columns name, attribute, accuracy, ci_low, ci_high, chance, seeds, n, step; 0–1.
    Error bars go from ci_low to ci_high, Student's 95 % interval over the runs there; a row without them has none.
    """
    figure = go.Figure()
    for name, rows in pooled.groupby("name", sort=False):
        figure.add_bar(
            x=[attribute.replace("_", " ") for attribute in rows["attribute"]],
            y=rows["accuracy"],
            name=str(name),
            customdata=rows[["n", "seeds", "step"]],
            error_y={
                "type": "data",
                "array": rows["ci_high"] - rows["accuracy"],
                "arrayminus": rows["accuracy"] - rows["ci_low"],
                "visible": bool(rows["ci_low"].notna().any()),
            },
            hovertemplate=f"{name}<br>%{{x}} %{{y:.1%}}<br>step %{{customdata[2]}}, n = %{{customdata[0]:,}}, "
            "%{customdata[1]} seeds<extra></extra>",
        )
    chance = pooled.groupby("attribute", sort=False)["chance"].mean()
    figure.add_scatter(
        x=[str(attribute).replace("_", " ") for attribute in chance.index],
        y=chance,
        mode="markers",
        name="chance",
        marker={"symbol": "line-ew-open", "size": 44, "color": CHANCE_COLOUR, "line": {"width": 2}},
        hovertemplate="chance %{y:.1%}<extra></extra>",
    )
    figure.update_layout(
        barmode="group",
        yaxis={"range": [0, 1.02], "tickformat": ".0%", "title": "questions answered, test entities"},
        legend={"orientation": "h", "y": -0.15},
    )
    return apply_theme(figure)


def plot_answers_over_ratio(
    pooled: pd.DataFrame, paper: Mapping[str, Mapping[float, float]] | None = None
) -> go.Figure:
    """Mean accuracy of answers over the share of question rows in mixed training (the paper's Figure 10).

    pooled: as `pool_seeds` gives it; a line for each architecture and augmentation, error bars the range over seeds.
    paper: augmentation → share of questions → its accuracy there, drawn as dotted lines.
    """
    figure = go.Figure()
    mixed = pooled[(pooled["attribute"] == "mean") & (pooled["qa_ratio"] > 0)]
    mixed = mixed.assign(line=mixed["architecture"] + " " + mixed["augmentation"])
    for line, rows in mixed.sort_values("qa_ratio").groupby("line", sort=False):
        figure.add_scatter(
            x=rows["qa_ratio"],
            y=rows["accuracy"],
            mode="lines+markers",
            name=str(line),
            error_y={
                "type": "data",
                "array": rows["high"] - rows["accuracy"],
                "arrayminus": rows["accuracy"] - rows["low"],
            },
            hovertemplate=f"{line}<br>questions %{{x:.0%}}<br>answered %{{y:.1%}}<extra></extra>",
        )
    for augmentation, shares in (paper or {}).items():
        figure.add_scatter(
            x=list(shares),
            y=list(shares.values()),
            mode="lines+markers",
            name=f"paper: {augmentation}",
            line={"dash": "dot", "color": CHANCE_COLOUR},
            hovertemplate=f"paper: {augmentation}<br>questions %{{x:.0%}}<br>answered %{{y:.1%}}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"range": [0, 1], "tickformat": ".0%", "title": "rows that hold questions (qa_ratio)"},
        yaxis={"range": [0, 1.02], "tickformat": ".0%", "title": "questions answered, test entities"},
        showlegend=True,
    )
    return apply_theme(figure)
