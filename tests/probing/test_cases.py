"""Cases: what was said about each entity counts up to the stored accuracy, and outlives no result."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from tests.probing.test_confusion import linked
from workbench.cli import app as command_line
from workbench.errors import WorkbenchError
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.probing.cases import choose_cells
from workbench.probing.embedding_result import fit_distinct_probes
from workbench.probing.probe_batches import make_batch
from workbench.probing.q_probe import make_q_probe_data
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.results.case_files import case_path, load_case_file
from workbench.results.case_table import make_table
from workbench.results.cases import CaseChoice, find_cases, load_cases
from workbench.results.storing import load_result, result_path, save_result
from workbench.studies.runs import Run


class Unsure:
    """A probe of a user's that gives no probabilities: always the class of the first text."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Unsure":
        self.first = y[0]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.first)


@pytest.mark.parametrize(
    ("kind", "family", "seeds"),
    [
        ("p", "embedding", (0,)),
        ("q", "embedding", (0, 1)),
        ("p", "logistic", (0,)),
        ("q", "nearest-mean", (0,)),
        ("p", "tests.probing.test_cases:Unsure", (0,)),
    ],
)
def test_cases_count_up_to_the_stored_accuracy(
    kind: str, family: str, seeds: tuple[int, ...], permuted_run: Run, tmp_path: Path
) -> None:
    run = linked(permuted_run, tmp_path / "run")
    last = run.checkpoints[-1]
    request = ProbeRequest(kind, family, seeds=seeds)
    run_probes(run, [last], request, device="cpu")
    path = result_path(run.path, kind, request.family_name, last.step, request.variant)
    result, cases = load_result(path), load_case_file(case_path(path), path)
    assert json.loads(result.attrs["notes"])["cases"] is True
    if "seed" in result.dims:
        result = result.sel(seed=int(cases.attrs["seed"]))
    entities = run.corpus.entities
    checked = 0
    for place in range(cases.sizes["set"]):
        layer, position = str(cases["layer"].values[place]), str(cases["position"].values[place])
        at = {
            "position": position if kind == "q" and layer else int(position),
            **({"layer": layer} if layer else {}),
        }
        for target in result["target"].values.tolist():
            attribute, _, form = target.partition("/")
            table = make_table(cases, None, layer=layer, position=position, form=form)
            row = table.attributes.index(attribute)
            cell = result.sel(**at, target=target)
            read = table.probe[row] >= 0
            assert int(read.sum()) == int(cell["n"])
            if read.any():
                assert float((table.probe[row][read] == 1).mean()) == pytest.approx(
                    float(cell["accuracy"]), abs=1e-9
                )
            if form == "whole":  # by the words alone, from the facts
                facts = np.array([entities[e].values.get(attribute, "") for e in table.entities], object)
                assert (table.value[row] == facts).all()
                np.testing.assert_array_equal((table.guess[row] == facts)[read], table.probe[row][read] == 1)
            told = table.probability[row][read]
            if family in ("embedding", "logistic"):
                assert ((told > 0) & (told <= 1)).all()
            else:
                assert np.isnan(told).all()
            checked += 1
    assert checked == result["accuracy"].size


