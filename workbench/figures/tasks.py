"""Tasks drawn: with and without hints, over the number of train entities, forward against backward (Part 3.2).

Every figure takes the rows of `collect_tasks`: columns run, augmentation, step, finetune, hints, train_entities, split,
task, chance, n, direct, ci_low, ci_high, with_hint, predicted, hint_accuracy; shares 0–1 of one half's questions. Those
that put several finetunes into one number take one checkpoint of each run (`choose_checkpoint`) and refuse more.
"""

import re
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from workbench.errors import WorkbenchError
from workbench.extraction.task_tables import choose_checkpoint
from workbench.figures.extraction import CHANCE_COLOUR
from workbench.figures.theme import COLOURS, apply_theme, series_style

INVERSE = "inverse"
WIDE = 24  # letters in a line of a name
TASK_BREAKS = r"(?<=[:,])"
RUN_BREAKS = r"(?<=[-+~_./])"
LEGEND_LETTERS = 36  # in a line of a legend: what a phone has room for
LEGEND_ABOVE = {
    "orientation": "v", "yref": "container", "y": 1, "yanchor": "top", "x": 0, "itemsizing": "constant",
    "tracegroupgap": 2,
}  # fmt: skip
SERIES = (
    ("taught without hints", "direct", False),
    ("taught with hints, asked directly", "direct", True),
    ("asked with hint", "with_hint", True),
    ("predicted from the hints", "predicted", True),
)


def plot_hints(tasks: pd.DataFrame) -> go.Figure:
    """A group of bars for each task: taught without hints, and with them asked both ways, beside what they predict.

    Of several finetunes of a checkpoint the mean; a tick marks chance.
    """
    _require_one_checkpoint(tasks)
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
    """Bars of the answers asked directly, a colour for each run, checkpoint and finetune, with 95 % intervals; a tick
    is chance.
    """
    figure = go.Figure()
    names = list(dict.fromkeys(tasks["task"]))
    for (run, finetune, step), rows in tasks.groupby(["run", "finetune", "step"], sort=False):
        label = ", ".join([str(run), *([] if finetune == "none" else [str(finetune)]), f"step {step:,}"])
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
    _require_one_checkpoint(tasks)
    figure = go.Figure()
    plain = tasks[~tasks["hints"]].sort_values("train_entities")
    for i, (task, rows) in enumerate(plain.groupby("task", sort=False)):
        line = {"color": COLOURS[i % len(COLOURS)]}
        _add_answers(figure, rows, "train_entities", str(task), line, "%{x:,} train entities<br>")
    figure.update_xaxes(type="log", title="train entities taught about")
    return _finish(figure, _answered(tasks))


def plot_tasks_over_training(tasks: pd.DataFrame) -> go.Figure:
    """Accuracy over the checkpoint that was asked, or that a finetune started from: a line for each run, task and way
    of teaching, with 95 % intervals; its chance dotted. Only checkpoints that were asked have a point.
    """
    figure = go.Figure()
    kinds = ["run", "task", "hints", "train_entities"]
    several_runs, several_sizes = tasks["run"].nunique() > 1, tasks["train_entities"].nunique() > 1
    for i, ((run, task, hints, size), rows) in enumerate(tasks.groupby(kinds, sort=False)):
        rows = rows.sort_values("step")
        colour, dash, _ = series_style(i)
        parts = [str(run)] if several_runs else []
        parts += [str(task)] + (["taught with hints"] if hints else [])
        parts += [f"{size:,.0f} train entities"] if several_sizes else []
        label = ", ".join(parts)
        _add_answers(figure, rows, "step", label, {"color": colour, "dash": dash}, group=label)
    figure.update_xaxes(title="checkpoint asked, or finetuned (step)")
    return _finish(figure, f"questions answered<br>{tasks['split'].iloc[0]} entities")


def plot_directions(tasks: pd.DataFrame) -> go.Figure:
    """Forward (from the name) against backward (to the name), a group for each run: means over its tasks.

    Backward are the `inverse` tasks; forward all others whose answer is a value (retrieval, dual).
    """
    _require_one_checkpoint(tasks)
    figure = go.Figure()
    family = tasks["task"].str.partition(":")[0]
    backward = tasks[family.str.startswith(INVERSE)]
    forward = tasks[family.isin(["retrieval", "dual"])]
    runs = list(dict.fromkeys(tasks["run"]))
    for label, rows in (("forward: name → value", forward), ("backward: values → name", backward)):
        shares = rows.groupby("run")["direct"].mean().reindex(runs)
        figure.add_bar(
            y=runs,
            x=shares,
            name=label,
            orientation="h",
            hovertemplate=f"%{{y}}<br>{label} %{{x:.1%}}<extra></extra>",
        )
    return _lay_bars(figure, tasks, runs, RUN_BREAKS)


def choose_task_figures(tasks: pd.DataFrame, step: int | None = None) -> dict[str, go.Figure]:
    """The figures that these rows can fill, by title: of one checkpoint of each run, its newest not after `step` (None:
    its last), which the axes name; and over training, where several checkpoints of a run were asked.
    """
    every, tasks = tasks, choose_checkpoint(tasks, step)
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
    if (every.groupby("run")["step"].nunique() > 1).any():
        figures["Over training"] = plot_tasks_over_training(every)
    return figures


