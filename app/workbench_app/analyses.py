"""Which attention analysis is shown, and which of its dimensions are rows, columns and choices."""

from dataclasses import dataclass

import xarray as xr

from workbench.attention.pooling import pool_cells
from workbench.attention.runner import TITLES
from workbench_app.controls import spell_setting
from workbench_app.index import RunEntry
from workbench_app.library import Loaded
from workbench_app.selection import choose
from workbench_app.view import View

# analysis → (rows, columns), the variables worth a look, the first one the default, and what it tells
ANALYSES: dict[str, tuple[tuple[str, str], tuple[str, ...], str]] = {
    "shares": (
        ("block", "head"),
        ("group_share", "share", "entropy", "distance", "first_token"),
        "How much of a head's attention goes to a role, from the position before a value.",
    ),
    "knockout": (
        ("role", "attribute"),
        ("loss", "loss_control", "accuracy", "probability"),
        "What the right value's probability loses, in points, when the look at a role is cut; “loss control” is the "
        "same for as many random tokens.",
    ),
    "interchange": (
        ("layer", "role"),
        ("accuracy", "own", "probability"),
        "How often another entity's value is stated after that entity's residual has been put in place.",
    ),
    "steering": (
        ("direction", "layer"),
        ("accuracy", "own", "probe_follows", "probability"),
        "How often another value is stated after a push along the probe's direction, and along others as baselines.",
    ),
    "ablation": (
        ("part", "attribute"),
        ("loss", "accuracy", "probability"),
        "What each head and MLP is worth: how much of the right value's probability is lost without it, in points.",
    ),
    "lens": (
        ("layer", "position"),
        ("accuracy", "probability", "reciprocal_rank"),
        "From which layer on the output's own reading of the residual says the value.",
    ),
    "heads": (
        ("block", "head"),
        ("previous_token", "duplicate_token", "induction", "ablated_loss", "cut_loss"),
        "What kind each head is. Ablated and cut: what the right value's probability loses, in points, without the "
        "highest heads of each kind together, and without as many random ones.",
    ),
}
FIRST = {"group": "name", "role": "name_last", "strength": "1.0"}
MEAN = "mean"  # over the attributes or positions there are
# Dimensions with such a choice; an ablation's mode `mean` is a label of its own.
AVERAGED = ("position", "attribute")
HIDDEN = ("_se", "ci_low", "ci_high", "uniform", "refused")


@dataclass(frozen=True)
class Analysis:
    """What the Attention page shows: a variable of a result set, as rows × columns, at a place in the other dimensions.

    set: `attention-shares`; empty where no run has been analysed. where: dimension → label, or `mean`.
    """

    sets: list[str]
    set: str
    loaded: dict[str, Loaded]
    variables: list[str]
    variable: str
    axes: tuple[str, str]
    where: dict[str, str]
    words: str

    def data(self, run: str) -> xr.Dataset | None:
        """A run's results, where they have the variable, at the place chosen."""
        found = self.loaded[run].data if run in self.loaded else None
        return found if found is not None and self.variable in found and not self.lacks(run) else None

    @property
    def means(self) -> tuple[str, ...]:
        """The dimensions over which the mean is shown."""
        return tuple(name for name, label in self.where.items() if label == MEAN and name in AVERAGED)

    def lacks(self, run: str) -> str:
        """The label of another dimension that a run's result does not have, in words: its facts may have other
        attributes, its texts fewer positions. Empty where it has them all.
        """
        found = self.loaded[run].data if run in self.loaded else None
        if found is None or self.variable not in found:
            return ""
        values = found[self.variable]
        absent = (
            f"{name} {label}"
            for name, label in self.where.items()
            if name not in self.means and name in values.dims and label not in labels_of(values, name)
        )
        return next(absent, "").replace("_", " ")

    def cells(self, data: xr.Dataset, variable: str = "") -> xr.DataArray:
        """A variable at the chosen place: dims (checkpoint, rows, columns), fewer where it does not tell them apart."""
        name = variable or self.variable
        values = data[name]
        over = tuple(dim for dim in self.means if dim in values.dims)
        if over and name == "n":  # as many as stand behind the mean of the others
            values = values.sum(over)
        elif over:
            values = pool_cells(data, name, over) if self.by_examples(data, over, name) else values.mean(over)
        for dim, label in self.where.items():
            if dim in values.dims:
                values = values.isel({dim: labels_of(values, dim).index(label)}, drop=True)
        order = [dim for dim in ("checkpoint", *self.axes) if dim in values.dims]
        return values.transpose(*order).rename(name)

    def by_examples(self, data: xr.Dataset, over: tuple[str, ...], variable: str = "") -> bool:
        """Whether a mean over these dimensions weighs each of their labels by its examples."""
        dims = set(data[variable or self.variable].dims)
        return "n" in data and set(over) <= set(data["n"].dims) <= dims


