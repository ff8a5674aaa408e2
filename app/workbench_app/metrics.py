"""What a cell can show, and what is derived from the stored numbers to show it."""

from typing import NamedTuple

import xarray as xr


class Metric(NamedTuple):
    """A quantity of a cell; `needs` are the stored variables it is made from.

    points: it may be negative, so it is told in points and drawn on the diverging scale. empty: why it has no value.
    """

    label: str
    words: str
    needs: tuple[str, ...]
    points: bool = False
    empty: str = "the attribute has already been said in every entry"


METRICS = {
    "accuracy": Metric("Accuracy", "Share of test entities for whom the probe is right.", ("accuracy",)),
    "accuracy_not_next": Metric(
        "Not the next value",
        "Only entries in which the attribute is not the very next value: what was stored earlier.",
        ("accuracy_not_next",),
        empty="the attribute has already been said, or is the very next value, in every entry",
    ),
    "above_chance": Metric(
        "Above chance",
        "Accuracy minus that of always guessing the commonest class, in points.",
        ("accuracy", "chance"),
        points=True,
    ),
    "selectivity": Metric(
        "Selectivity",
        "Accuracy minus that of the same probe on shuffled labels, in points.",
        ("accuracy", "control"),
        points=True,
    ),
    "train_accuracy": Metric(
        "Train entities", "Accuracy on the entities the probe was trained on.", ("train_accuracy",)
    ),
}


def metrics_of(datasets: list[xr.Dataset]) -> list[str]:
    """The metrics that at least one of the results can show."""
    return [
        name
        for name, metric in METRICS.items()
        if any(all(need in data for need in metric.needs) for data in datasets)
    ]


def with_derived(data: xr.Dataset) -> xr.Dataset:
    """The result with `above_chance` and, where there is a control, `selectivity`."""
    derived = {"above_chance": data["accuracy"] - data["chance"]}
    if "control" in data:
        derived["selectivity"] = data["accuracy"] - data["control"]
    return data.assign({name: values.transpose(*data["accuracy"].dims) for name, values in derived.items()})