def _add_answers(
    figure: go.Figure,
    rows: pd.DataFrame,
    over: str,
    label: str,
    line: dict[str, str],
    where: str = "",
    group: str | None = None,
) -> None:
    """A line of the answers asked directly over a column, and a dotted one of their chance.

    where: what else stands under the mouse; group: of the legend, so that both are shown and hidden together.
    """
    figure.add_scatter(
        x=rows[over],
        y=rows["direct"],
        mode="lines+markers",
        name=label,
        legendgroup=group,
        line=line,
        error_y=_reach(rows),
        customdata=[_whose(row) for row in rows.to_dict("records")],
        hovertemplate=f"{label}<br>{where}%{{y:.1%}}<br>%{{customdata}}<extra></extra>",
    )
    figure.add_scatter(
        x=rows[over],
        y=rows["chance"],
        mode="lines",
        name=f"chance: {label}",
        legendgroup=group,
        showlegend=False,
        line={"dash": "dot", "width": 1, "color": line["color"]},
        hovertemplate=f"chance of {label} %{{y:.1%}}<extra></extra>",
    )


def _require_one_checkpoint(tasks: pd.DataFrame) -> None:
    """Refuse rows that would put finetunes of different checkpoints of a run into one number."""
    for run, steps in tasks.groupby("run")["step"].unique().items():
        if len(steps) > 1:
            told = ", ".join(f"{step:,}" for step in sorted(steps))
            raise WorkbenchError(
                f"These rows of {run} are of steps {told}; keep those of one checkpoint with `choose_checkpoint`."
            )


def _answered(tasks: pd.DataFrame) -> str:
    """What an axis of accuracies is: whose questions, after which steps."""
    steps = sorted(tasks["step"].unique().tolist())
    told = f"step {steps[0]:,}" if len(steps) == 1 else f"steps {', '.join(f'{step:,}' for step in steps)}"
    return f"questions answered<br>{tasks['split'].iloc[0]} entities, {told}"


def _whose(row: dict[Any, Any]) -> str:
    """`lora, step 512, n = 400`: under the mouse."""
    who = "" if row["finetune"] == "none" else f"{row['finetune']}, "
    return f"{who}step {row['step']:,}, n = {row['n']:,}"


def _reach(rows: pd.DataFrame) -> dict[str, Any]:
    """Plotly's error bars from ci_low to ci_high of the answers asked directly."""
    return {
        "type": "data",
        "array": rows["ci_high"] - rows["direct"],
        "arrayminus": rows["direct"] - rows["ci_low"],
    }


def _finish_bars(figure: go.Figure, tasks: pd.DataFrame, names: list[str]) -> go.Figure:
    """Groups of lying bars, a group a task, with chance as ticks."""
    figure.add_scatter(
        y=names,
        x=tasks.groupby("task")["chance"].mean().reindex(names),
        mode="markers",
        name="chance",
        marker={
            "symbol": "line-ns-open",
            "size": 0.42 * _group_pixels(figure),
            "color": CHANCE_COLOUR,
            "line": {"width": 2},
        },
        hovertemplate="chance %{x:.1%}<extra></extra>",
    )
    return _lay_bars(figure, tasks, names, TASK_BREAKS)


def _group_pixels(figure: go.Figure) -> int:
    """How high a group is that has a bar of each of the figure's series."""
    bars: int = sum(trace.type == "bar" for trace in figure.data)
    return max(34, 11 * bars + 8)


def _lay_bars(figure: go.Figure, tasks: pd.DataFrame, names: list[str], between: str) -> go.Figure:
    """Lying bars in groups, each with its name beside it, broken where `between` matches; the legend above."""
    above = _legend_above(figure)
    figure = apply_theme(figure)
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%", title=_answered(tasks))
    figure.update_yaxes(
        autorange="reversed",
        tickvals=names,
        ticktext=[_wrap(name, between=between) for name in names],
        automargin=True,
    )
    figure.update_layout(
        barmode="group",
        height=above + _group_pixels(figure) * len(names) + 76,
        margin={"t": above, "b": 64, "r": 24},  # half of `100%`
        showlegend=True,
        legend={**LEGEND_ABOVE, "maxheight": above},
    )
    return figure


def _legend_above(figure: go.Figure) -> int:
    """Break the names of the legend into lines that fit a phone; returns the pixels above the picture that it takes."""
    named = [trace for trace in figure.data if trace.showlegend is not False]
    lines = 0
    for trace in named:
        trace.name = _wrap(str(trace.name), LEGEND_LETTERS, r"(?<=, )")
        lines += trace.name.count("<br>") + 1
    return 20 * lines + 20


def _wrap(name: str, letters: int = WIDE, between: str = TASK_BREAKS) -> str:
    """A name in lines of some letters, broken where `between` matches."""
    lines = [""]
    for part in re.split(between, name):
        if lines[-1] and len(lines[-1]) + len(part) > letters:
            lines.append("")
        lines[-1] += part
    return "<br>".join(lines)


def _finish(figure: go.Figure, what: str) -> go.Figure:
    above = _legend_above(figure)
    figure = apply_theme(figure)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title=what)
    figure.update_layout(
        height=above + 380,
        margin={"t": above},
        showlegend=True,
        legend={**LEGEND_ABOVE, "maxheight": above},
    )
    return figure
