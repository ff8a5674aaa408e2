"""What every figure and table needs first: the cells to show, and the words and digits for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.probing.pooling import POOLED
from workbench.results.statistics import mean_interval
from workbench.results.storing import CONFUSION_DIMS

CELL_DIMS = ("position", "target")
CHANCE_APART = 0.02  # between places, from which on their range is told in the mean's place
WHY_EMPTY = "empty: the attribute has already been said in every entry"
BESIDE = {
    "accuracy_not_next": "where it is not the next value",
    "control": "shuffled labels",
    "train_accuracy": "train entities",
}
DESCRIBED = (
    "accuracy", "ci_low", "ci_high", "chance", *BESIDE, "lowest", "highest", "averaged", "n", "converged",
)  # fmt: skip


def select_cells(dataset: xr.Dataset, step: int | None = None, dims: Sequence[str] = CELL_DIMS) -> xr.Dataset:
    """Reduce a result to `dims`: the given or newest checkpoint, the mean over seeds, the only layer.

    Of several seeds the lowest and highest accuracy are kept beside the mean (`lowest`, `highest`), and how many have a
    value there (`averaged`); of several runs the interval (`ci_low`, `ci_high`) is Student's over the runs, cut to 0…1,
    and chance is that of the runs that have a value. What is said
    about single values (`confusion`) is left out. Anything else that is left over (one of several layers, a site) is
    for the caller; the refusal says how.
    """
    dataset = dataset.drop_dims([name for name in CONFUSION_DIMS if name in dataset.dims])
    if "checkpoint" in dataset.dims and "checkpoint" not in dims:
        steps = dataset["checkpoint"].values.tolist()
        step = steps[-1] if step is None else step
        if step not in steps:
            raise WorkbenchError(
                f"There is no result of step {step}; there are {', '.join(map(str, steps))}."
            )
        dataset = dataset.sel(checkpoint=step)
    if "seed" in dataset.dims and "seed" not in dims:
        counts = [
            name
            for name in dataset.data_vars
            if str(name).startswith("n") and dataset[name].dtype.kind in "iuf"
        ]
        # Seeds of a probe are tested on the same entities; runs of several seeds each have their own.
        total = dataset[counts].sum("seed") if POOLED in dataset.attrs else dataset[counts].max("seed")
        valued = dataset["accuracy"].notnull()
        spread = {"lowest": dataset["accuracy"].min("seed"), "highest": dataset["accuracy"].max("seed")}
        spread["averaged"] = valued.sum("seed")
        if "converged" in dataset:
            told = dataset["converged"].astype(bool)
            tested = valued.any([name for name in valued.dims if name not in told.dims])
            spread["converged"] = (told | ~tested).all("seed")
        if (
            POOLED in dataset.attrs
        ):  # each run has models and entities of its own: how far the mean may be off
            spread |= _interval_over_runs(dataset["accuracy"])
            if "chance" in dataset and bool((valued.any("seed") & ~valued.all("seed")).any()):
                dataset = dataset.assign(chance=dataset["chance"].where(valued))
        counted = f"{dataset.sizes['seed']} {dataset.attrs.get(POOLED, 'seeds')}"
        dataset = dataset.astype(float).mean("seed", keep_attrs=True).assign({**total, **spread})
        dataset = dataset.assign_attrs(mean_over=counted)
    lone = [name for name in dataset["accuracy"].dims if name not in dims and dataset.sizes[name] == 1]
    dataset = dataset.squeeze(lone)
    left = [str(name) for name in dataset["accuracy"].dims if name not in dims]
    missing = [name for name in dims if name not in dataset["accuracy"].dims]
    if left:
        first = left[0]
        value = dataset[first].values[-1]
        raise WorkbenchError(
            f"This figure shows {' × '.join(dims)}, but the result also varies over {', '.join(left)}; "
            f"choose one first, e.g. results.sel({first}={value!r})."
        )
    if missing:
        raise WorkbenchError(
            f"This figure needs the dimension {missing[0]!r}, which the result does not have."
        )
    return dataset


def _interval_over_runs(accuracy: xr.DataArray) -> dict[str, xr.DataArray]:
    ends = mean_interval(accuracy.transpose(..., "seed").values)
    mean = accuracy.mean("seed").transpose(*[dim for dim in accuracy.dims if dim != "seed"])
    return {
        name: mean.copy(data=np.clip(end, 0, 1))
        for name, end in zip(("ci_low", "ci_high"), ends, strict=True)
    }


def name_results(
    results: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, xr.Dataset],
) -> dict[str, xr.Dataset]:
    """One or several results by the name to show; without one given, the run's own."""
    if isinstance(results, Mapping) and not isinstance(results, xr.Dataset):  # a Dataset is a Mapping too
        return dict(results)
    listed = [results] if isinstance(results, xr.Dataset) else list(results)
    named: dict[str, xr.Dataset] = {}
    for i, result in enumerate(listed, 1):
        name = str(result.attrs.get("run", f"run {i}"))
        named[name if name not in named else f"{name} ({i})"] = result
    return named


