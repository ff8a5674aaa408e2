"""Captured sites are what their names say, by the network's own arithmetic; hooks never stay behind."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, OPTConfig
from workbench_models import list_sites, parse_site, site_axes

from tests.activations.tiny_models import CONFIGS, AnyModel, make_tiny, random_ids
from workbench.activations.capture import Capture, capture
from workbench.errors import WorkbenchError

SEQUENTIAL = [name for name in CONFIGS if name != "gpt_neox-parallel"]


def read_all(model: AnyModel, ids: torch.Tensor) -> Capture:
    """Every site of a model."""
    with torch.no_grad(), capture(model, list_sites(model.config)) as acts:
        return acts.run(ids)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def hooks_of(model: AnyModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def block_modules(model: AnyModel, block: int) -> tuple[Any, Any, Any]:
    """A block's attention writer, its feed-forward writer and its activation function."""
    layer = (model.base_model.h if hasattr(model.base_model, "h") else model.base_model.layers)[block]
    attention = next(
        getattr(layer, name) for name in ("attn", "attention", "self_attn") if hasattr(layer, name)
    )
    writer = next(
        getattr(attention, name) for name in ("c_proj", "dense", "o_proj") if hasattr(attention, name)
    )
    names = ("c_proj", "dense_4h_to_h", "down_proj")
    feed = next(getattr(layer.mlp, name) for name in names if hasattr(layer.mlp, name))
    act = layer.mlp.act if hasattr(layer.mlp, "act") else layer.mlp.act_fn
    return writer, feed, act


@pytest.mark.parametrize("name", CONFIGS)
def test_residual_stream_is_what_hugging_face_returns(name: str) -> None:
    model, ids = make_tiny(name), random_ids()
    acts = read_all(model, ids)
    with torch.no_grad():
        states = model.base_model(ids, output_hidden_states=True).hidden_states
    for block in range(3):
        close(acts[f"resid_pre.{block}"], states[block])
    close(acts["resid_post.1"], states[2])
    close(acts["ln_final"], states[3])  # Hugging Face's last state is after the final norm
    with torch.no_grad():
        head = model.get_output_embeddings()(acts["ln_final"])
        close(head, model(ids).logits)


@pytest.mark.parametrize("name", CONFIGS)
def test_updates_add_up_to_the_residual_stream(name: str) -> None:
    acts = read_all(make_tiny(name), random_ids())
    for block in range(3):
        pre, post = acts[f"resid_pre.{block}"], acts[f"resid_post.{block}"]
        attention, feed_forward = acts[f"attn_out.{block}"], acts[f"mlp_out.{block}"]
        close(pre + attention + feed_forward, post)
        if name in SEQUENTIAL:
            close(pre + attention, acts[f"resid_mid.{block}"])


@pytest.mark.parametrize("name", CONFIGS)
def test_heads_make_the_attention_output(name: str) -> None:
    model = make_tiny(name)
    acts = read_all(model, random_ids())
    for block in range(3):
        writer, feed, _ = block_modules(model, block)
        pattern, v, z = (acts[f"{kind}.{block}"] for kind in ("pattern", "v", "z"))
        close(pattern.sum(-1), torch.ones(pattern.shape[:-1]))
        v = v.repeat_interleave(z.shape[2] // v.shape[2], dim=2)
        close(torch.einsum("bhqk,bkhd->bqhd", pattern, v), z)
        with torch.no_grad():
            close(writer(z.flatten(2)), acts[f"attn_out.{block}"])
            close(feed(acts[f"mlp_post.{block}"]), acts[f"mlp_out.{block}"])


def test_q_and_k_make_the_pattern() -> None:
    acts = read_all(make_tiny("gpt2"), random_ids())
    q, k = acts["q.1"], acts["k.1"]
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf)
    close(scores.softmax(-1), acts["pattern.1"])


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox-parallel"])
def test_the_activation_function_lies_between_pre_and_post(name: str) -> None:
    model = make_tiny(name)
    acts = read_all(model, random_ids())
    close(block_modules(model, 2)[2](acts["mlp_pre.2"]), acts["mlp_post.2"])


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_are_the_tables(name: str) -> None:
    model = make_tiny(name)
    acts = read_all(model, random_ids())
    for site in list_sites(model.config):
        _, sizes = site_axes(site, model.config)
        expected = (3, *sizes, 9, 9) if site.kind == "pattern" else (3, 9, *sizes)
        assert tuple(acts[site.short].shape) == expected, site


