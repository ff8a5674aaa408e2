"""Activations of any checkpoint: captured with hooks, streamed, cached on disk, read back lazily.

Nothing here imports torch before a model is loaded.
"""

from workbench.activations.caching import cache_activations, cache_series
from workbench.activations.capture import Capture, capture
from workbench.activations.engines import ENGINES, TOLERANCE
from workbench.activations.store import ActivationStore, open_store
from workbench.activations.streaming import ActivationBatch, iterate_activations
from workbench.activations.toolkits import bridge, trace
from workbench.activations.verify import find_model_faults, find_series_faults, find_store_faults
from workbench.activations.views import SiteView
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.readings import read_study
from workbench.studies.series import find_series
from workbench.tokens.positions import read_entries, read_names
from workbench.tokens.reading import Column, Reading
from workbench.tokens.table import read_table

find_sources, ModelSource = find_series, Checkpoint  # what the first version called them

__all__ = [
    "ENGINES",
    "TOLERANCE",
    "ActivationBatch",
    "ActivationStore",
    "Capture",
    "Checkpoint",
    "Column",
    "Reading",
    "SiteView",
    "bridge",
    "cache_activations",
    "cache_series",
    "capture",
    "find_model_faults",
    "find_series",
    "find_series_faults",
    "find_store_faults",
    "iterate_activations",
    "open_store",
    "read_entries",
    "read_names",
    "read_study",
    "read_table",
    "trace",
]
