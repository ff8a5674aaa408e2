"""What a probe says instead: its answers about the entities of the largest classes, counted by the value said.

Shapes: X any leading cells, K label columns, N test texts, C classes, T targets, V = 8 classes kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.results.storing import CONFUSION_DIMS

MOST_CLASSES = 8
PACKED = {"zlib": True, "complevel": 4, "shuffle": True}  # how it is stored: most counts are 0
ANOTHER = "another"  # the last value said: any class but those kept


@dataclass(frozen=True)
class LargestClasses:
    """The up to eight commonest classes of each label column among the test texts, the commonest first.

    classes_KV: int64, -1 where a column has fewer. place_KC: int64, where a class stands among them, V if it does not.
    """

    classes_KV: np.ndarray
    place_KC: np.ndarray

    def count(self, said_XKN: np.ndarray, true_XKN: np.ndarray, counted_XKN: np.ndarray) -> np.ndarray:
        """How many counted texts of each class kept got each answer: int64 [X, K, V, V + 1], the last any other."""
        n_columns = len(self.classes_KV)
        column_K1 = np.arange(n_columns)[:, None]
        true, said = self.place_KC[column_K1, true_XKN], self.place_KC[column_K1, said_XKN]
        kept = counted_XKN & (true < MOST_CLASSES)
        cell_XK1 = (np.arange(len(said)) * n_columns)[:, None, None] + column_K1
        flat = (cell_XK1 * MOST_CLASSES + true) * (MOST_CLASSES + 1) + said
        shape = (len(said), n_columns, MOST_CLASSES, MOST_CLASSES + 1)
        return np.bincount(flat[kept], minlength=int(np.prod(shape))).reshape(shape)

    def name(
        self,
        labels_KN: np.ndarray,
        target_labels_TN: np.ndarray,
        column_T: Sequence[int],
        names_T: Sequence[Sequence[str]],
    ) -> np.ndarray:
        """The values behind the classes, as each target calls them: object [T, V], empty where there is none.

        column_T: which column a target shares. labels_KN, target_labels_TN: the same texts' classes in both.
        """
        names = np.full((len(column_T), MOST_CLASSES), "", object)
        for t, column in enumerate(column_T):
            for v, kept in enumerate(self.classes_KV[column]):
                if kept >= 0:
                    text = int(np.argmax(labels_KN[column] == kept))
                    names[t, v] = str(names_T[t][target_labels_TN[t, text]])
        return names


def find_largest(labels_KN: np.ndarray, n_classes: int) -> LargestClasses:
    """The largest classes of each column of test labels (-1: no label; at most `n_classes` different ones)."""
    classes_KV = np.full((len(labels_KN), MOST_CLASSES), -1)
    place_KC = np.full((len(labels_KN), n_classes), MOST_CLASSES)
    for column, labels_N in enumerate(labels_KN):
        sizes = np.bincount(labels_N[labels_N >= 0], minlength=n_classes)
        largest = np.argsort(-sizes, kind="stable")[:MOST_CLASSES]
        largest = largest[sizes[largest] > 0]
        classes_KV[column, : len(largest)] = largest
        place_KC[column, largest] = np.arange(len(largest))
    return LargestClasses(classes_KV, place_KC)


def confusion_variables(
    counts: np.ndarray, dims: Sequence[str], names_TV: np.ndarray
) -> dict[str, xr.Variable]:
    """The result's variables `confusion` (*dims, true_value, said_value) and `confusion_values` (target, true_value).

    counts: [*dims, V, V + 1]. Stored compressed, at most 144 bytes a cell (288 from 65,536 test texts on).
    """
    small = np.uint16 if counts.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    return {
        "confusion": xr.Variable((*dims, *CONFUSION_DIMS), counts.astype(small), encoding=PACKED),
        "confusion_values": xr.Variable(("target", "true_value"), names_TV),
        "true_value": xr.Variable("true_value", np.arange(MOST_CLASSES)),
        "said_value": xr.Variable("said_value", [*map(str, range(MOST_CLASSES)), ANOTHER]),
    }


def repack(dataset: xr.Dataset) -> xr.Dataset:
    """The same result, stored compressed again: joining loses how a variable is stored."""
    if "confusion" in dataset:
        dataset["confusion"].encoding = PACKED
    return dataset
