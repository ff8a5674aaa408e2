"""A study of another architecture: what it has is done, what it lacks is one sentence, nothing is a traceback."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, Gemma3TextConfig, MambaConfig, OPTConfig

from tests.studies.towns import make_tokenizer, workbench, write_towns
from workbench.attention.parts import open_parts
from workbench.attention.runner import AttentionRequest, run_attention
from workbench.errors import WorkbenchError
from workbench.extraction.finetunes import open_finetune
from workbench.results.storing import load_results
from workbench.studies.opening import open_study

SMALL: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "num_hidden_layers": 2}
ATTENTIVE: dict[str, Any] = {**SMALL, "hidden_size": 16, "num_attention_heads": 2}
CONFIGS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "bloom": (BloomConfig, {**ATTENTIVE, "n_layer": 2, "n_head": 2}),  # it sets no length of context
    "gemma3": (
        Gemma3TextConfig,
        {**ATTENTIVE, "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 32},
    ),
    "mamba": (MambaConfig, {**SMALL, "hidden_size": 16, "state_size": 4}),  # it has no attention
    "opt": (
        OPTConfig,
        {**ATTENTIVE, "word_embed_proj_dim": 16, "ffn_dim": 32, "max_position_embeddings": 32},
    ),
}


@pytest.fixture(scope="module", params=CONFIGS)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tokenizer = tmp_path_factory.mktemp(request.param), make_tokenizer()
    kind, settings = CONFIGS[request.param]
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(kind(vocab_size=len(tokenizer), **settings))
    model.save_pretrained(folder / "series")
    tokenizer.save_pretrained(str(folder / "series"))
    write_towns(folder)
    workbench("study", folder / "towns.toml", "--out", folder / "study")
    return folder / "study"


def test_probes_and_answers_need_no_attention(study: Path) -> None:
    quiet = ("--quiet", "--device", "cpu")
    workbench("probe", study, "--family", "ridge", *quiet)
    workbench("probe", study, "--kind", "q", "--steps", "2", *quiet)
    workbench("cache-acts", study, *quiet)
    workbench("evaluate", study, "--device", "cpu")
    assert float(load_results(study, "qa", "none")["n"].sum()) == 60


def test_a_finetune_is_a_study_of_its_own(study: Path) -> None:
    workbench("finetune", study, "--method", "full", "--steps", "2", "--device", "cpu")
    tuned = open_finetune(open_study(study), "full")
    opened = open_study(tuned.path)
    assert opened.schema == open_study(study).schema
    assert [one.step for one in opened.checkpoints] == [one.step for one in tuned.checkpoints] != []
    workbench("probe", tuned.path, "--family", "ridge", "--quiet", "--device", "cpu")
    assert load_results(tuned.path, "p", "ridge")["accuracy"].notnull().any()


def test_what_an_architecture_lacks_is_one_sentence(study: Path) -> None:
    opened = open_study(study)
    checkpoints, name = opened.checkpoints, opened.architecture
    lens = run_attention(opened, checkpoints, AttentionRequest("lens", entries=4))
    assert lens[0].sizes["layer"] == 3
    patterns = AttentionRequest("shares", entries=4)
    if name in ("bloom", "mamba"):
        with pytest.raises(WorkbenchError, match=r"pattern\.0.*no place of its own|no attention heads"):
            run_attention(opened, checkpoints, patterns)
    else:
        (shares,) = run_attention(opened, checkpoints, patterns)
        assert float(shares["share"].sum("role").max()) == pytest.approx(1, abs=1e-4)


def test_a_part_is_looked_up_when_it_is_asked_for() -> None:
    model: Any = AutoModelForCausalLM.from_config(BloomConfig(vocab_size=8, **CONFIGS["bloom"][1]))
    parts = open_parts(model)
    assert parts.n_blocks == 2
    with pytest.raises(WorkbenchError, match="no place of its own in architecture 'bloom'"):
        _ = parts.attention
