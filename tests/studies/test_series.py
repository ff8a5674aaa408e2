"""Models by name: runs, folders, series and hub names; weights read into the same module; pickles refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.activations.tiny_models import CONFIGS, make_tiny, random_ids
from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import ModelLoader, load_config, load_model
from workbench.studies.series import as_checkpoint, find_series
from workbench.studies.steps import step_of
from workbench.tokens.opening import load_tokenizer


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A private series: step0, step10 and step200."""
    for step in (0, 10, 200):
        make_tiny("llama", seed=step).save_pretrained(tmp_path / "series" / f"step{step}")
    return tmp_path / "series"


def labels(*arguments: Any) -> list[str]:
    return [checkpoint.label for checkpoint in find_series(*arguments)]


def test_a_series_is_ordered_by_step_and_chosen_from(series: Path) -> None:
    assert labels(series, "all") == ["step0", "step10", "step200"]
    assert labels(series) == ["step200"]
    assert labels(series, "every:2") == ["step0", "step200"]
    assert labels(series, "0,200") == ["step0", "step200"]
    assert labels(series, "step10") == ["step10"]
    assert [checkpoint.step for checkpoint in find_series(series / "step10")] == [10]
    with pytest.raises(
        WorkbenchError, match="has no checkpoint '7'; choose all, last, every:n, or from the steps 0, 10, 200"
    ):
        find_series(series, "7")
    assert as_checkpoint(series).label == "step200"
    assert as_checkpoint(Checkpoint(series, "x")).label == "x"


@pytest.mark.parametrize(
    ("name", "step"),
    [("step1000", 1000), ("step-00000512", 512), ("checkpoint-20", 20), ("global_step7", 7), ("main", None)],
)
def test_steps_stand_in_names(name: str, step: int | None) -> None:
    assert step_of(name) == step


def test_sharded_weights_have_one_digest_of_their_own(tmp_path: Path) -> None:
    model = make_tiny("gpt2")
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    whole, parts = find_series(tmp_path / "whole")[0], find_series(tmp_path / "parts")[0]
    assert len(parts.weight_files) > 2
    assert len({whole.weights_digest, parts.weights_digest}) == 2
    assert whole.config_digest == parts.config_digest
    parts.weight_files[1].unlink()
    with pytest.raises(
        WorkbenchError, match=r"lacks model-00002-of-.* weight files in its index; fetch it again"
    ):
        assert find_series(tmp_path / "parts")[0].weights_digest


def test_the_digest_is_of_the_bytes_as_they_are(series: Path) -> None:
    before = find_series(series)[0].weights_digest
    file = series / "step200" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    assert find_series(series)[0].weights_digest != before


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_go_into_the_same_module(name: str, tmp_path: Path) -> None:
    models = [make_tiny(name, seed=seed) for seed in (0, 1)]
    for step, model in enumerate(models):
        model.save_pretrained(tmp_path / f"step{step}", max_shard_size="30KB" if step else "1GB")
    loader = ModelLoader()
    loaded = []
    for checkpoint in find_series(tmp_path, "0,1,0"):
        loaded.append(loader.load(checkpoint))
        with torch.no_grad():
            assert torch.equal(loaded[-1](random_ids()).logits, models[checkpoint.step](random_ids()).logits)
    assert loaded[0] is loaded[1] is loaded[2]


def test_another_config_makes_another_module(tmp_path: Path) -> None:
    make_tiny("llama").save_pretrained(tmp_path / "step0")
    make_tiny("llama").save_pretrained(tmp_path / "step1")
    config = json.loads((tmp_path / "step1" / "config.json").read_text())
    config["rms_norm_eps"] = 0.1
    (tmp_path / "step1" / "config.json").write_text(json.dumps(config))
    loader = ModelLoader()
    first, second = (loader.load(one) for one in find_series(tmp_path, "all"))
    assert first is not second
    assert second.config.rms_norm_eps == 0.1


def test_weights_that_do_not_fit_are_loaded_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (0, 1):
        make_tiny("gpt2", seed=step).save_pretrained(tmp_path / f"step{step}")
    tensors = load_file(tmp_path / "step1" / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    save_file(tensors, tmp_path / "step1" / "model.safetensors", metadata={"format": "pt"})
    loader = ModelLoader()
    models = [loader.load(one) for one in find_series(tmp_path, "all")]
    assert models[0] is not models[1]
    expected = make_tiny("gpt2", seed=1)
    with torch.no_grad():
        assert torch.equal(models[1](random_ids()).logits, expected(random_ids()).logits)


def test_folders_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"is no run .* no model .* and holds no model folders"):
        find_series(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="is a file; expected the folder of a run"):
        find_series(tmp_path / "file")
    with pytest.raises(WorkbenchError, match=r"--revision goes with a hub name, but .* is a local folder"):
        find_series(tmp_path, "last", ["step1000"])
    with pytest.raises(WorkbenchError, match="does not exist; expected a run"):
        find_series(tmp_path / "missing")


