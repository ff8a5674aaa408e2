"""The arrays a page preloads, so that the checkpoint slider redraws it without asking the server.

Shares travel as whole millionths (812300 is 81.23 %), empty cells as null: a third of the bytes. The browser
(assets/cells.js) writes the same words for a cell as `workbench.figures.cells.describe_cells`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from workbench.figures.cells import WHY_EMPTY, at_places_of, chance_words, place_names, target_label
from workbench_app.metrics import METRICS

UNIT = 1_000_000
SHARES = (
    "accuracy",
    "ci_low",
    "ci_high",
    "chance",
    "accuracy_not_next",
    "control",
    "train_accuracy",
    "lowest",
    "highest",
)
COUNTS = ("n", "converged", "averaged")


def make_frames(
    data: xr.Dataset,
    metric: str,
    *,
    run: str,
    name: str,
    minus: xr.Dataset | None = None,
    minus_name: str = "",
) -> dict[str, Any]:
    """What one heatmap needs at every checkpoint.

    data: dims (checkpoint, position, target). values: variable → one list a checkpoint, [target × position]
    flattened. chance: its words beside each target, one list a checkpoint. With `minus` (same dims, or without
    checkpoints) the picture shows the difference to it, which is called `minus_name`, with an interval where both
    accuracies have one.
    """
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    targets = [str(target) for target in data["target"].values.tolist()]
    values = {variable: _flat(data[variable], data, UNIT) for variable in SHARES if variable in data}
    values |= {variable: _flat(data[variable], data, 1) for variable in COUNTS if variable in data}
    values["shown"] = _flat(data[metric], data, UNIT)
    frames: dict[str, Any] = {
        "run": run,
        "name": name,
        "metric": metric,
        "steps": steps,
        "positions": [int(position) for position in data["position"].values.tolist()],
        "targets": targets,
        "labels": [target_label(target) for target in targets],
        "values": values,
        "empty": WHY_EMPTY,
    }
    if "chance" in data:
        everywhere = data["chance"].broadcast_like(data["accuracy"]).to_dataset(name="chance")
        frames["chance"] = [
            list(chance_words(everywhere.isel(checkpoint=at)).values()) for at in range(len(steps))
        ]
    if metric in METRICS:
        frames |= {"points": METRICS[metric].points, "empty": f"empty: {METRICS[metric].empty}"}
    if "place" in data.coords:
        frames["words"] = dict(zip(frames["positions"], place_names(data), strict=True))
    if "lowest" in data:
        frames["mean_over"] = data.attrs.get("mean_over", "seeds")
    if minus is not None:
        theirs = at_places_of(data, minus).reindex(target=targets)
        still = "checkpoint" not in theirs.dims
        if still:
            theirs = theirs.expand_dims(checkpoint=[0])
        ends = ("ci_low", "ci_high") if metric == "accuracy" else ()
        frames["minus"] = {
            "name": minus_name or "the other",
            "still": still,
            "steps": [int(step) for step in theirs["checkpoint"].values.tolist()],
            "shown": _flat(theirs[metric], theirs, UNIT),
            **{end: _flat(theirs[end], theirs, UNIT) for end in ends if end in theirs},
        }
    return frames


def make_plain(id: str, run: str, values: xr.DataArray, words: Mapping[str, Any]) -> dict[str, Any]:
    """What a heatmap of other numbers needs at every checkpoint: dims (checkpoint, rows, columns) with labels.

    words: what assets/cells.js says around a number: `word`, `axes` (before a row's and a column's label), `empty`
    (why a cell has none), whether it is a `share` or a `gain` in points, and what differs from the labels
    (`rows`, `columns`, the `keys` of the columns in the address).
    """
    _, rows, columns = (str(name) for name in values.dims)
    numbers = np.asarray(values.values, float).reshape(values.sizes["checkpoint"], -1)
    labels = {
        name: [str(label) for label in values[dim].values.tolist()]
        for name, dim in (("rows", rows), ("columns", columns))
    }
    return {
        "id": id,
        "kind": "plain",
        "run": run,
        "steps": [int(step) for step in values["checkpoint"].values.tolist()],
        "shown": [[None if np.isnan(v) else round(v, 7) for v in line] for line in numbers.tolist()],
        "axes": [rows, columns],
        **labels,
        **words,
    }


def _flat(variable: xr.DataArray, like: xr.Dataset, unit: int) -> list[list[int | None]]:
    """[checkpoint][target × position] as integers; NaN becomes None."""
    order = ("checkpoint", "target", "position")
    full = variable.broadcast_like(like["accuracy"]) if set(variable.dims) != set(order) else variable
    scaled = np.rint(np.asarray(full.transpose(*order).values, float) * unit)
    scaled = scaled.reshape(scaled.shape[0], -1)
    empty = np.isnan(scaled)
    whole = np.where(empty, 0, scaled).astype(np.int64).astype(object)
    whole[empty] = None
    found: list[list[int | None]] = whole.tolist()
    return found