def at_end(dataset: xr.Dataset) -> xr.Dataset:
    """Of a result over the tokens of a name, the end token after it, where the Q-probe reads; else as it is."""
    if "position" in dataset.dims and "end" in dataset["position"].values.tolist():
        return dataset.sel(position="end")
    return dataset


def error_bars(cells: xr.Dataset) -> dict[str, Any] | None:
    """How far plotly's error bars reach: the 95 % interval (of several runs, of their mean), or of several seeds of a
    probe from the lowest to the highest.
    """
    of_seeds = "lowest" in cells and POOLED not in cells.attrs
    low, high = ("lowest", "highest") if of_seeds else ("ci_low", "ci_high")
    if low not in cells:
        return None
    accuracy = np.asarray(cells["accuracy"].values, float)
    return {"array": cells[high].values - accuracy, "arrayminus": accuracy - cells[low].values}


def seeds_label(cells: xr.Dataset) -> str:
    """` (mean over 3 seeds)`, or nothing where there is one."""
    return f" (mean over {cells.attrs['mean_over']})" if "mean_over" in cells.attrs else ""


def mean_of(averaged: float, mean_over: str) -> str:
    """`3 runs`, or `2 of 3 runs` where one of them has no value."""
    return mean_over if mean_over.startswith(f"{averaged:.0f} ") else f"{averaged:.0f} of {mean_over}"


def attribute_label(attribute: str) -> str:
    """`company_city` → `company city`."""
    return attribute.replace("_", " ")


def target_label(target: str) -> str:
    """`birth_city/first` → `birth city · first`."""
    attribute, _, form = target.partition("/")
    return f"{attribute_label(attribute)} · {form}" if form else attribute_label(attribute)


def format_share(share: float) -> str:
    """As papers print shares: `.07`, `1.00`, and `.003` where two decimals would say nothing."""
    return f"{share:.{3 if 0 < share < 0.01 else 2}f}".removeprefix("0")


def format_percent(share: float) -> str:
    """Whole percent without the sign: `7`; empty text for an empty cell."""
    return "" if np.isnan(share) else f"{100 * share:.0f}"


def format_number(number: float, form: str) -> str:
    """In a form of Python's (`.2f`, `+,.0f`), with a true minus, and no sign where all digits are 0: `−250`, `0.0`."""
    text = format(number, form)
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.lstrip("+-")


def format_points(difference: float, digits: int = 0) -> str:
    """Signed percentage points: `+3`, `−12`, `0`; empty text for an empty cell."""
    return "" if np.isnan(difference) else format_number(100 * float(difference), f"+.{digits}f")


def place_names(cells: xr.Dataset) -> list[str]:
    """What the columns of a result are called: the places a study reads, else the numbers of the positions."""
    return [str(one) for one in cells["place" if "place" in cells.coords else "position"].values.tolist()]