def test_an_unreadable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    with pytest.raises(WorkbenchError, match="may not be read by this user; change its permissions"):
        find_series(tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    make_tiny("gpt2").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WorkbenchError, match="weights as pickle files, which this project never reads"):
        ModelLoader().load(find_series(tmp_path)[0])
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(WorkbenchError, match=r"has no model\.safetensors; expected a complete"):
        ModelLoader().load(find_series(tmp_path)[0])


def test_a_model_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    make_tiny("gpt2").save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(
        WorkbenchError,
        match=r"bytes where its header says \d+: it is truncated or has grown; run `workbench verify`",
    ):
        load_model(find_series(tmp_path)[0])
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(WorkbenchError, match="cannot be read as a Hugging Face config"):
        load_config(find_series(tmp_path)[0])


def test_a_checkpoint_without_tokenizer_is_refused(tmp_path: Path) -> None:
    make_tiny("gpt2").save_pretrained(tmp_path)
    with pytest.raises(
        WorkbenchError, match=r"has no tokenizer \(no tokenizer\.json\); copy the tokenizer files"
    ):
        load_tokenizer(tmp_path)


def test_hub_names_are_fetched_by_revision_without_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[tuple[str, str]] = []
    (tmp_path / "model.safetensors").touch()

    def snapshot_download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert not any(
            pattern.endswith(("bin", "pt", "*")) for pattern in allow_patterns if pattern != "tokenizer*"
        )
        if revision == "step9":
            raise OSError("no such revision\nand a long story")
        asked.append((name, revision))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    found = find_series("EleutherAI/pythia-14m", "last", ["step1", "step1000"])
    assert asked == [("EleutherAI/pythia-14m", "step1"), ("EleutherAI/pythia-14m", "step1000")]
    assert [(one.label, one.step) for one in found] == [
        ("EleutherAI/pythia-14m@step1", 1),
        ("EleutherAI/pythia-14m@step1000", 1000),
    ]
    with pytest.raises(
        WorkbenchError, match=r"'EleutherAI/pythia-14m' \(revision 'step9'\) .* \(no such revision\)"
    ):
        find_series("EleutherAI/pythia-14m", "last", ["step9"])


@pytest.mark.parametrize(
    ("names", "steps", "last"),
    [
        (["epoch=9-step=4690", "epoch=10-step=5159"], [4690, 5159], "epoch=10-step=5159"),
        (["epoch=9", "epoch=10"], [9, 10], "epoch=10"),
        (["ckpt_2000", "ckpt_10000"], [2000, 10000], "ckpt_10000"),
        (["9000", "10000"], [9000, 10000], "10000"),
        (["step-512", "step-1k", "step-2k"], [512, 1000, 2000], "step-2k"),
        (["step-50K-105b", "step-480k-1T"], [50000, 480000], "step-480k-1T"),
        (["iter_0000100", "iter_0000020"], [20, 100], "iter_0000100"),
        (["best", "step-100", "step-200"], [100, 200, 201], None),
    ],
)
def test_steps_are_numbers_in_every_naming(
    names: list[str], steps: list[int], last: str | None, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    assert [one.step for one in find_series(tmp_path, "all")] == steps
    if last is not None:
        assert labels(tmp_path) == [last]
    else:
        with pytest.raises(
            WorkbenchError, match=r"the name 'best' tells no step, so no checkpoint is the last"
        ):
            find_series(tmp_path)


def test_a_network_that_is_not_filled_is_refused_with_names(tmp_path: Path) -> None:
    make_tiny("llama").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    wrapped = {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}
    save_file(wrapped, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        WorkbenchError, match=r"does not fill its network, .* it lacks tensor lm_head\.weight; "
    ):
        load_model(find_series(tmp_path)[0])
    del tensors["model.layers.1.mlp.down_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        WorkbenchError, match=r"it lacks tensor model\.layers\.1\.mlp\.down_proj\.weight; run"
    ):
        load_model(find_series(tmp_path)[0])


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_files_with_the_names_of_the_base_model_are_loaded_as_the_library_does(
    name: str, tmp_path: Path
) -> None:
    """At step 0 all norms are ones and all biases zeros, so values could not tell them apart."""
    prefix = "transformer." if name == "gpt2" else "model."
    models = [make_tiny(name, seed=seed) for seed in (0, 1)]
    with torch.no_grad():
        for key, parameter in models[0].named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0 if key.endswith("weight") else 0.0)
    for step, model in enumerate(models):
        model.save_pretrained(tmp_path / f"step{step}")
        file = tmp_path / f"step{step}" / "model.safetensors"
        stored = {key.removeprefix(prefix): tensor for key, tensor in load_file(file).items()}
        save_file(stored, file, metadata={"format": "pt"})
    loader = ModelLoader()
    for checkpoint in find_series(tmp_path, "all"):
        with torch.no_grad():
            found = loader.load(checkpoint)(random_ids()).logits
            assert torch.equal(found, models[checkpoint.step](random_ids()).logits)


