"""Attention and causal checks: where a position about to state a fact looks, and whether that look is used.

    roles → shares · head scores · logit lens · knock-out · ablation · interchange · steering

Nothing here imports torch before a model is analysed.
"""

from workbench.attention.examples import AttentionExamples, choose_entries, make_examples
from workbench.attention.roles import GROUPS, RoleLegend, assign_roles
from workbench.attention.runner import ANALYSES, AttentionRequest, run_attention

__all__ = [
    "ANALYSES",
    "GROUPS",
    "AttentionExamples",
    "AttentionRequest",
    "RoleLegend",
    "assign_roles",
    "choose_entries",
    "make_examples",
    "run_attention",
]
