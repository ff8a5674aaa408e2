"""Tasks drawn: with and without hints, over the number of train entities, forward against backward (Part 3.2).

Every figure takes the rows of `collect_tasks`: columns run, augmentation, finetune, hints, train_entities, task,
chance, n, direct, ci_low, ci_high, with_hint, predicted, hint_accuracy; shares 0–1 of test entities' questions.
"""

import re
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from workbench.figures.extraction import CHANCE_COLOUR
from workbench.figures.theme import COLOURS, apply_theme

INVERSE = "inverse"
WIDE = 24
SERIES = (
    ("taught without hints", "direct", False),
    ("taught with hints, asked directly", "direct", True),
    ("asked with hint", "with_hint", True),
    ("predicted from the hints", "predicted", True),
)


def plot_hints(tasks: pd.DataFrame) -> go.Figure:
    """A group of bars for each task: taught without hints, and with them asked both ways, beside what they predict.

    Of several finetunes the mean; a tick marks chance.
    """
    figure = go.Figure()
    names = list(dict.fromkeys(tasks["task"]))
    for label, column, hints in SERIES:
        rows = tasks[tasks["hints"] == hints]
        shares = rows.groupby("task")[column].mean().reindex(names)
        if shares.notna().any():
            bar = {"marker": {"pattern": {"shape": "/"}}} if column == "predicted" else {}
            figure.add_bar(
                y=names,
                x=shares,
                name=label,
                orientation="h",
                hovertemplate=f"%{{y}}<br>{label} %{{x:.1%}}<extra></extra>",
                **bar,
            )
    return _finish_bars(figure, tasks, names)


def plot_tasks(tasks: pd.DataFrame) -> go.Figure:
    """Bars of the answers asked directly, a colour for each run and finetune, with 95 % intervals; a tick is chance."""
    figure = go.Figure()
    names = list(dict.fromkeys(tasks["task"]))
    for (run, finetune), rows in tasks.groupby(["run", "finetune"], sort=False):
        label = str(run) if finetune == "none" else f"{run}, {finetune}"
        figure.add_bar(
            y=rows["task"],
            x=rows["direct"],
            name=label,
            orientation="h",
            error_x=_reach(rows),
            customdata=rows["n"],
            hovertemplate=f"{label}<br>%{{y}} %{{x:.1%}}<br>n = %{{customdata:,}}<extra></extra>",
        )
    return _finish_bars(figure, tasks, names)


def plot_train_entities(tasks: pd.DataFrame) -> go.Figure:
    """Accuracy over how many train entities the task was taught about, a line a task, its chance dotted; only of
    finetunes without hints.
    """
    figure = go.Figure()
    plain = tasks[~tasks["hints"]].sort_values("train_entities")
    for i, (task, rows) in enumerate(plain.groupby("task", sort=False)):
        figure.add_scatter(
            x=rows["train_entities"],
            y=rows["direct"],
            mode="lines+markers",
            name=str(task),
            line={"color": COLOURS[i % len(COLOURS)]},
            error_y=_reach(rows),
            hovertemplate=f"{task}<br>%{{x:,}} train entities<br>%{{y:.1%}}<extra></extra>",
        )
        figure.add_scatter(
            x=rows["train_entities"],
            y=rows["chance"],
            mode="lines",
            name=f"chance: {task}",
            line={"dash": "dot", "width": 1, "color": COLOURS[i % len(COLOURS)]},
            hovertemplate=f"chance of {task} %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(type="log", title="train entities taught about")
    return _finish(figure, "questions answered, test entities")


def plot_directions(tasks: pd.DataFrame) -> go.Figure:
    """Forward (from the name) against backward (to the name), a group for each run: means over its tasks.

    Backward are the `inverse` tasks; forward all others whose answer is a value (retrieval, dual).
    """
    figure = go.Figure()
    family = tasks["task"].str.partition(":")[0]
    backward = tasks[family.str.startswith(INVERSE)]
    forward = tasks[family.isin(["retrieval", "dual"])]
    runs = list(dict.fromkeys(tasks["run"]))
    for label, rows in (("forward: name → value", forward), ("backward: values → name", backward)):
        shares = rows.groupby("run")["direct"].mean().reindex(runs)
        figure.add_bar(
            x=runs, y=shares, name=label, hovertemplate=f"%{{x}}<br>{label} %{{y:.1%}}<extra></extra>"
        )
    figure.update_layout(barmode="group")
    return _finish(figure, "questions answered, test entities")


def choose_task_figures(tasks: pd.DataFrame) -> dict[str, go.Figure]:
    """The figures that these rows can fill, by title."""
    figures = {"Tasks, asked directly": plot_tasks(tasks)}
    if tasks["hints"].any():
        with_steps = set(tasks.loc[tasks["hints"], "task"])
        figures["With hints and without"] = plot_hints(tasks[tasks["task"].isin(with_steps)])
    plain = tasks[~tasks["hints"]]
    several = plain.groupby("task")["train_entities"].nunique()
    if (several > 1).any():
        chosen = plain[plain["task"].isin(several[several > 1].index)]
        figures["Over the number of train entities"] = plot_train_entities(chosen)
    if tasks["task"].str.startswith(INVERSE).any():
        figures["Forward against backward"] = plot_directions(tasks)
    return figures


def _reach(rows: pd.DataFrame) -> dict[str, Any]:
    """Plotly's error bars from ci_low to ci_high of the answers asked directly."""
    return {
        "type": "data",
        "array": rows["ci_high"] - rows["direct"],
        "arrayminus": rows["direct"] - rows["ci_low"],
    }


def _finish_bars(figure: go.Figure, tasks: pd.DataFrame, names: list[str]) -> go.Figure:
    """Groups of lying bars, a group a task with its name beside it, chance as ticks; the legend above, a line each."""
    group = max(34, 11 * len(figure.data) + 8)  # pixels
    figure.add_scatter(
        y=names,
        x=tasks.groupby("task")["chance"].mean().reindex(names),
        mode="markers",
        name="chance",
        marker={"symbol": "line-ns-open", "size": 0.42 * group, "color": CHANCE_COLOUR, "line": {"width": 2}},
        hovertemplate="chance %{x:.1%}<extra></extra>",
    )
    above = 20 * len(figure.data) + 20
    figure = apply_theme(figure)
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%", title="questions answered, test entities")
    figure.update_yaxes(
        autorange="reversed", tickvals=names, ticktext=[_wrap(name) for name in names], automargin=True
    )
    figure.update_layout(
        barmode="group",
        height=above + group * len(names) + 60,
        margin={"t": above, "b": 48},
        showlegend=True,
        legend={
            "orientation": "v",
            "yref": "container",
            "y": 1,
            "yanchor": "top",
            "x": 0,
            "itemsizing": "constant",
        },
    )
    return figure


def _wrap(name: str) -> str:
    """A task's name in lines of some twenty letters, broken behind a colon or comma."""
    lines = [""]
    for part in re.split(r"(?<=[:,])", name):
        if lines[-1] and len(lines[-1]) + len(part) > WIDE:
            lines.append("")
        lines[-1] += part
    return "<br>".join(lines)


def _finish(figure: go.Figure, what: str) -> go.Figure:
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=what)
    figure.update_layout(
        height=440, showlegend=True, legend={"orientation": "h", "y": 1.08, "yanchor": "bottom", "x": 0}
    )
    return apply_theme(figure)
