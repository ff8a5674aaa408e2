"""Fresh models: deterministic, initialised as GPT-2, equal after Hugging Face's own loader."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from workbench_models import (
    ARCHITECTURES,
    PRESETS,
    Architecture,
    ModelError,
    ModelShape,
    count_parameters,
    is_bidirectional,
    load_preset,
    make_model,
)

VOCAB_SIZE = 60
AnyModel = Any  # transformers leaves its models' attributes untyped


def small_model(
    architecture: Architecture, seed: int = 0, attention: str = "sdpa", dropout: float = 0.0
) -> AnyModel:
    """Two blocks of width 32 in evaluation mode."""
    shape = ModelShape(architecture, n_layers=2, d_model=32, n_heads=4, max_length=24)
    model: AnyModel = make_model(
        shape,
        vocab_size=VOCAB_SIZE,
        seed=seed,
        eos_token_id=0,
        pad_token_id=1,
        attention=attention,
        dropout=dropout,
    )
    return model.eval()


def random_ids(rows: int = 3, length: int = 11) -> torch.Tensor:
    """Token ids without padding or end-of-sequence."""
    return torch.randint(2, VOCAB_SIZE, (rows, length), generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_model_reloads_with_equal_logits(
    architecture: Architecture, attention: str, tmp_path: Path
) -> None:
    model = small_model(architecture, attention=attention)
    model.save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=attention)
    assert type(reloaded) is type(model)
    assert torch.equal(reloaded(random_ids()).logits, model(random_ids()).logits)
    assert is_bidirectional(reloaded.config) == (architecture == "gbert")
    assert reloaded.config.use_cache is False
    assert (reloaded.config.eos_token_id, reloaded.config.pad_token_id) == (0, 1)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_later_token_reaches_an_earlier_one_only_in_gbert(
    architecture: Architecture, attention: str, tmp_path: Path
) -> None:
    small_model(architecture).save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=attention)
    ids = random_ids()
    changed = ids.clone()
    changed[:, -1] = 2 + (ids[:, -1] - 1) % (VOCAB_SIZE - 2)
    difference = (model(ids).logits - model(changed).logits)[:, :-1].abs().amax(dim=(1, 2))
    if architecture == "gbert":
        assert (difference > 1e-4).all()
    else:
        assert (difference == 0).all()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_behind_a_mask_changes_nothing(
    architecture: Architecture, attention: str, tmp_path: Path
) -> None:
    small_model(architecture).save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=attention)
    ids = random_ids(rows=2)
    short = model(ids[:1, :6]).logits
    padded = ids.clone()
    padded[0, 6:] = 1
    mask = torch.ones_like(padded)
    mask[0, 6:] = 0
    together = model(padded, attention_mask=mask).logits
    torch.testing.assert_close(together[:1, :6], short, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(together[1:], model(ids[1:]).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_seed_makes_one_model_and_leaves_the_random_state_alone(architecture: Architecture) -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    first = small_model(architecture, seed=5)
    assert torch.equal(torch.rand(3), expected)
    second, other = small_model(architecture, seed=5), small_model(architecture, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.get_input_embeddings().weight, other.get_input_embeddings().weight)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_initialisation_is_gpt2s(architecture: Architecture) -> None:
    shape = ModelShape(architecture, n_layers=3, d_model=128, n_heads=4, max_length=128)
    model: AnyModel = make_model(shape, vocab_size=550, seed=0, eos_token_id=0, pad_token_id=0)
    writers = 0
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        else:
            writes = any(
                end in name for end in ("c_proj", "dense.weight", "dense_4h_to_h", "o_proj", "down_proj")
            )
            writers += writes
            expected = 0.02 / math.sqrt(6) if writes else 0.02
            assert parameter.std().item() == pytest.approx(
                expected, rel=max(0.03, 3 / parameter.numel() ** 0.5)
            ), name
            assert abs(parameter.mean().item()) < expected * 5 / math.sqrt(parameter.numel()), name
    assert writers == 2 * 3
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_reaches_training_and_not_evaluation(architecture: Architecture) -> None:
    model = small_model(architecture, dropout=0.1)
    ids = random_ids()
    quiet = small_model(architecture)(ids).logits
    assert torch.equal(model(ids).logits, quiet)
    # Written-out attention, because llama's dropout is in attention alone.
    model.set_attn_implementation("eager")
    assert not torch.equal(model.train()(ids).logits, quiet)


def test_rotary_models_turn_a_quarter_of_each_head() -> None:
    model = small_model("gpt2-rotary")
    inverse_frequencies = model.base_model.rotary_emb.inv_freq
    assert inverse_frequencies.tolist() == [1.0]
    wide: AnyModel = make_model(
        PRESETS["tiny"], vocab_size=VOCAB_SIZE, seed=0, eos_token_id=0, pad_token_id=0
    )
    assert wide.base_model.rotary_emb.inv_freq.tolist() == pytest.approx([1.0, 0.1, 0.01, 0.001])


def test_llama_trains_its_end_token_where_padding_is_the_same_token() -> None:
    shape = ModelShape("llama", n_layers=1, d_model=32, n_heads=4, max_length=24)
    model: AnyModel = make_model(shape, vocab_size=VOCAB_SIZE, seed=0, eos_token_id=3, pad_token_id=3)
    model.get_input_embeddings()(torch.tensor([3])).sum().backward()
    assert (model.get_input_embeddings().weight.grad[3] == 1).all()


@pytest.mark.parametrize(("name", "vocab_size", "expected"), [("tiny", 550, 0.67e6), ("small", 4000, 27e6)])
def test_presets_have_the_promised_number_of_parameters(name: str, vocab_size: int, expected: float) -> None:
    with torch.device("meta"):
        from transformers import GPTNeoXForCausalLM
        from workbench_models.architectures import _make_config

        model = GPTNeoXForCausalLM(_make_config(PRESETS[name], vocab_size, 0, 0, 0.0))
    assert count_parameters(model) == pytest.approx(expected, rel=0.02)


VARIANTS: dict[str, dict[str, Any]] = {
    "no feed-forward part": {"architecture": "gpt2-rotary", "mlp_ratio": 0},
    "a quarter": {"architecture": "gpt2-rotary", "mlp_ratio": 1},
    "llama without": {"architecture": "llama", "mlp_ratio": 0},
    "llama, apart": {"architecture": "llama", "tied": False},
    "four experts": {"architecture": "mixtral", "experts": 4, "mlp_ratio": 0.5},
}


def variant(name: str) -> AnyModel:
    shape = ModelShape(**{"n_layers": 2, "d_model": 32, "n_heads": 4, "max_length": 24, **VARIANTS[name]})
    return make_model(shape, vocab_size=VOCAB_SIZE, seed=0, eos_token_id=0, pad_token_id=1).eval()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # the library's, of width 0
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_reload_and_show_their_sites(name: str, tmp_path: Path) -> None:
    from workbench_models import list_sites, site_axes

    from workbench.activations import capture

    model = variant(name)
    model.save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(reloaded(random_ids()).logits, model(random_ids()).logits)
    sites = list_sites(model.config)
    assert any(site.kind == "mlp_post" for site in sites) == (
        VARIANTS[name].get("mlp_ratio") == 1 or "apart" in name
    )
    with capture(model, [site for site in sites if site.kind != "pattern"]) as acts, torch.no_grad():
        acts.run(random_ids())
        for site in sites:
            if site.kind != "pattern":
                assert acts[site].shape[2:] == site_axes(site, model.config)[1], site
        sums = acts["resid_pre.1"] + acts["attn_out.1"] + acts["mlp_out.1"]
        torch.testing.assert_close(acts["resid_post.1"], sums, rtol=1e-5, atol=1e-6)


def test_variants_weigh_what_the_paper_says() -> None:
    """In d² a block: GPT-2 4 + 8, its quarter 4 + 2, none 4; Mistral's gated part 10.5; 4 experts of 3 · ½."""
    d = 64

    def weight(**changes: Any) -> float:
        counts = []
        for n_layers in (1, 2):
            shape = ModelShape(
                **{"architecture": "gpt2-rotary", "n_heads": 4, "max_length": 24, **changes},
                n_layers=n_layers,
                d_model=d,
            )
            with torch.device("meta"):
                from workbench_models.architectures import _make_config

                loader: AnyModel = AutoModelForCausalLM
                model = loader.from_config(_make_config(shape, 9, 0, 1, 0.0))
            counts.append(sum(p.numel() for p in model.parameters() if p.ndim > 1))
        return (counts[1] - counts[0]) / d**2

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [weight(), weight(mlp_ratio=1), weight(mlp_ratio=0)] == [12, 6, 4]
    assert weight(architecture="mistral") == 4 + 10.5
    assert (
        weight(architecture="mistral", n_heads=8) == 2 + 2 * 0.5 + 10.5
    )  # four heads of keys and values for eight
    router = 4 / d
    assert weight(architecture="mixtral", experts=4, mlp_ratio=0.5) == 4 + 4 * 1.5 + router


