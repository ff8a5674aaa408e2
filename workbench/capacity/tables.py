"""Learned bits as a table and in a sentence."""

import json
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

from workbench.results.statistics import Z_95

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

ALL_ARE_FULL = "Every model holds more than 80 % of what there is: how much more it could hold is not known."


def capacity_table(datasets: "Sequence[xr.Dataset]") -> "Table":
    """One row a checkpoint: bits by term, the most there is, parameters, bits a parameter."""
    from rich.table import Table

    table = Table(title=f"Bits of knowledge, {datasets[0].attrs['run']}")
    for name in (
        "step",
        "weights",
        "names",
        "values",
        "diversity",
        "bits",
        "± 95 %",
        "most",
        "of it",
        "parameters",
        "R",
        "R max",
    ):
        table.add_column(name, justify="right")
    for data in datasets:
        table.add_row(
            str(int(data["checkpoint"])),
            data.attrs["variant"] or "float32",
            *(_bits(float(data[f"bits_{term}"])) for term in ("names", "values", "diversity")),
            _bits(float(data["bits"])),
            _bits(Z_95 * float(data["bits_se"])),
            _bits(float(data["most_bits"])),
            f"{100 * float(data['learned']):.0f} %",
            f"{int(data['parameters']):,}",
            format_ratio(float(data["ratio"])),
            format_ratio(float(data["ratio_max"])),
        )
    return table


def describe_capacity(data: "xr.Dataset") -> str:
    """What the newest row says, with the pools' word where they had to be counted."""
    losses = ", ".join(
        f"{fact} {float(data['loss'].sel(fact=fact)):.2f} (guess {float(data['chance_loss'].sel(fact=fact)):.2f})"
        for fact in data["fact"].values.tolist()
    )
    note = json.loads(data.attrs["notes"])["pools"]
    told = "" if note == "the recipe's" else f" {note}"
    return (
        f"{format_ratio(float(data['ratio']))} bits a parameter of at most {format_ratio(float(data['ratio_max']))} "
        f"that these facts could fill. Losses in nats: {losses}.{told}"
    )


def format_ratio(ratio: float) -> str:
    """Bits a parameter with two decimals, or two digits that are not zero: `1.97`, `0.62`, `0.0023`."""
    return f"{ratio:.2f}" if ratio == 0 or not abs(ratio) < 0.1 else f"{ratio:.2g}"


def _bits(value: float) -> str:
    return "–" if value != value else f"{value:,.0f}"


def describe_plateau(ratio: float, error: float) -> str:
    """Bits a parameter of the models that have more to learn; NaN, where there is none (`fit_plateau`)."""
    if isnan(ratio):
        return ALL_ARE_FULL
    reach = "" if isnan(error) else f" (standard error {format_ratio(error)})"
    return f"Models that are not near to holding everything: {format_ratio(ratio)} bits a parameter{reach}."
