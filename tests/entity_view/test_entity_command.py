"""`workbench entity` in process: what is kept, what it means, and each mistake in one sentence."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.entity_view.small_runs import make_small_run
from workbench.attention.entity import read_patterns, share_by_role
from workbench.attention.parts import open_parts
from workbench.attention.roles import RoleLegend
from workbench.cli import app
from workbench.entity_view.tables import list_headings
from workbench.entity_view.tokens import kinds_of
from workbench.errors import WorkbenchError
from workbench.extraction.asking import ANSWER_KINDS, RIGHT
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.results.storing import list_results, load_result, load_results, result_path
from workbench.studies.loading import load_model
from workbench.studies.runs import Run, open_run
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.entries import save_entries

KINDS = kinds_of(RoleLegend(SCHEMA.keys))


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["entity", *arguments, "-q"])


@pytest.fixture(scope="module")
def viewed(small_run: Run) -> Run:
    """The small run with views of four entities at both checkpoints."""
    result = invoke(str(small_run.path), "--entities", "4", "--checkpoints", "all")
    assert result.exit_code == 0, result.output
    assert "small · entity view · step 0" in result.output
    assert "right: questions answered, by the checkpoint itself" in " ".join(result.output.split())
    return small_run


def test_a_view_is_kept_as_a_labelled_result(viewed: Run) -> None:
    assert ("entity", "logistic", [0, 5]) in list_results(viewed.path)
    found = load_results(viewed.path, "entity", "logistic")
    assert found.sizes["entity"] == 4
    assert found["split"].isel(checkpoint=0).values.tolist() == ["test", "test", "train", "train"]
    assert found["layer"].values.tolist() == ["0", "1", "2", "final"]
    settings = json.loads(found.attrs["settings"])
    assert settings["entities"] == found["entity"].values.tolist()
    for checkpoint in viewed.checkpoints:
        kept = load_result(result_path(viewed.path, "entity", "logistic", checkpoint.step))
        assert kept.attrs["weights_digest"] == checkpoint.weights_digest


def test_texts_and_probabilities_read_back(viewed: Run) -> None:
    data = load_result(result_path(viewed.path, "entity", "logistic", 5))
    entities, classes = viewed.corpus.entities, json.loads(data.attrs["classes"])
    assert set(json.loads(data.attrs["stands_for"]).values()) == set(data["target"].values.tolist())
    for n, entity in enumerate(data["entity"].values.tolist()):
        own = data.isel(entity=n)
        text = str(own["entry"].values)
        assert str(own["name"].values) == entities[entity].name
        length = int(own["tokens"])
        spans = zip(own["token_start"].values[1:length], own["token_end"].values[1:length], strict=True)
        words = [text[start:end] for start, end in spans]
        assert "".join(words) == text.replace(" ", "")
        for target in data["target"].values.tolist():
            start = int(own["stated_at"].sel(target=target))
            value = entities[entity].values[target.partition("/")[0]]
            assert text[int(own["token_start"][start]) :].startswith(value)
            top = own.sel(target=target, layer="final").isel(token=start - 1)
            likeliest = [classes[target][c] for c in top["top_class"].values.tolist() if c >= 0]
            if value in likeliest:
                share = float(top["top_probability"].values[likeliest.index(value)])
                assert share == float(top["probability"])
        assert np.isnan(own["probability"].values[length:]).all()
    read = ~np.isnan(data["probability"])
    assert float(read.isel(token=slice(0, int(data["tokens"].min()))).mean()) > 0.9
    assert (data["top_probability"].sum("rank").where(read) <= 1.001).where(read, True).all()


def test_patterns_and_flow_are_the_models(viewed: Run) -> None:
    data = load_result(result_path(viewed.path, "entity", "logistic", 5))
    parts = open_parts(load_model(viewed.checkpoint(5)))
    vocabulary = viewed.tokenizer.get_vocab()
    own = data.isel(entity=1)
    length = int(own["tokens"])
    text = str(own["entry"].values)
    spans = zip(own["token_start"].values[:length], own["token_end"].values[:length], strict=True)
    ids = np.array([vocabulary.get(text[start:end], viewed.tokenizer.eos_token_id) for start, end in spans])
    pattern, states = read_patterns(parts, ids)
    assert np.allclose(own["pattern"].values[..., :length, :length], pattern, atol=1 / 4096)
    flow = share_by_role(pattern, own["token_role"].values[:length], RoleLegend(SCHEMA.keys)).mean(1)
    assert np.allclose(own["flow"].values[:, :length], flow, atol=1 / 4096)
    assert np.allclose(own["flow"].sum("role").values[:, :length], 1, atol=21 / 8192)
    at = int(own["position_token"].sel(position=0))
    best = parts.head(states[at]).float().softmax(-1).topk(5)
    said = [viewed.tokenizer.decode([token]) for token in best.indices.tolist()]
    assert own["next_token"].sel(position=0).values.tolist() == said
    assert np.allclose(own["next_probability"].sel(position=0), best.values.detach(), atol=1 / 4096)
    assert KINDS[int(own["token_kind"][at])] == "position 0"


def test_a_finetune_answers_for_its_base_and_agrees_with_evaluate(viewed: Run) -> None:
    result = invoke(str(viewed.path), "--entities", "20", "--adapter", "lora")
    assert result.exit_code == 0, result.output
    assert "answered, by lora" in " ".join(result.output.split())
    data = load_results(viewed.path, "entity", "logistic", "lora").isel(checkpoint=0)
    assert data.attrs["answered_by"] == "lora"
    assert set(np.unique(data["answer_kind"].values.astype(str))) <= set(ANSWER_KINDS)
    entities = viewed.corpus.entities
    for n, entity in enumerate(data["entity"].values.tolist()):
        assert data["value"].values[n].tolist() == list(entities[entity].values.values())
        for value, said, kind in zip(
            data["value"].values[n], data["answer"].values[n], data["answer_kind"].values[n], strict=True
        ):
            assert (kind == RIGHT) == (said.replace(" ", "").removesuffix(".") == value.replace(" ", ""))
    everyone = evaluate(viewed, EvaluationRequest("lora")).dataset
    shown = (data["answer_kind"] == RIGHT).sum()
    right = everyone["said"].sel(answer_kind="right").sum()
    rest = len(entities) - data.sizes["entity"]
    assert int(right) - 6 * rest <= int(shown) <= int(right)


def test_nothing_is_made_twice_and_one_entity_has_a_folder_of_their_own(viewed: Run) -> None:
    file = result_path(viewed.path, "entity", "logistic", 5)
    written = file.stat().st_mtime_ns
    assert invoke(str(viewed.path), "--entities", "4").exit_code == 0
    assert file.stat().st_mtime_ns == written
    result = invoke(str(viewed.path), "--entity", "3", "--layers", "final")
    assert result.exit_code == 0, result.output
    assert "name last" in result.output  # token by token
    one = load_results(viewed.path, "entity", "logistic", "id3")
    assert one["entity"].values.tolist() == [3]
    assert one["layer"].values.tolist() == ["final"]
    printed = json.loads(invoke(str(viewed.path), "--entity", "3", "--layers", "final", "--json").stdout)
    row = printed[0]
    assert (row["entity"], row["layer"], row["side"], row["token"]) == (3, "final", "before", 0)
    assert row["text"] == "start"
    assert [share for _, share in row["top"]] == sorted((share for _, share in row["top"]), reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--entity", "99"], r"There is no entity 99 in .*; its ids run from 0 to 47\."),
        (
            ["--checkpoints", "7"],
            r"has no checkpoint '7'; choose all, last, every:n, or from the steps 0, 5\.",
        ),
        (["--adapter", "lroa"], r"has no finetune 'lroa'; did you mean 'lora'"),
        (
            ["--adapter", "lora", "--checkpoints", "0"],
            r"The finetune .* belongs to the weights .* but step 0 of",
        ),
        (["--entities", "48"], r"has no test entity beside those shown; show fewer entities"),
    ],
)
def test_mistakes(viewed: Run, arguments: list[str], message: str) -> None:
    result = invoke(str(viewed.path), *arguments, "--again")
    assert isinstance(result.exception, WorkbenchError)
    with pytest.raises(WorkbenchError, match=message):
        raise result.exception


def test_a_run_without_finetunes_or_without_an_entry(tmp_path: Path, small_run: Run) -> None:
    path = Path(shutil.copytree(small_run.path, tmp_path / "other", symlinks=True))
    shutil.rmtree(path / "finetunes")
    with pytest.raises(WorkbenchError, match=r"no finetune 'lora' \(make one with `workbench finetune"):
        raise invoke(str(path), "--adapter", "lora").exception
    ready = [entry for entry in small_run.corpus.entries if entry.entity != 3]
    save_entries(path / "corpus" / "entries.jsonl", ready)
    (path / "corpus" / "texts.json").unlink()
    with pytest.raises(WorkbenchError, match=r"Entity 3 of .* has no entry; choose another\."):
        raise invoke(str(path), "--entity", "3").exception


def test_a_finetune_of_a_retrained_checkpoint_is_refused(tmp_path: Path, small_run: Run) -> None:
    other = make_small_run(tmp_path / "retrained", seed=9)
    shutil.copytree(small_run.path / "finetunes", other.path / "finetunes", symlinks=True)
    result = invoke(str(open_run(other.path).path), "--adapter", "lora")
    assert isinstance(result.exception, WorkbenchError)
    assert "belongs to the weights" in str(result.exception)


def test_an_attribute_that_is_read_in_several_forms_is_headed_by_each() -> None:
    targets = ["birth_city/whole", "melting/whole", "melting/hundreds"]
    assert list_headings(targets) == ["birth\ncity", "melting\nwhole", "melting\nhundreds"]
