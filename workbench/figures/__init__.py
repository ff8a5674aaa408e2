"""Pure functions from results to plotly figures. Nothing here computes, reads a run, or knows of a page.

Every figure takes labelled arrays (see `workbench.results.storing`), has a fixed 0–1 scale, and says chance.
"""

from workbench.figures.bars import plot_q_bars
from workbench.figures.choice import plot_results
from workbench.figures.emergence import plot_emergence
from workbench.figures.heatmap import plot_difference, plot_probe_heatmap
from workbench.figures.layers import plot_layer_heatmap
from workbench.figures.learning_curve import plot_learning_curve
from workbench.figures.paper import (
    paper_answers,
    paper_answers_beside_celebrities,
    paper_answers_by_rank,
    paper_answers_by_ratio,
    paper_augmentations,
    paper_p_probe,
    paper_q_probe,
    paper_rewritten_answers,
    paper_rewritten_answers_beside,
)
from workbench.figures.series import plot_heatmap_film, plot_heatmap_series
from workbench.figures.sets import plot_seen_partners, plot_seen_sets
from workbench.figures.theme import CONFIG, apply_theme, make_template
from workbench.figures.training import plot_probe_over_training, plot_training_curves

__all__ = [
    "CONFIG",
    "apply_theme",
    "make_template",
    "paper_answers",
    "paper_answers_beside_celebrities",
    "paper_answers_by_rank",
    "paper_answers_by_ratio",
    "paper_augmentations",
    "paper_p_probe",
    "paper_q_probe",
    "paper_rewritten_answers",
    "paper_rewritten_answers_beside",
    "plot_difference",
    "plot_emergence",
    "plot_heatmap_film",
    "plot_heatmap_series",
    "plot_layer_heatmap",
    "plot_learning_curve",
    "plot_probe_heatmap",
    "plot_probe_over_training",
    "plot_q_bars",
    "plot_results",
    "plot_seen_partners",
    "plot_seen_sets",
    "plot_training_curves",
]
