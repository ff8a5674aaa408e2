"""Probes on cached activations: `fit_probes(features, labels, entities, train, …)`, whatever the features are of."""

from workbench.probing.linear.batch import BatchedProbe, FittedBatch, LinearMap, TrainBatch
from workbench.probing.linear.closed_form import ClosedFormProbe, fit_lda, fit_nearest_mean, fit_ridge
from workbench.probing.linear.custom import find_probe, list_probes
from workbench.probing.linear.engine import LogisticProbe
from workbench.probing.linear.fit import fit_probes
from workbench.probing.linear.gram import ColumnSums, GramAccumulator
from workbench.probing.linear.learning_curve import learning_curve
from workbench.probing.linear.mlp import MlpProbe

__all__ = [
    "BatchedProbe",
    "ClosedFormProbe",
    "ColumnSums",
    "FittedBatch",
    "GramAccumulator",
    "LinearMap",
    "LogisticProbe",
    "MlpProbe",
    "TrainBatch",
    "find_probe",
    "fit_lda",
    "fit_nearest_mean",
    "fit_probes",
    "fit_ridge",
    "learning_curve",
    "list_probes",
]
