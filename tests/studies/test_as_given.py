"""Functions that take a run, a study or a checkpoint take it as a notebook has it: opened, or as a path."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import workbench
from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from tests.probing.probed_runs import train_micro
from workbench.errors import WorkbenchError
from workbench.figures.publication.panels import Grid
from workbench.results.cases import CaseChoice
from workbench.studies.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = train_micro(tmp_path_factory.mktemp("given") / "micro")
    workbench.probe_activations(run, "ridge", layers=[0, "final"], device="cpu")
    return run


def test_a_run_is_taken_opened_or_by_its_folder(run: Run, tmp_path: Path) -> None:
    for given in (run, run.path, str(run.path)):
        assert [one.family for one in workbench.list_results(given)] == ["ridge+layers-0-final"]
        assert workbench.load_results(given, "p", "ridge+layers-0-final")["accuracy"].ndim == 4
        assert workbench.load_results(given, "p", "ridge", "layers-0-final").sizes["layer"] == 2
        assert workbench.read_study(given, "end:company").position_labels == ("end:company",)
        assert next(
            iter(workbench.iterate_activations(given, workbench.read_study(run), "resid_post.0"))
        ).vectors
        assert workbench.cache_activations(
            given, workbench.read_study(run), "resid_post", layers=0
        ).keys() == {"resid_post.0"}
        assert workbench.load_model(given).config.num_hidden_layers == 1
        assert workbench.write_report(given, str(tmp_path / "report.html")).is_file()
        figure = workbench.make_figure(given, "layers", family="ridge+layers-0-final")
        assert repr(figure).startswith("<PaperFigure ") and len(repr(figure)) < 300


def test_a_checkpoint_is_taken_by_step_label_or_itself(run: Run) -> None:
    last = run.checkpoint()
    for which in (last.step, str(last.step), last.label, last, "last", np.int64(last.step)):
        assert run.checkpoint(which).path == last.path  # type: ignore[arg-type]
    assert "sha256" not in repr(last) and repr(run) == f"Run({str(run.path)!r})"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda run: workbench.load_results(3, "p", "x"), "Expected a run or a study, or its folder, and got int;"),  # type: ignore[arg-type]
        (lambda run: workbench.load_model(make_reading()), "Expected a checkpoint, a run, a study, or a"),  # type: ignore[arg-type]
        (lambda run: workbench.capture(run, "resid_post.0"), "capture hooks a model in memory, and this is a Run;"),
        (lambda run: workbench.cache_activations(run, ["a text"]),  # type: ignore[arg-type]
            "The reading is a list; make one of texts"),
        (
            lambda run: workbench.cache_activations(run, workbench.read_study(run), device="gpu"),
            "The device 'gpu' is not available here;",
        ),
        (lambda run: workbench.make_figure(run, width_cm="8"), "The width_cm is '8'; give a number."),
        (lambda run: run.in_train([1.5]), "Entities are numbers from 0 to "),
        (lambda run: run.in_train([-1]), "Entities are numbers from 0 to "),
    ],
)  # fmt: skip
def test_anything_else_is_one_sentence(run: Run, call: Any, sentence: str) -> None:
    with pytest.raises(WorkbenchError) as refused:
        call(run)
    assert str(refused.value).startswith(sentence)


def test_precision_may_be_torchs_own_and_several_models_a_list(run: Run) -> None:
    reading = workbench.read_study(run)
    store = workbench.cache_activations(run, reading, "ln_final", dtype=torch.bfloat16)
    assert store["ln_final"].to_torch().dtype == torch.bfloat16
    several = workbench.iterate_activations([run.checkpoint(0), str(run.path)], reading, "ln_final")
    assert {batch.checkpoint.step for batch in several if batch.checkpoint} == {0, run.checkpoint().step}
    model = make_tiny("llama")
    assert all(
        batch.checkpoint is None for batch in workbench.iterate_activations(model, make_reading(), "ln_final")
    )


def test_who_is_in_the_train_half_is_told_by_entity(run: Run) -> None:
    reading = workbench.read_study(run)
    train = run.in_train(reading.columns["entity"])
    halves = [run.corpus.entities[number].split for number in reading.columns["entity"].values]
    assert train.tolist() == [half == "train" for half in halves] and 0 < train.sum() < len(train)


def test_layer_0_is_not_the_usual_layer(run: Run) -> None:
    """A number 0 counted as nothing given, so cases and figures of layer 0 were those of the deepest."""
    numbers_and_texts: list[Any] = [(0, 0), ("0", "0")]
    of_number, of_text = (
        workbench.load_cases(run, CaseChoice(layer=layer, position=position))
        for layer, position in numbers_and_texts
    )
    assert of_number.attrs["layer"] == of_text.attrs["layer"] == "0"
    assert workbench.load_cases(run).attrs["layer"] == "final"
    options: Any = {"family": "ridge+layers-0-final", "panels": "p"}
    of_layer, usual = dict[str, Any](layer=0), dict[str, Any]()
    embedded, deepest = (
        workbench.make_figure(run, **given, **options).panels[0].content for given in (of_layer, usual)
    )
    positions: list[Any] = ["1", 1]
    by_text, by_number = (
        workbench.make_figure(run, "layers", family="ridge+layers-0-final", position=position).line
        for position in positions
    )
    assert by_text == by_number and "--position 1" in by_text
    wanted = workbench.load_results(run, "p", "ridge+layers-0-final")["accuracy"].isel(checkpoint=-1)
    for content, layer in ((embedded, "0"), (deepest, "final")):
        assert isinstance(content, Grid)
        np.testing.assert_array_equal(content.values, wanted.sel(layer=layer).transpose("target", "position"))


def test_analyses_and_questions_take_runs_and_steps_alike(run: Run) -> None:
    """A step 0 given as a number counted as none given: the last checkpoint answered in its place."""
    steps = [checkpoint.step for checkpoint in run.checkpoints]
    shares = workbench.run_attention(str(run.path), "all", "shares", device="cpu")
    assert [int(one["checkpoint"]) for one in shares] == steps
    (last,) = workbench.run_attention(run, request=workbench.AttentionRequest("shares"), device="cpu")
    assert int(last["checkpoint"]) == steps[-1]
    for step in (0, "0", steps[-1]):
        request = workbench.EvaluationRequest(checkpoint=step, entities=2)
        assert int(workbench.evaluate(run, request, device="cpu").dataset["checkpoint"]) == int(step)
    assert [one.step for one in run.choose([0, "last"])] == [0, steps[-1]]
    assert run.choose(run.checkpoint(0)) == [run.checkpoint(0)] == run.choose([run.checkpoint(0)])
