"""`workbench cache-acts`, `sites` and `verify`: from names to files, and from mistakes to sentences."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner
from workbench_models import ModelShape, make_model

from tests.activations.tiny_models import CONFIGS
from tests.tokens.test_table import CAPITALS, TEMPLATE, make_bpe
from workbench.activations import open_store, read_study
from workbench.cli.cache_acts import cache_acts
from workbench.cli.sites import sites
from workbench.cli.verify import verify
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import load_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.runs import Run, create_run

APP = typer.Typer()
for command in (cache_acts, sites, verify):
    APP.command()(command)


def invoke(*arguments: object, code: int = 0) -> str:
    """What a command prints on stdout."""
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of thirty entities with three untrained checkpoints of other seeds."""
    changes = {"people.number": 30, "biographies.augmentation": "multi2+permute"}
    made = create_run(load_recipe("tiny", changes), tmp_path_factory.mktemp("runs") / "small")
    shape = ModelShape("gpt2-rotary", n_layers=2, d_model=32, n_heads=2, max_length=128)
    tokenizer = made.tokenizer
    for step in (0, 10, 20):
        model = make_model(
            shape, vocab_size=len(tokenizer), seed=step, eos_token_id=tokenizer.eos_token_id or 0,
            pad_token_id=tokenizer.pad_token_id or 0,
        )  # fmt: skip
        save_checkpoint(made.checkpoints_folder, model, tokenizer, step, {})
    return made


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints this project did not make, with a tokenizer of their own."""
    folder = tmp_path_factory.mktemp("series")
    for step in (0, 1000):
        tokenizer = make_bpe()
        from transformers import AutoModelForCausalLM

        loader: Any = AutoModelForCausalLM
        torch.manual_seed(step)
        config = CONFIGS["gpt_neox-parallel"]
        model = loader.from_config(type(config)(**{**config.to_dict(), "vocab_size": len(tokenizer)}))
        model.save_pretrained(folder / f"step{step}")
        tokenizer.save_pretrained(folder / f"step{step}")
    return folder


def test_a_runs_checkpoints_are_cached_in_the_run(run: Run) -> None:
    arguments = ("cache-acts", run.path, "--checkpoints", "0,20", "--sites", "layers", "--quiet")
    rows = json.loads(invoke(*arguments, "--json"))
    assert [row["step"] for row in rows] == [0, 20]
    assert rows[0]["sites"] == ["resid_pre.0", "resid_post.0", "resid_post.1", "ln_final"]
    assert rows[0]["positions"] == ["0", "1", "2", "3", "4", "5"]
    for row, step in zip(rows, (0, 20), strict=True):
        store = open_store(row["path"])
        assert store.path.is_relative_to(run.path / "activations")
        assert store.weights_digest == run.checkpoint(step).weights_digest
        assert store.reading.digest == read_study(run).digest
        assert not np.isnan(store["ln_final"].to_numpy()).any()
    assert "60 texts × 6 positions × 4 sites" in invoke(*arguments)


def test_names_and_ends_of_names(run: Run) -> None:
    (row,) = json.loads(invoke("cache-acts", run.path, "--at", "names", "--quiet", "--json"))
    assert (row["texts"], row["positions"]) == (30, ["end"])
    options = ("--at", "name-end", "--at", "positions", "--layers", "1", "--quiet", "--json")
    (row,) = json.loads(invoke("cache-acts", run.path, *options))
    assert (row["positions"][:2], row["sites"]) == (["name_end", "0"], ["resid_post.1"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("engine", ["transformer-lens", "nnsight"])
def test_engines_give_the_same_store(engine: str, run: Run) -> None:
    rows = [
        json.loads(
            invoke("cache-acts", run.path, "--sites", "z,mlp_out", "--toolkit", which, "--quiet", "--json")
        )[0]
        for which in ("hooks", engine)
    ]
    own, other = (open_store(row["path"]) for row in rows)
    assert other.manifest["made_with"]["engine"] == engine
    for site in own:
        np.testing.assert_allclose(other[site].to_numpy(), own[site].to_numpy(), rtol=1e-4, atol=1e-6)


def test_a_foreign_series_with_a_table_of_entities(series: Path, tmp_path: Path) -> None:
    table = tmp_path / "capitals.csv"
    table.write_text("country,capital\n" + "".join(f"{country},{capital}\n" for country, capital in CAPITALS))
    rows = json.loads(
        invoke(
            "cache-acts", series, "--checkpoints", "all", "--table", table, "--template", TEMPLATE, "--at",
            "end:country", "--at", "before:capital", "--targets", "capital", "--dtype", "bfloat16", "--out",
            tmp_path / "out", "--quiet", "--json",
        )
    )  # fmt: skip
    assert [row["step"] for row in rows] == [0, 1000]
    assert rows[0]["positions"] == ["end:country", "before:capital"]
    store = open_store(rows[1]["path"])
    assert store.columns["capital"].categories == ("Oslo", "Paris", "Seoul", "Wellington")
    assert store["resid_post.0"].to_torch().dtype == torch.bfloat16


def test_sites_are_listed_with_shapes(run: Run, series: Path) -> None:
    listed = invoke("sites", run.path)
    assert (
        "resid_mid.1" in listed and "blocks.1.hook_resid_mid" in listed and "head 2 × head_width 16" in listed
    )
    rows = {row["short"]: row for row in json.loads(invoke("sites", series, "--json"))}
    assert "resid_mid.1" not in rows
    assert (rows["mlp_pre.0"]["axes"], rows["mlp_pre.0"]["shape"]) == (["neuron"], [48])
    assert rows["pattern.2"]["shape"] == [4, 64]


def test_sites_of_a_config_alone_are_listed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "opt", "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}'
    )
    assert "blocks.1.hook_resid_post" in invoke("sites", tmp_path)


def test_verify_finds_what_is_wrong(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    invoke("cache-acts", run.path, "--checkpoints", "all", "--out", folder / "activations", "--quiet")
    import shutil

    shutil.copytree(run.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("activations"))
    assert invoke("verify", folder) == "7 checked (store 3, run 1, model 3), 0 faults.\n"
    shard = next(folder.rglob("shard-00000.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    weights = folder / "checkpoints" / "step-00000010" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    report = json.loads(invoke("verify", folder, "--json", code=1))
    assert len(report["checked"]) == 7
    assert f"{shard} has been altered: its sha256 is not the manifest's" in report["faults"]
    assert any(str(weights) in fault and "truncated" in fault for fault in report["faults"])
    assert (
        json.loads(invoke("verify", tmp_path, "--json", code=1)) == report
    )  # a folder of runs is all of them
    (shard.parent / "manifest.json").rename(shard.parent / "progress.jsonl")
    assert "is unfinished; run the command that makes it again" in invoke("verify", shard.parent, code=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sites", "resid_pots"], "'resid_pots' does not exist; did you mean 'resid_post"),
        (["--at", "position"], "There is no place 'position' to read; did you mean 'positions'"),
        (["--at", "names", "--at", "all"], "'names' are texts of their own"),
        (["--layers", "a"], "--layers 'a' is not a list of numbers"),
        (["--layers", "5"], "layers [5] go beyond the model's 2 blocks"),
        (["--checkpoints", "7"], "has no checkpoint '7'"),
        (["--revision", "step7"], "--revision goes with a hub name"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str, run: Run) -> None:
    with pytest.raises(WorkbenchError) as error:
        invoke("cache-acts", run.path, "--quiet", *arguments)
    assert message in str(error.value)


def test_a_model_without_texts_or_tokenizer_is_refused(series: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WorkbenchError, match="is no run or study, so it has no texts of its own; name yours with --table"
    ):
        invoke("cache-acts", series)
    (tmp_path / "table.jsonl").write_text('{"text": "Oslo"}\n')
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(series / "step0", bare, ignore=shutil.ignore_patterns("tokenizer*"))
    arguments = (
        "cache-acts",
        bare,
        "--table",
        tmp_path / "table.jsonl",
        "--out",
        tmp_path / "out",
        "--quiet",
    )
    with pytest.raises(WorkbenchError, match="has no tokenizer"):
        invoke(*arguments)
    invoke(*arguments, "--tokenizer", series / "step0")


def test_long_texts_are_refused(series: Path, tmp_path: Path) -> None:
    (tmp_path / "table.jsonl").write_text(json.dumps({"text": "Oslo " * 100}) + "\n")
    with pytest.raises(
        WorkbenchError, match=r"Text 0 has to be read up to token .* but the model's context is 64"
    ):
        invoke(
            "cache-acts", series, "--table", tmp_path / "table.jsonl", "--out", tmp_path / "out", "--quiet"
        )


def test_help_is_fast_and_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    show: Callable[..., str] = invoke
    for name in ("cache-acts", "sites", "verify"):
        assert "Usage" in show(name, "--help")
