"""Names of sites: hook names and short forms mean the same, unknown ones are refused with the nearest."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import workbench_models
from workbench_models import (
    FAMILIES,
    ModelError,
    Place,
    layer_site,
    list_sites,
    locate,
    parse_site,
    parse_sites,
    site_axes,
)


def config(model_type: str, **more: object) -> SimpleNamespace:
    """As much of a Hugging Face config as the table reads: 4 blocks of width 24 with 6 heads."""
    values: dict[str, object] = {"num_hidden_layers": 4, "hidden_size": 24, "num_attention_heads": 6}
    return SimpleNamespace(model_type=model_type, **(values | more))


@pytest.mark.parametrize(
    ("short", "name", "layer"),
    [
        ("embed", "hook_embed", 0),
        ("resid_pre.0", "blocks.0.hook_resid_pre", 0),
        ("resid_mid.1", "blocks.1.hook_resid_mid", 2),
        ("resid_post.3", "blocks.3.hook_resid_post", 4),
        ("attn_out.2", "blocks.2.hook_attn_out", 3),
        ("mlp_out.12", "blocks.12.hook_mlp_out", 13),
        ("mlp_pre.0", "blocks.0.mlp.hook_pre", 1),
        ("mlp_post.0", "blocks.0.mlp.hook_post", 1),
        ("q.1", "blocks.1.attn.hook_q", 2),
        ("k.1", "blocks.1.attn.hook_k", 2),
        ("v.1", "blocks.1.attn.hook_v", 2),
        ("z.1", "blocks.1.attn.hook_z", 2),
        ("pattern.0", "blocks.0.attn.hook_pattern", 1),
        ("ln_final", "ln_final.hook_normalized", None),
        ("module:transformer.h.3.mlp", "module:transformer.h.3.mlp", None),
    ],
)
def test_short_form_and_hook_name_are_one_site(short: str, name: str, layer: int | None) -> None:
    site = parse_site(short)
    assert parse_site(name) == site
    assert (site.name, site.short, site.layer, str(site)) == (name, short, layer, short)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resid_pots.3", "'resid_pots.3' does not exist; did you mean 'resid_post.3'"),
        ("blocks.2.hook_resid_pst", "did you mean 'blocks.2.hook_resid_post'"),
        ("blocks.2.attn.hook_queue", "did you mean 'blocks.2.attn.hook_q"),
        ("ln_finale", "did you mean 'ln_final'"),
        ("resid_post", "'resid_post' lacks its block; write 'resid_post.0'"),
        ("module:", "names no module"),
        ("77", "expected one of embed, ln_final, resid_pre.0"),
    ],
)
def test_unknown_site_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_site(text)


def test_a_bare_kind_is_all_blocks_and_each_site_comes_once() -> None:
    def shorts(*arguments: object, **options: object) -> list[str]:
        return [site.short for site in parse_sites(*arguments, **options)]  # type: ignore[arg-type]

    assert shorts("resid_post", 3) == ["resid_post.0", "resid_post.1", "resid_post.2"]
    assert shorts("resid_post", 3, layers=[2, 0]) == ["resid_post.0", "resid_post.2"]
    assert shorts(["ln_final", "q", "q.0"], 2) == ["ln_final", "q.0", "q.1"]
    assert shorts("embed, z.1", 2) == ["embed", "z.1"]
    assert shorts("layers", 2) == ["resid_pre.0", "resid_post.0", "resid_post.1", "ln_final"]
    assert shorts("layers", 2, layers=[0, 2]) == ["resid_pre.0", "resid_post.1"]
    assert shorts([parse_site("v.0")], 1) == ["v.0"]
    with pytest.raises(
        ModelError, match=r"'resid_post\.3' is beyond the model's 3 blocks; the last is 'resid_post\.2'"
    ):
        parse_sites("resid_post.3", 3)
    with pytest.raises(ModelError, match="no site was named"):
        parse_sites([], 3)


def test_layers_count_residual_states() -> None:
    assert layer_site(0, 3).short == "resid_pre.0"
    assert layer_site(3, 3).short == "resid_post.2"
    assert layer_site("final", 3).short == "ln_final"
    assert [layer_site(layer, 3).layer for layer in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ModelError, match="layer 4 does not exist; expected 0 to 3 or 'final'"):
        layer_site(4, 3)


# Kinds of which an architecture has no module of its own.
MISSING = {"mixtral": 2, "phi3": 4, "opt": 4, "gptj": 1, "gpt_bigcode": 3, "bloom": 3}


def test_every_family_places_every_site() -> None:
    for model_type in FAMILIES:
        sites = list_sites(config(model_type))
        assert len(sites) == 2 + 4 * (12 - MISSING.get(model_type, 0))
        assert len({locate(site, config(model_type)) for site in sites}) == len(sites)
        for site in sites:
            names, sizes = site_axes(site, config(model_type))
            assert len(names) == len(sizes)
    assert locate("q.1", config("gpt2")) == Place("h.1.attn.c_attn", "output", cut="q|k|v", part=0, heads=6)
    assert locate("k.1", config("mistral", num_key_value_heads=2)).heads == 2
    assert locate("module:a.b", config("unheard_of")) == Place("a.b", "output")
    assert site_axes(parse_site("k.1"), config("qwen3", num_key_value_heads=2, head_dim=8)) == (
        ("head", "head_width"),
        (2, 8),
    )


def test_parallel_residuals_have_no_middle() -> None:
    parallel = config("gpt_neox", use_parallel_residual=True)
    assert not any(site.kind == "resid_mid" for site in list_sites(parallel))
    with pytest.raises(
        ModelError, match=r"'resid_mid\.1' does not exist in this model: its attention and feed-forward"
    ):
        locate("resid_mid.1", parallel)


def test_other_architectures_are_refused_towards_a_module_path() -> None:
    with pytest.raises(
        ModelError, match=r"no known place in architecture 'rwkv' .*'module:model\.layers\.3\.mlp'"
    ):
        locate("resid_post.0", config("rwkv"))


def test_importing_the_package_imports_neither_torch_nor_transformers() -> None:
    program = "import sys, workbench_models; print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    folder = Path(workbench_models.__file__).parents[1]
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert result.stdout.strip() == "set()"