def at_places_of(ours: xr.Dataset, theirs: xr.Dataset) -> xr.Dataset:
    """`theirs` at the columns of `ours`, NaN where it has none: the same places by name where studies name them.

    Two studies may read other places under the same number, and a run's positions are no study's places.
    """
    alike = ("place" in ours.coords) == ("place" in theirs.coords)
    known = place_names(theirs) if alike else []
    found = {
        position: known.index(name)
        for position, name in zip(ours["position"].values.tolist(), place_names(ours), strict=True)
        if name in known
    }
    moved = theirs.drop_vars("place", errors="ignore").isel(position=list(found.values()))
    return moved.assign_coords(position=list(found)).reindex(position=ours["position"].values)


def chance_of(cells: xr.Dataset) -> dict[str, float]:
    """Chance by target, the mean where it was measured per position."""
    chance = cells["chance"]
    over = [name for name in chance.dims if name != "target"]
    values = chance.mean(over).values if over else chance.values
    return {str(target): float(value) for target, value in zip(cells["target"].values, values, strict=True)}


def chance_words(cells: xr.Dataset, write: Callable[[float], str] = format_share) -> dict[str, str]:
    """Chance by target in words: `.07`, or `.05–.43` where places differ by more than two points.

    The first word of a name and its end are tested on other entities, so one mean would be no place's chance; a dash
    where nothing was tested.
    """
    chance = cells["chance"].transpose("target", ...)
    words = {}
    for target, values in zip(cells["target"].values, chance.values, strict=True):
        known = np.asarray(values, float).ravel()
        known = known[~np.isnan(known)]
        if len(known) and known.max() - known.min() > CHANCE_APART:
            words[str(target)] = f"{write(float(known.min()))}–{write(float(known.max()))}"
        else:
            words[str(target)] = write(float(known.mean())) if len(known) else "–"
    return words


def describe_cells(cells: xr.Dataset, dims: Sequence[str], place: Callable[..., str]) -> np.ndarray:
    """The hover texts of all cells, an array over `dims`: value, interval, chance, n, and what train entities got.

    `place` makes the first line from a cell's labels along `dims`. Every array is read once: selecting cell by cell
    takes a hundred times as long.
    """
    shape = tuple(cells.sizes[dim] for dim in dims)
    read = {name: _spread(cells[name], dims, shape) for name in DESCRIBED if name in cells}
    labels = [cells[dim].values.tolist() for dim in dims]
    mean_over = str(cells.attrs.get("mean_over", "seeds"))
    words = np.empty(shape, object)
    for at in np.ndindex(shape):
        values = {name: float(spread[at]) for name, spread in read.items()}
        words[at] = _describe(
            values, place(*[names[i] for names, i in zip(labels, at, strict=True)]), mean_over
        )
    return words


def describe_targets(cells: xr.Dataset, name: str) -> list[str]:
    """The hover texts of one row of cells (dimension target) that belong to a run."""
    words: list[str] = describe_cells(cells, ("target",), lambda t: f"{target_label(t)}, {name}").tolist()
    return words


def _spread(values: xr.DataArray, dims: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    """The values over all of `dims`, repeated along those that they do not have."""
    own = [dim for dim in dims if dim in values.dims]
    index = tuple(slice(None) if dim in own else None for dim in dims)
    return np.broadcast_to(np.asarray(values.transpose(*own).values, float)[index], shape)


def _describe(values: Mapping[str, float], place: str, mean_over: str) -> str:
    def percent(name: str) -> str:
        return f"{100 * values[name]:.1f}"

    def known(name: str) -> bool:
        return not np.isnan(values.get(name, np.nan))

    if not known("accuracy"):
        return f"<b>{place}</b><br>{WHY_EMPTY}"
    interval = f"  (95 %: {percent('ci_low')}–{percent('ci_high')})" if known("ci_low") else ""
    lines = [
        f"<b>{place}</b>",
        f"accuracy {percent('accuracy')} %{interval}",
        f"chance {percent('chance')} %",
    ]
    lines += [f"{words} {percent(name)} %" for name, words in BESIDE.items() if known(name)]
    if known("lowest"):
        over = mean_of(values["averaged"], mean_over)
        lines.append(f"mean over {over}: {percent('lowest')}–{percent('highest')}")
    if known("n"):
        lines.append(f"n = {int(values['n']):,}")
    if values.get("converged") == 0:
        lines.append("the probe had not converged")
    return "<br>".join(lines)
