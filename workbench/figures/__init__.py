"""Pure functions from results to plotly figures. Nothing here computes, reads a run, or knows of a page.

Every figure takes labelled arrays (see `workbench.results`), has a fixed 0–1 scale, and says chance.
"""

from workbench.figures.bars import plot_q_bars
from workbench.figures.heatmap import plot_difference, plot_probe_heatmap
from workbench.figures.layers import plot_layer_heatmap
from workbench.figures.paper import paper_answers, paper_augmentations, paper_p_probe, paper_q_probe
from workbench.figures.theme import CONFIG, apply_theme, make_template
from workbench.figures.training import plot_probe_over_training, plot_training_curves

__all__ = [
    "CONFIG",
    "apply_theme",
    "make_template",
    "paper_answers",
    "paper_augmentations",
    "paper_p_probe",
    "paper_q_probe",
    "plot_difference",
    "plot_layer_heatmap",
    "plot_probe_heatmap",
    "plot_probe_over_training",
    "plot_q_bars",
    "plot_training_curves",
]
