"""Model shapes, fresh models and the table of sites: where in which architecture a vector is read.

Importing this package imports neither torch nor transformers.
"""

from workbench_models.architectures import count_parameters, is_bidirectional, make_model
from workbench_models.errors import ModelError
from workbench_models.families import FAMILIES, context_length, find_family, rotary_switch, text_config
from workbench_models.logits import find_logits, is_misplaced
from workbench_models.making import ONE_NETWORK_AT_A_TIME
from workbench_models.modes import evaluating
from workbench_models.places import Place, is_parallel, list_sites, locate, site_axes
from workbench_models.presets import ARCHITECTURES, PRESETS, Architecture, ModelShape, load_preset
from workbench_models.sites import BLOCK_HOOKS, Site, layer_site, parse_site, parse_sites

__all__ = [
    "ARCHITECTURES",
    "BLOCK_HOOKS",
    "FAMILIES",
    "ONE_NETWORK_AT_A_TIME",
    "PRESETS",
    "Architecture",
    "ModelError",
    "ModelShape",
    "Place",
    "Site",
    "context_length",
    "count_parameters",
    "evaluating",
    "find_family",
    "find_logits",
    "is_bidirectional",
    "is_misplaced",
    "is_parallel",
    "layer_site",
    "list_sites",
    "load_preset",
    "locate",
    "make_model",
    "parse_site",
    "parse_sites",
    "rotary_switch",
    "site_axes",
    "text_config",
]
