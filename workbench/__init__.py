"""Knowledge Probing Workbench: where in a language model a fact lives, and when it gets there.

    recipe → entities → biographies → tokens → checkpoints → activations → probes → results → figures

The names below are the public interface; each is imported when it is first used, so `import workbench` is
instant and drags in neither torch nor transformers.
"""

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 11):  # noqa: UP036 (of a checkout, or a path, that an installer has not looked at)
    _sentence = f"workbench needs Python 3.11 or newer, and this is {sys.version.split()[0]}; use another."
    raise SystemExit(_sentence) if sys.argv[:1] == ["-m"] else ImportError(_sentence)

if TYPE_CHECKING:
    from workbench.activations import (
        bridge,
        cache_activations,
        capture,
        iterate_activations,
        open_store,
        read_table,
        trace,
    )
    from workbench.attention import AttentionRequest, run_attention
    from workbench.errors import WorkbenchError
    from workbench.extraction.evaluation import EvaluationRequest, evaluate
    from workbench.figures.notebook import show
    from workbench.figures.publication import make_figure
    from workbench.probing.linear import fit_probes
    from workbench.probing.p_probe import run_p_probe
    from workbench.probing.q_probe import run_q_probe
    from workbench.probing.runner import probe_activations
    from workbench.recipes.recipe import Recipe, load_recipe, make_recipe, shipped_recipes
    from workbench.report import write_report
    from workbench.results.cases import CaseChoice, load_cases
    from workbench.results.emergence import find_emergence
    from workbench.results.storing import export, list_results, load_results, save_result, to_dataframe
    from workbench.studies.checkpoints import Checkpoint
    from workbench.studies.corpus import Corpus, load_corpus, make_corpus
    from workbench.studies.creating import create_study
    from workbench.studies.loading import load_model
    from workbench.studies.opening import open_study
    from workbench.studies.readings import read_study
    from workbench.studies.runs import Run, create_run, open_run
    from workbench.studies.study import Study
    from workbench.training.loop import train

# Where torchao is installed (the extra `quantize`) transformers imports it, and it complains of kernels that do not fit
# this device, which nothing here uses.
os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_PLACES = {
    "AttentionRequest": "attention",
    "CaseChoice": "results.cases",
    "Checkpoint": "studies.checkpoints",
    "Corpus": "studies.corpus",
    "EvaluationRequest": "extraction.evaluation",
    "Recipe": "recipes.recipe",
    "Run": "studies.runs",
    "Study": "studies.study",
    "WorkbenchError": "errors",
    "bridge": "activations",
    "cache_activations": "activations",
    "capture": "activations",
    "create_run": "studies.runs",
    "create_study": "studies.creating",
    "evaluate": "extraction.evaluation",
    "export": "results.storing",
    "find_emergence": "results.emergence",
    "fit_probes": "probing.linear",
    "iterate_activations": "activations",
    "list_results": "results.storing",
    "load_cases": "results.cases",
    "load_corpus": "studies.corpus",
    "load_model": "studies.loading",
    "load_recipe": "recipes.recipe",
    "load_results": "results.storing",
    "make_corpus": "studies.corpus",
    "make_figure": "figures.publication",
    "make_recipe": "recipes.recipe",
    "open_run": "studies.runs",
    "open_store": "activations",
    "open_study": "studies.opening",
    "probe_activations": "probing.runner",
    "read_study": "studies.readings",
    "read_table": "activations",
    "run_attention": "attention",
    "run_p_probe": "probing.p_probe",
    "run_q_probe": "probing.q_probe",
    "save_result": "results.storing",
    "shipped_recipes": "recipes.recipe",
    "show": "figures.notebook",
    "to_dataframe": "results.storing",
    "trace": "activations",
    "train": "training.loop",
    "write_report": "report",
}

__all__ = [
    "AttentionRequest",
    "CaseChoice",
    "Checkpoint",
    "Corpus",
    "EvaluationRequest",
    "Recipe",
    "Run",
    "Study",
    "WorkbenchError",
    "bridge",
    "cache_activations",
    "capture",
    "create_run",
    "create_study",
    "evaluate",
    "export",
    "find_emergence",
    "fit_probes",
    "iterate_activations",
    "list_results",
    "load_cases",
    "load_corpus",
    "load_model",
    "load_recipe",
    "load_results",
    "make_corpus",
    "make_figure",
    "make_recipe",
    "open_run",
    "open_store",
    "open_study",
    "probe_activations",
    "read_study",
    "read_table",
    "run_attention",
    "run_p_probe",
    "run_q_probe",
    "save_result",
    "shipped_recipes",
    "show",
    "to_dataframe",
    "trace",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(f"workbench.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