def test_preset_takes_another_architecture() -> None:
    assert load_preset("paper", "llama") == ModelShape("llama", 12, 768, 12, 512)
    assert load_preset("paper-bioR") == ModelShape("gpt2-rotary", 12, 1280, 20, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gpt3", 2, 32, 4, 24), "architecture 'gpt3' does not exist; did you mean 'gpt2'"),
        (("gpt2", 0, 32, 4, 24), "n_layers is 0; expected a whole number of at least 1"),
        (("gpt2", 2, 30, 4, 24), "d_model 30 is not a multiple of n_heads 4; choose a width such as 32"),
        (
            ("gpt2", 2, 32, 4, 24, 0.3),
            "mlp_ratio 0.3 of d_model 32 is no whole number of neurons; choose a ratio such",
        ),
        (
            ("gpt2", 2, 32, 4, 24, 0),
            "mlp_ratio 0 does not work in gpt2, whose layers cannot be empty; use gpt2-rotary",
        ),
        (("mixtral", 2, 32, 4, 24, None, True, 8, 1), "active_experts is 1 of 8 experts; expected 2 to 8"),
        (("gpt2-rotary", 2, 48, 4, 24), "head width 12 .* needs a multiple of 8"),
    ],
)
def test_impossible_shapes_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelShape(*arguments)


def test_bad_arguments_are_refused() -> None:
    shape = ModelShape("gpt2", 1, 32, 4, 24)
    with pytest.raises(ModelError, match="eos_token_id is 9; expected an id below the vocabulary size 9"):
        make_model(shape, vocab_size=9, seed=0, eos_token_id=9, pad_token_id=0)
    with pytest.raises(ModelError, match="attention 'flash' does not exist; expected 'sdpa' or 'eager'"):
        make_model(shape, vocab_size=9, seed=0, eos_token_id=0, pad_token_id=0, attention="flash")
    with pytest.raises(ModelError, match=r"dropout is 1\.0; expected"):
        make_model(shape, vocab_size=9, seed=0, eos_token_id=0, pad_token_id=0, dropout=1.0)
    with pytest.raises(ModelError, match="model preset 'tinny' does not exist; did you mean 'tiny'"):
        load_preset("tinny")
