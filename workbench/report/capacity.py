"""The report's bits of knowledge: how many there are, how many a parameter, and with rounded weights."""

from collections.abc import Sequence

import xarray as xr

from workbench.capacity.tables import format_ratio
from workbench.errors import WorkbenchError
from workbench.figures.capacity import plot_capacity
from workbench.report.markup import card, details, figure_box, grid, section, table
from workbench.report.parts import RunParts


def capacity(parts: Sequence[RunParts]) -> str:
    """Bits against parameters of the newest checkpoints, the terms folded below; nothing where none was counted."""
    newest = [(part.name, data.isel(checkpoint=-1)) for part in parts for data in part.capacity]
    if not newest:
        return ""
    plain = [data for _, data in newest if not data.attrs["variant"]]
    try:
        drawn = card("Bits against parameters", figure_box({"capacity": plot_capacity(plain)}))
    except WorkbenchError as error:  # nobody has learned a bit
        drawn = f"<p>{error}</p>"
    numbers: dict[str, object] = {
        name + (f", {data.attrs['variant']}" if data.attrs["variant"] else ""): _say(data)
        for name, data in newest
    }
    return section(
        "How much a parameter holds",
        "<p>Learned bits, from the losses of names and values against the pools they were drawn from, scored where "
        "nothing before tells them (Part 3.3). A model near to the dashed line holds everything, and says nothing of "
        "how much more it could.</p>",
        grid(drawn),
        details("The numbers", table(numbers)),
    )


def _say(data: xr.Dataset) -> str:
    terms = ", ".join(
        f"{term} {float(data[f'bits_{term}']):,.0f}" for term in ("names", "values", "diversity")
    )
    return (
        f"{float(data['bits']):,.0f} bits ({terms}) of {float(data['most_bits']):,.0f} in "
        f"{int(data['parameters']):,} parameters: {format_ratio(float(data['ratio']))} a parameter, at most "
        f"{format_ratio(float(data['ratio_max']))}"
    )