@pytest.mark.parametrize("name", CONFIGS)
def test_positions_are_rows_of_the_whole(name: str) -> None:
    model, ids = make_tiny(name), random_ids()
    whole = read_all(model, ids)
    positions = torch.tensor([[8, 0], [3, 3], [1, 7]])
    with torch.no_grad(), capture(model, list_sites(model.config)) as acts:
        acts.run(ids, positions=positions, stop_after_last=False)
    for site in list_sites(model.config):
        for row in range(3):
            for column in range(2):
                token = positions[row, column]
                full = whole[site.short][row]
                expected = full[:, token] if site.kind == "pattern" else full[token]
                assert torch.equal(acts[site.short][row, column], expected), site


LAST_SITES = [
    ["layers"],
    ["resid_post"],
    ["ln_final"],
    ["attn_out.1", "q.0"],
    ["mlp_pre.2", "mlp_post.2", "mlp_out.2", "z.2", "q.2", "pattern.0"],
    ["resid_post.1", "resid_pre.2"],
    ["resid_mid.2", "embed"],
    ["pattern.2", "resid_post.2"],
    ["v.2"],
]


@pytest.mark.parametrize("sites", LAST_SITES, ids=lambda sites: ",".join(sites))
@pytest.mark.parametrize("name", CONFIGS)
def test_the_last_block_at_the_tokens_read_is_the_last_block(name: str, sites: list[str]) -> None:
    model, ids = make_tiny(name), random_ids()
    if name not in SEQUENTIAL:
        sites = [site for site in sites if "resid_mid" not in site]
    positions = torch.tensor([[8, 0], [3, 3], [1, 7]])
    widths: list[int] = []
    block_modules(model, 2)[1].register_forward_pre_hook(lambda module, args: widths.append(args[0].shape[1]))
    with torch.no_grad(), capture(model, sites) as acts:
        short = dict(acts.run(ids, positions=positions))
        assert set(widths) <= {2} or "pattern.2" in sites
        full = dict(acts.run(ids, positions=positions, stop_after_last=False))
        assert widths[-1] == 9
        again = dict(acts.run(ids))
    assert short.keys() == full.keys() == again.keys() == {site.short for site in acts.sites}
    for site, expected in full.items():
        close(short[site], expected)
        assert short[site].shape == expected.shape


def test_hooks_leave_with_the_block_even_after_an_error() -> None:
    model, ids = make_tiny("gpt2"), random_ids()
    with pytest.raises(RuntimeError, match="by the way"), capture(model, ["resid_post", "pattern.0"]) as acts:
        assert hooks_of(model) == 6  # one a site, and two that cut the pass short
        assert model.config._attn_implementation == "eager"
        acts.run(ids)
        raise RuntimeError("by the way")
    assert hooks_of(model) == 0
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(IndexError), capture(model, "resid_post") as acts:
        acts.run(ids + 1000)
    assert hooks_of(model) == 0


def test_only_patterns_change_the_attention() -> None:
    model = make_tiny("llama")
    with capture(model, ["q.0", "k.0", "v.0", "z.0", "resid_post"]):
        assert model.config._attn_implementation == "sdpa"


def test_the_pass_ends_after_the_last_site() -> None:
    model, ids = make_tiny("gpt_neox-sequential"), random_ids()
    ran: list[int] = []
    for number, layer in enumerate(model.base_model.layers):
        layer.register_forward_hook(lambda module, args, output, number=number: ran.append(number))
    with torch.no_grad(), capture(model, ["resid_post.0", "resid_pre.1"]) as acts:
        early = dict(acts.run(ids))
        assert ran == [0]
        late = dict(acts.run(ids, stop_after_last=False))
        assert ran == [0, 0, 1, 2]
    assert all(torch.equal(early[site], late[site]) for site in late)
    assert early.keys() == {"resid_post.0", "resid_pre.1"}


def test_calling_the_model_itself_fills_the_block_too() -> None:
    model, ids = make_tiny("gpt2"), random_ids()
    with capture(model, "blocks.1.hook_resid_post") as acts:
        logits = model(ids).logits
    acts["resid_post.1"].sum().backward()
    assert logits.shape == (3, 9, 60)
    assert model.base_model.h[0].mlp.c_fc.weight.grad is not None
    assert model.base_model.h[2].mlp.c_fc.weight.grad is None


