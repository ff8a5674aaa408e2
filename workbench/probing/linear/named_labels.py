"""Labels as people have them: bare numbers, a column of a reading, or several targets by name.

Shapes: N texts, T targets.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.probing.linear.arrays import as_array
from workbench.tokens.reading import Column

Names = Sequence[Sequence[str]]


def unpack_labels(
    labels: Any, targets: Sequence[str] | None, class_names: Names | None
) -> tuple[Any, Sequence[str] | None, Names | None]:
    """Labels int [N, T] with the names of targets and classes, as far as they came with the labels."""
    if isinstance(labels, Mapping):
        if targets is not None:
            raise WorkbenchError(
                "The labels name their targets already; leave targets out, or give an array."
            )
        columns, targets = list(labels.values()), [str(name) for name in labels]
        if not columns:
            raise WorkbenchError("There are no labels; give at least one target, by name.")
        arrays = [
            as_array(column, f"the labels of {name!r}") for name, column in zip(targets, columns, strict=True)
        ]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1 or arrays[0].ndim != 1:
            raise WorkbenchError(
                f"The labels have the shapes {sorted(shapes)}; expected one number a text in each."
            )
        labels = np.stack(arrays, axis=1)
    else:
        columns = [labels]
    found = [
        column.categories
        for column in columns
        if isinstance(column, Column) and column.categories is not None
    ]
    if class_names is None and len(found) == len(columns):
        class_names = found
    return (np.asarray(labels) if isinstance(labels, Column) else labels), targets, class_names


def require_names(class_names: Names, targets: Sequence[str], labels: Any) -> None:
    """Refuse names of classes that are not one list for each target, with a name for each label."""
    if isinstance(class_names, str) or any(isinstance(names, str) for names in class_names):
        raise WorkbenchError(
            f"class_names is a list of {type(class_names[0]).__name__}s; give one list of names for each target, "
            "such as class_names=[names]."
        )
    if len(class_names) != len(targets):
        raise WorkbenchError(
            f"class_names has names for {len(class_names)} targets; there are {len(targets)}."
        )
    labels_NT = np.asarray(labels).reshape(-1, len(targets))
    for target, names, largest in zip(targets, class_names, labels_NT.max(axis=0).tolist(), strict=True):
        if largest >= len(names):
            raise WorkbenchError(
                f"class_names has {len(names)} names for {target!r}, whose labels go up to {largest}."
            )