def test_a_shard_of_another_step_is_found_in_any_precision(tmp_path: Path) -> None:
    from workbench.activations import find_series_faults

    for step in (0, 10, 20):
        make_tiny("llama", seed=step).save_pretrained(tmp_path / f"step{step}")
    donor = load_file(tmp_path / "step10" / "model.safetensors")
    file = tmp_path / "step20" / "model.safetensors"
    name = "model.layers.1.mlp.up_proj.weight"
    save_file(
        {**load_file(file), name: donor[name].to(torch.bfloat16)}, file, metadata={"format": "pt", "by": "me"}
    )
    assert find_series_faults(find_series(tmp_path, "all")) == [
        f"step10, step20 share 1 of 23 matrices, such as {name}: one holds weights of another step"
    ]


@pytest.mark.parametrize("code", [{"AutoConfig": "my.Config", "AutoModelForCausalLM": "my.Model"}])
def test_code_of_a_repository_is_not_run_nor_asked_about(
    code: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    make_tiny("llama").save_pretrained(tmp_path)
    (tmp_path / "my.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "mine", "auto_map": code}))
    with pytest.raises(WorkbenchError, match=r"config\.json cannot be read as a Hugging Face config"):
        load_model(find_series(tmp_path)[0])
    assert not (tmp_path / "RAN").exists()


NAMES = {
    ("step_5e4", "step-1e5"): [50_000, 100_000],
    ("step-500", "step-1e3"): [500, 1000],
    ("step1.5k", "step2k"): [1500, 2000],
    ("step-500", "step-1,000", "step-1,000,000"): [500, 1000, 1_000_000],
    ("step-500M", "step-1B", "step-1T"): [500_000_000, 10**9, 10**12],
    ("checkpoint-500", "checkpoint-1000"): [500, 1000],
    ("chkpt-9", "chkpt-10"): [9, 10],
    ("500steps", "checkpoint_1000steps"): [500, 1000],
    ("ep0-ba200", "ep1-ba1000"): [200, 1000],
    ("batch-32-step-9", "step-10-batch-32"): [9, 10],
    ("tokens-500M", "2.5B-tokens"): [500_000_000, 2_500_000_000],
    ("step500-tokens2B", "step1000-tokens4B"): [500, 1000],
    ("lr1e-3-step20", "lr1e-3-step100"): [20, 100],
    ("step-2-4bit", "step-1k-4bit"): [2, 1000],
    ("2024-01-02_step-1", "2024-01-01_step-2"): [1, 2],
}
NO_STEP = [
    "epoch_1.5",
    "step-0.5",
    "step-10_000",
    "step--5",
    "step-1" + "0" * 15,
    "v2",
    "2024-01-01",
    "gemma-2b-it",
    "it-10",
]


def name_series(folder: Path, *names: str) -> Path:
    """Model folders of these names, without weights: what a series is read from."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("names", NAMES)
def test_public_namings_of_steps(names: tuple[str, ...], tmp_path: Path) -> None:
    found = find_series(name_series(tmp_path, *names), "all")
    assert [(one.label, one.step, one.counted) for one in found] == [
        (name, step, False) for name, step in zip(names, NAMES[names], strict=True)
    ]
    assert labels(tmp_path) == [names[-1]]


@pytest.mark.parametrize("name", NO_STEP)
def test_half_a_number_is_no_step(name: str) -> None:
    assert step_of(name) is None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("step-5", "step-05"), "has 2 checkpoints of its last step, 5; choose by name: step-05, step-5"),
        (("seed-1-step-9", "seed-2-step-9"), "has 2 checkpoints of its last step, 9; choose by name: seed-1-step-9"),
        (("stage1-step20", "stage2-step1"), r"counts its steps anew in each stage \('stage1-step20', 'stage2-step1'\)"),
        (("ep1-step10", "ep2-step5"), r"anew in each epoch \('ep2-step5' would come before 'ep1-step10'\)"),
        (("epoch-1", "step-2"), r"counts epochs and steps in different names \('epoch-1', 'step-2'\); rename"),
        (("tokens-1B", "3"), r"counts steps and tokens in different names \('3', 'tokens-1B'\)"),
    ],
)  # fmt: skip
def test_what_has_no_last_checkpoint(names: tuple[str, ...], told: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=told):
        find_series(name_series(tmp_path, *names))


def test_what_programs_keep_for_themselves_is_no_member(tmp_path: Path) -> None:
    name_series(tmp_path, "step-4", ".step-5", ".ipynb_checkpoints")
    assert labels(tmp_path, "all") == ["step-4"]


@pytest.mark.parametrize("which", ["²", "every:²", "٣٣", "9" * 30])
def test_a_digit_that_is_no_number_names_no_checkpoint(which: str, tmp_path: Path) -> None:
    for step in (1, 2):
        make_tiny("llama").save_pretrained(tmp_path / f"step{step}")
    with pytest.raises(WorkbenchError, match="has no checkpoint"):
        find_series(tmp_path, which)