def test_any_module_can_be_named_by_its_path() -> None:
    loader: Any = AutoModelForCausalLM
    config = OPTConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        word_embed_proj_dim=32, max_position_embeddings=64,
    )  # fmt: skip
    model: AnyModel = loader.from_config(config).eval()
    ids = random_ids()
    with torch.no_grad(), capture(model, ["module:model.decoder.layers.1", "module:lm_head"]) as acts:
        acts.run(ids)
        states = model(ids, output_hidden_states=True)
    close(acts["module:lm_head"], states.logits)
    close(
        model.model.decoder.final_layer_norm(acts["module:model.decoder.layers.1"]), states.hidden_states[-1]
    )
    with pytest.raises(WorkbenchError, match=r"'mlp_out\.0' has no place of its own in architecture 'opt'"):
        capture(model, "mlp_out.0")


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("resid_pots.1", "did you mean 'resid_post.1'"),
        ("resid_post.3", "'resid_post.3' is beyond the model's 3 blocks; the last is 'resid_post.2'"),
        ("module:transformer.h.1.mpl", "no module 'transformer.h.1.mpl'; did you mean 'transformer.h.1.mlp'"),
    ],
)
def test_a_site_the_model_lacks_is_refused_with_the_nearest(site: str, message: str) -> None:
    with pytest.raises(WorkbenchError) as error:
        capture(make_tiny("gpt2"), site)
    assert message in str(error.value)


def test_a_site_not_read_is_not_there() -> None:
    model = make_tiny("gpt2")
    with capture(model, "resid_post.1") as acts:
        with pytest.raises(KeyError, match="has not been read; run a forward pass"):
            acts["resid_post.1"]
        with pytest.raises(KeyError, match=r"'resid_post\.0' was not asked for; captured are resid_post\.1"):
            acts["resid_post.0"]
        acts.run(random_ids())
        assert list(acts) == ["resid_post.1"] and len(acts) == 1
        assert acts[parse_site("resid_post.1")] is acts["blocks.1.hook_resid_post"]


def test_a_module_without_token_positions_is_refused() -> None:
    model = make_tiny("llama")
    with (
        pytest.raises(WorkbenchError, match=r"where a tensor was expected|has no token positions"),
        capture(model, "module:model.rotary_emb") as acts,
    ):
        acts.run(random_ids(), positions=torch.zeros(3, 1, dtype=torch.long))


@pytest.mark.parametrize("name", CONFIGS)
def test_padding_on_the_left_changes_nothing(name: str) -> None:
    """The library numbers tokens from the padding on, so GPT-2's, which has a vector for each number, were others."""
    model, ids = make_tiny(name), random_ids(1, 6)
    padded = torch.cat([torch.cat([torch.zeros(1, 3, dtype=torch.long), ids], 1), random_ids(1, 9)])
    mask = torch.ones_like(padded)
    mask[0, :3] = 0
    with torch.no_grad(), capture(model, ["resid_post", "z.0"]) as acts:
        alone = {site: vectors[0] for site, vectors in acts.run(ids).items()}
        for site, vectors in acts.run(padded, mask).items():
            close(vectors[0, 3:], alone[site])
        for site, vectors in acts.run(padded, mask, positions=torch.tensor([[4, 8], [0, 1]])).items():
            close(vectors[0], alone[site][[1, 5]])


@pytest.mark.parametrize(
    ("ids", "positions", "sentence"),
    [
        ([1, 2], None, "ids is list; expected a tensor [texts, tokens] of token ids."),
        (
            torch.ones(4, dtype=torch.long),
            None,
            "ids is [4]; expected a tensor [texts, tokens] of token ids.",
        ),
        (random_ids(), torch.full((3, 1), -1), "There is no token -1 in texts of 9; give 0 to 8."),
        (random_ids(), torch.full((3, 1), 9), "There is no token 9 in texts of 9; give 0 to 8."),
        (
            random_ids(),
            torch.zeros(2, 1),
            "positions is [2, 1]; expected a tensor [3, places] of token numbers.",
        ),
        (random_ids(), [[0]], "positions is list; expected a tensor [3, places] of token numbers."),
    ],
)
def test_places_outside_a_text_are_refused(ids: Any, positions: Any, sentence: str) -> None:
    """The -1 that a reading has for "no such place" gave the vectors of the last token."""
    with pytest.raises(WorkbenchError) as refused, capture(make_tiny("llama"), "resid_post.0") as acts:
        acts.run(ids, positions=positions)
    assert str(refused.value) == sentence
