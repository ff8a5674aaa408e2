"""Requests that are built by hand: what is of another type is refused in one sentence, what means the same is taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.activations.streaming import list_layers
from workbench.attention import AttentionRequest
from workbench.capacity.measure import CapacityRequest
from workbench.entity_view.runner import EntityRequest
from workbench.errors import WorkbenchError
from workbench.extraction.evaluation import EvaluationRequest
from workbench.extraction.settings import FinetuneSettings, choose_settings
from workbench.extraction.task_evaluation import TaskRequest
from workbench.field_checks import several
from workbench.figures.publication.request import FigureRequest
from workbench.probing.request import ProbeRequest
from workbench.reasoning.evaluation import SolvingRequest
from workbench.reasoning.v_probe import VRequest
from workbench.results.cases import CaseChoice
from workbench.tasks.plan import TaskPlan

WHOLE = "give a whole number"
SEVERAL = "give a tuple or list, each member"


@pytest.mark.parametrize(
    ("make", "given", "sentence"),
    [
        (VRequest, {"steps": -1}, f"steps is -1; {WHOLE} from 1 or None."),
        (VRequest, {"rank": "5"}, f"rank is '5'; {WHOLE} from 0, such as 5 without quotes."),
        (VRequest, {"layer": 1.5}, f"layer is 1.5; {WHOLE} from 0 or None."),
        (VRequest, {"seed": "5"}, f"seed is '5'; {WHOLE} from 0, such as 5 without quotes."),
        (VRequest, {"n_test": "5"}, f"n_test is '5'; {WHOLE} from 1, such as 5 without quotes."),
        (VRequest, {"n_test": True}, f"n_test is True; {WHOLE} from 1."),
        (VRequest, {"table": 5}, "table is 5; give a path or None."),
        (VRequest, {"again": 1}, "again is 1; give True or False."),
        (ProbeRequest, {"seeds": 1}, f"seeds is 1; {SEVERAL} a whole number, such as (1,)."),
        (ProbeRequest, {"seeds": (0, "1")},
         "The seeds are [0, '1']; give different numbers from 0, such as 0,1,2."),
        (ProbeRequest, {"family": "ridge", "layers": -1},
         f"layers is -1; {SEVERAL} text or a whole number from 0 or None."),
        (ProbeRequest, {"family": "ridge", "layers": (1.5,)},
         f"layers holds 1.5; {SEVERAL} text or a whole number from 0 or None."),
        (ProbeRequest, {"steps": "5"}, f"steps is '5'; {WHOLE} from 1 or None, such as 5 without quotes."),
        (ProbeRequest, {"rank": -1}, f"rank is -1; {WHOLE} from 0 or None."),
        (ProbeRequest, {"entries_per_entity": "5"},
         f"entries_per_entity is '5'; {WHOLE} from 1 or None, such as 5 without quotes."),
        (ProbeRequest, {"tasks": "month%2"}, "tasks is 'month%2'; give a TaskPlan or None."),
        (AttentionRequest, {"entries": "5"}, f"entries is '5'; {WHOLE} from 1, such as 5 without quotes."),
        (AttentionRequest, {"entries": 0}, f"entries is 0; {WHOLE} from 1."),
        (AttentionRequest, {"what": 5}, "what is 5; give text."),
        (SolvingRequest, {"temperature": float("nan")}, "temperature is nan; give a number from 0."),
        (SolvingRequest, {"operations": 3}, "operations is 3; give text or None."),
        (EvaluationRequest, {"beams": 1.5}, f"beams is 1.5; {WHOLE} from 1."),
        (EvaluationRequest, {"checkpoint": [5]}, "checkpoint is [5]; give text, a whole number, a Checkpoint or None."),
        (TaskRequest, {"entities": 0}, f"entities is 0; {WHOLE} from 1 or None."),
        (TaskPlan, {"specs": "month%2"}, f"specs is 'month%2'; {SEVERAL} text, such as ('month%2',)."),
        (FinetuneSettings, {"lr": "1e-3"}, "lr is '1e-3'; give a number."),
        (FinetuneSettings, {"rank": -1}, "The finetuning's rank is -1; expected at least 0."),
        (FigureRequest, {"columns": 0}, f"columns is 0; {WHOLE} from 1 or None."),
        (EntityRequest, {"entity": 17}, f"entity is 17; {SEVERAL} a whole number, such as (17,)."),
        (EntityRequest, {"entity": (0, "1")}, f"entity holds '1'; {SEVERAL} a whole number, such as 1 without quotes."),
        (CapacityRequest, {"entities": 1}, f"entities is 1; {WHOLE} from 2."),
        (CaseChoice, {"step": "last"}, f"step is 'last'; {WHOLE} or None."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(
    make: Callable[..., Any], given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WorkbenchError) as refused:
        make(**given)
    assert str(refused.value) == sentence


def test_a_misspelt_name_has_the_nearest_one() -> None:
    with pytest.raises(WorkbenchError, match=r"properties holds 'knwon'; give .* did you mean 'known'\?$"):
        VRequest(properties=("knwon",))  # type: ignore[arg-type]


def test_what_means_the_same_is_taken() -> None:
    """Numbers of numpy's become Python's, so that settings are written and compared as ever."""
    given: dict[str, Any] = {"table": "queries.tsv", "layer": np.int64(2), "again": np.bool_(True)}
    assert VRequest(**given) == VRequest(table=Path("queries.tsv"), layer=2, again=True)
    assert type(VRequest(**given).layer) is int
    for seeds in ([0, 1], range(2), np.arange(2), (np.int32(0), np.int64(1))):
        request = ProbeRequest(seeds=seeds)  # type: ignore[arg-type]
        assert request.seeds == (0, 1)
        assert {type(seed) for seed in request.seeds} == {int}
    named = ProbeRequest(family="ridge", layers=[0, np.int64(1), "final"])  # type: ignore[arg-type]
    assert named.layers == ("0", "1", "final")
    assert EvaluationRequest(adapter=Path("finetunes") / "lora").adapter == str(Path("finetunes") / "lora")  # type: ignore[arg-type]
    assert SolvingRequest(temperature=1).temperature == 1
    assert CaseChoice(probe=None, layer=0) == CaseChoice(layer="0")  # type: ignore[arg-type]


def test_one_value_or_several() -> None:
    assert several(1) == several(np.int64(1)) == several([1]) == several(np.array([1])) == (1,)
    assert several("final") == ("final",)
    assert list_layers(np.int64(1)) == [1]  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"^layers holds 1.5; give .* a whole number\.$"):
        list_layers(1.5)  # type: ignore[arg-type]


def test_settings_are_checked_before_they_are_reckoned_with() -> None:
    with pytest.raises(WorkbenchError, match=r"^steps is 'many'; give a whole number\.$"):
        choose_settings(64, steps="many")