def test_an_entity_without_a_value_is_neither_right_nor_wrong(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    run_probes(run, run.checkpoints[-1:], ProbeRequest(), device="cpu")
    path = result_path(run.path, "p", "embedding", run.checkpoints[-1].step)
    cases = load_case_file(case_path(path), path)
    absent = np.iinfo(cases["said"].dtype).max
    column = int(cases["column_of"].sel(target="major/whole"))
    cases["said"][:, column, 0] = absent
    cases["truth"][column, 0] = absent
    table = make_table(cases, None)
    row = table.attributes.index("major")
    assert table.probe[row, 0] == -1 and table.value[row, 0] == table.guess[row, 0] == ""
    kept = [table.count(where, "major") for where in ("probe-right", "probe-wrong", "all")]
    assert sum(kept[:2]) == kept[2] == len(table.entities) - 1
    # At a later position of `single`, what comes before has been said in everybody's entry.
    later = make_table(cases, None, position="5")
    assert later.count("all", "birth_date") == 0


def test_answers_beside_the_probe(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    step = run.checkpoints[-1].step
    run_probes(run, run.checkpoints, ProbeRequest(), device="cpu")
    dataset = evaluate(run, EvaluationRequest(), device="cpu").dataset
    found = find_cases(run.path)
    assert (found.choice.probe, found.choice.answers, found.step) == ("p-embedding", "qa-none", step)
    frame = load_cases(run)
    assert frame.attrs["run"] == run.name and frame.attrs["position"] == "0"
    for attribute in dataset["attribute"].values.tolist():
        rows = frame[frame["attribute"] == attribute]
        cell = dataset.sel(split="test", attribute=attribute)
        assert len(rows) == int(cell["n"])
        # Of a birth date the probe is asked for the first token alone, and so is the answer.
        judged = "first_accuracy" if attribute == "birth_date" else "accuracy"
        assert rows["answer_right"].astype(bool).mean() == pytest.approx(float(cell[judged]))
        kinds = rows["verdict"].value_counts()
        for kind in cell["answer_kind"].values.tolist():
            assert kinds.get(kind, 0) == int(cell["said"].sel(answer_kind=kind))
    corners = [
        found.table.count(where) for where in ("both-right", "probe-only", "answer-only", "both-wrong")
    ]
    assert sum(corners) == found.table.count("all") == len(frame)
    wrong = load_cases(run.path, where="answer-wrong", attribute="major")
    assert len(wrong) == found.table.count("answer-wrong", "major") and set(wrong["attribute"]) == {"major"}
    earlier = find_cases(run.path, CaseChoice(step=step - 1))
    assert earlier.choice.answers == "" and "Nothing has been asked at step" in earlier.notes[0]
    alone = find_cases(run.path, CaseChoice(probe="none"))
    halves = {
        entity.split for entity in run.corpus.entities if entity.id in set(alone.table.entities.tolist())
    }
    assert halves == {"train", "test"}


def test_cases_never_outlive_their_result(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    request = ProbeRequest("q", "nearest-mean")
    run_probes(run, run.checkpoints[-1:], request, device="cpu")
    path = result_path(run.path, "q", "nearest-mean", run.checkpoints[-1].step)
    cases = case_path(path)
    old = load_result(path)
    save_result(path, old.assign_attrs(created="later"))
    with pytest.raises(WorkbenchError, match="of another result"):
        load_case_file(cases, path)
    content = bytearray(cases.read_bytes())
    cases.write_bytes(content[: len(content) // 2])
    with pytest.raises(WorkbenchError, match="truncated or damaged"):
        load_case_file(cases, path)
    run_probes(
        run, run.checkpoints[-1:], ProbeRequest("q", "nearest-mean", again=True, cases=False), device="cpu"
    )
    assert not cases.exists()
    with pytest.raises(WorkbenchError, match="has no cases: its results were made before cases were kept"):
        find_cases(run.path)
    assert "accuracy" in load_result(path)


def test_what_is_kept_when_not_everything_fits() -> None:
    """3 layers × 2 positions, 4 columns of 10 entities: 120 bytes a set."""
    options = {"n_columns": 4, "n_entities": 10, "n_classes": 9}
    layers, positions = ["0", "1", "final"], [0, 1]
    assert choose_cells(layers, positions, **options).left_out == ""
    three = choose_cells(layers, positions, **options, limit=3 * 120)
    assert three.sets == (2, 4, 5)  # both positions of `final`, and position 0 of the deepest other layer
    assert "3 of 6 places" in three.left_out
    two_columns = choose_cells(layers, positions, **options, limit=60)
    assert (two_columns.sets, two_columns.columns) == ((4,), 2)
    assert choose_cells(layers, positions, **options, limit=1).columns == 1
    by_name = choose_cells(["5"], ["start", "last", "end"], **options, main=2, limit=120)
    assert by_name.sets == (0,)


def test_the_probability_is_the_softmax_of_the_answer(single_run: Run) -> None:
    data = make_q_probe_data(single_run)
    settings = ProbeRequest("q").settings(single_run)
    fitted = fit_distinct_probes(single_run, single_run.checkpoints[-1], data, settings, "cpu")
    said, sure = fitted.answer(data.readings(), data.test)
    np.testing.assert_array_equal(said, fitted.predict(data.readings(), data.test))
    batch = make_batch(data.readings(), data.test[:1], True, "cpu")
    with torch.inference_mode(), fitted.execution.autocast():
        embedded = fitted.probes.embed(fitted.model.get_input_embeddings()(batch.ids_BT), batch.ids_BT)
        hidden = fitted.model.base_model(inputs_embeds=embedded).last_hidden_state
    with torch.inference_mode():
        shares = fitted.probes.classify(hidden[:, batch.places_BP[0]].float()).softmax(-1)[:, 0]
    # Among other names it runs at another width, which moves bfloat16's last digits.
    np.testing.assert_allclose(sure[:, 0, 0], shares.amax(-1).numpy(), rtol=0.03)


def test_the_command_prints_and_writes_what_the_function_gives(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    path = str(run.path)
    without = CliRunner().invoke(command_line, ["cases", path])
    assert isinstance(without.exception, WorkbenchError) and "evaluate" in str(without.exception)
    run_probes(run, run.checkpoints[-1:], ProbeRequest(), device="cpu")
    expected = load_cases(run, where="probe-wrong", attribute="major")
    out = tmp_path / "cases.csv"
    words = ["cases", path, "--where", "probe-wrong", "--attribute", "major"]
    told = json.loads(CliRunner().invoke(command_line, [*words, "--json", "--out", str(out)]).stdout)
    assert [row["entity"] for row in told["cases"]] == expected["entity"].tolist()
    assert told["counts"]["major"]["probe-wrong"] == len(expected) and told["position"] == "0"
    written = pd.read_csv(out)
    assert written["guess"].tolist() == expected["guess"].tolist() and set(written["run"]) == {run.name}
    first = (
        CliRunner()
        .invoke(command_line, ["cases", path, "--step", "0", "--rows", "0"], env={"COLUMNS": "200"})
        .stdout
    )
    step = run.checkpoints[-1].step
    assert f"p-embedding has no cases up to step 0; shown are the first, of step {step:,}." in first
    one = expected["name"].iloc[0]
    printed = CliRunner().invoke(command_line, [*words, "--find", one.upper()], env={"COLUMNS": "200"}).stdout
    assert "1 of 1 cases" in printed and one in printed
    for wrong, sentence in (
        (["--attribute", "majr"], "did you mean 'major'?"),
        (["--probe", "p-embeding"], "did you mean 'p-embedding'?"),
        (["--position", "9"], "No cases are kept of position 9; kept are position 0,"),
        (["--out", "cases.txt"], "'.txt' is not .csv, .json or .parquet"),
    ):
        result = CliRunner().invoke(command_line, ["cases", path, *wrong])
        assert sentence in str(result.exception), (wrong, result.exception)
