"""Which answers of probes on activations are kept as cases, and the cases made of them.

Shapes: M feature sets, N test texts, K label columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.probing.cases import (
    KeptCells,
    choose_cells,
    make_probe_cases,
    name_classes,
    one_text_each,
)
from workbench.probing.linear.columns import Columns
from workbench.probing.linear.dataset import Scores
from workbench.probing.linear.inputs import ProbeInputs
from workbench.probing.linear.scores import Answers

CELLS = ["layer", "position"]
END = "end"  # of a bare name, where the Q-probe reads


@dataclass(frozen=True)
class CaseSheet:
    """What is kept: cells, and the label columns of the targets with their own labels and the first seed.

    entities_N: whose the test texts are; of several one is kept (`one_text_each`).
    """

    kept: KeptCells
    columns: tuple[int, ...]
    entities_N: np.ndarray

    def take(self, sets: Sequence[int], answers: Answers, counted_MKN: torch.Tensor) -> dict[str, np.ndarray]:
        """What is kept of these sets' answers: said, sure (NaN where a probe gives none) and counted."""
        rows = torch.tensor([i for i, m in enumerate(sets) if m in self.kept.sets], dtype=torch.long)

        def part(values_MKN: torch.Tensor) -> np.ndarray:
            return values_MKN.cpu()[rows][:, list(self.columns)].numpy()

        said = part(answers.predicted_MKN).astype(np.int32)
        sure = answers.confidence_MKN
        told = np.full(said.shape, np.nan, np.float32) if sure is None else part(sure).astype(np.float32)
        counted = part(counted_MKN)
        _, texts_ME = one_text_each(np.asarray(counted.any(1)), self.entities_N)
        kept = {"said": said, "sure": told, "counted": counted}
        return {name: np.take_along_axis(values, texts_ME[:, None], axis=2) for name, values in kept.items()}


def plan_cases(inputs: ProbeInputs, columns: Columns) -> CaseSheet:
    """What fits; feature sets that are no layers and positions are refused."""
    test_entities = inputs.entities_N[inputs.test_N]
    if list(inputs.cells) != CELLS:
        raise WorkbenchError(
            f"Cases are kept of cells {CELLS}; these have {list(inputs.cells)}: leave out keep_cases."
        )
    layers, positions = inputs.cells["layer"], inputs.cells["position"]
    real = tuple(dict.fromkeys(columns.place_TS2[:, 0, 0].tolist()))
    main = positions.index(END) if END in positions else 0
    n_entities = len(np.unique(test_entities))
    kept = choose_cells(layers, positions, len(real), n_entities, columns.n_labels, main=main)
    return CaseSheet(kept, real[: kept.columns], test_entities)


def make_cases(
    sheet: CaseSheet,
    inputs: ProbeInputs,
    columns: Columns,
    scores: Scores,
    labels: Any,
    class_names: Sequence[Sequence[str]],
    seed: int,
) -> xr.Dataset:
    """The kept cases, by the names that the labels stand for."""
    labels_NT = np.asarray(labels).reshape(len(inputs.entities_N), -1)
    real_T = columns.place_TS2[:, 0, 0].tolist()
    order = list(dict.fromkeys(real_T))
    names_T = [
        name_classes(columns.labels_NK[:, column], labels_NT[:, t], class_names[t])
        for t, column in enumerate(real_T)
    ]
    entities, texts_1E = one_text_each(np.ones((1, len(sheet.entities_N)), bool), sheet.entities_N)
    return make_probe_cases(
        sheet.kept,
        layers=inputs.cells["layer"],
        positions=inputs.cells["position"],
        said_MKN=scores["said"],
        sure_MKN=scores["sure"],
        counted_MKN=scores["counted"],
        truth_KN=columns.labels_NK[inputs.test_N][texts_1E[0]][:, list(sheet.columns)].T,
        entities_N=entities,
        targets=inputs.targets,
        column_T=[order.index(column) for column in real_T],
        names_T=names_T,
        seed=seed,
    )