def choose_analysis(view: View) -> Analysis:
    """What the address asks for, or the nearest there is."""
    sets = sorted({name for entry in view.runs for name in entry.sets_of("attention")}, key=_order)
    chosen = choose(view.selection.set, sets)
    loaded = {entry.id: view.load(entry, chosen) for entry in view.runs if chosen in entry.result_sets}
    data = [found.data for found in loaded.values() if found.data is not None]
    axes, preferred, words = ANALYSES.get(analysis_of(chosen), (("", ""), (), ""))
    variables = _variables(data, preferred)
    variable = choose(view.selection.metric, variables)
    first = next((found[variable] for found in data if variable in found), None)
    where: dict[str, str] = {}
    if first is not None:
        axes = _axes(first, axes)
        others = [str(name) for name in first.dims if name not in (*axes, "checkpoint")]
        where = {name: _place(view, first, name) for name in others}
    return Analysis(sets, chosen, loaded, variables, variable, axes, where, words)


def analysis_of(set_name: str) -> str:
    """`attention-shares+questions` → `shares`."""
    return set_name.partition("-")[2].partition("+")[0]


def analysis_label(set_name: str) -> str:
    """`attention-shares+questions` → `where heads look (shares), questions`."""
    analysis, *settings = set_name.partition("-")[2].split("+")
    return ", ".join([TITLES.get(analysis, analysis), *map(spell_setting, settings)])


def attention_command(entry: RunEntry, set_name: str) -> list[str]:
    """The command that makes an analysis at every checkpoint."""
    asked = ["--questions"] if "+questions" in set_name else []
    return [
        *("workbench", "attention", str(entry.path), "--what", analysis_of(set_name), *asked),
        *("--checkpoints", "all"),
    ]


def labels_of(values: xr.DataArray, name: str) -> list[str]:
    """The labels along a dimension, as text."""
    return [str(item) for item in values[name].values.tolist()]


def choices_of(values: xr.DataArray, name: str) -> list[str]:
    """What can be chosen along a dimension: a mean where it makes sense, and each label."""
    labels = labels_of(values, name)
    return [MEAN, *labels] if name in AVERAGED else labels


def _place(view: View, values: xr.DataArray, name: str) -> str:
    wanted = view.selection.at.get(name, "")
    if name == "position" and view.selection.position is not None:
        wanted = str(view.selection.position)
    return choose(wanted, choices_of(values, name), FIRST.get(name, ""))


def _variables(datasets: list[xr.Dataset], preferred: tuple[str, ...]) -> list[str]:
    """What can be drawn: variables of two dimensions or more beside the checkpoint, the telling ones first."""
    found = dict.fromkeys(
        str(name)
        for data in datasets
        for name in data.data_vars
        if data[name].ndim >= 3 and not str(name).endswith(HIDDEN) and name != "n"
    )
    return [name for name in preferred if name in found] + [name for name in found if name not in preferred]


def _axes(values: xr.DataArray, wanted: tuple[str, str]) -> tuple[str, str]:
    """Rows and columns: those wanted, else the first two dimensions."""
    dims = [str(name) for name in values.dims if name != "checkpoint"]
    kept = [name for name in wanted if name in dims]
    rows, columns = [*kept, *[name for name in dims if name not in kept]][:2]
    return rows, columns


def _order(name: str) -> tuple[int, str]:
    known = list(ANALYSES)
    analysis = analysis_of(name)
    return (known.index(analysis) if analysis in known else len(known), name)
