"""The three engines read the same vectors on every architecture, and leave the model as it was."""

from pathlib import Path

import pytest
import torch
from workbench_models import list_sites, parse_site

from tests.activations.tiny_models import CONFIGS, make_tiny, random_ids
from workbench.activations.engines import ENGINES, TOLERANCE, open_engine
from workbench.activations.toolkits import bridge, copy_sharing_weights, trace
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.tokens.tokenizers import make_tokenizer

# TransformerLens, nnsight and what they import warn about their own use of other libraries.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "hooks"])
@pytest.mark.parametrize("name", CONFIGS)
def test_engines_agree(name: str, engine: str) -> None:
    model, ids = make_tiny(name), random_ids()
    mask = torch.ones_like(ids)
    mask[0, 6:], mask[1, 8:] = 0, 0
    positions = torch.tensor([[5, 0], [7, 2], [8, 3]])
    # Once with patterns (attention written out in all engines), once without (own hooks stay on SDPA).
    sites = list_sites(model.config)
    for chosen in (sites, [site for site in sites if site.kind != "pattern"]):
        found = {}
        for which in ("hooks", engine):
            with torch.no_grad(), open_engine(which, model, chosen) as opened:
                assert opened.name == which
                found[which] = opened.read(ids, mask, positions)
        assert found[engine].keys() == found["hooks"].keys() == {site.short for site in chosen}
        for site, expected in found["hooks"].items():
            difference = (found[engine][site] - expected).abs().max() / expected.abs().max()
            assert difference <= TOLERANCE, (site, difference)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_model_stays_as_it_was(engine: str) -> None:
    model, ids = make_tiny("gpt2"), random_ids()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        logits = model(ids).logits
        modules = {name: set(vars(module)) for name, module in model.named_modules()}
        with open_engine(engine, model, list_sites(model.config)) as opened:
            opened.read(ids, torch.ones_like(ids), torch.zeros(3, 1, dtype=torch.long))
        assert torch.equal(model(ids).logits, logits)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == modules
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("engine", ["hooks", "nnsight"])
def test_module_paths_reach_the_output_head(engine: str) -> None:
    model, ids = make_tiny("llama"), random_ids()
    sites = [
        parse_site("module:lm_head"),
        parse_site("resid_post.0"),
        parse_site("module:model.layers.1.mlp"),
    ]
    positions = torch.full((3, 1), 8)
    with torch.no_grad(), open_engine(engine, model, sites) as opened:
        found = opened.read(ids, torch.ones_like(ids), positions)
        torch.testing.assert_close(found["module:lm_head"][:, 0], model(ids).logits[:, 8])
    with pytest.raises(WorkbenchError, match="a module path, which TransformerLens does not know"):
        open_engine("transformer-lens", model, sites).__enter__()


def test_an_unknown_engine_is_refused() -> None:
    with (
        pytest.raises(WorkbenchError, match="engine 'nnsigth' does not exist; did you mean 'nnsight'"),
        open_engine("nnsigth", make_tiny("gpt2"), [parse_site("resid_post.0")]),
    ):
        pass


def test_a_copy_shares_weights_and_nothing_else() -> None:
    model = make_tiny("qwen2")
    copied = copy_sharing_weights(model)
    for own, other in zip(model.parameters(), copied.parameters(), strict=True):
        assert own is other
    assert copied.config is not model.config
    copied.set_attn_implementation("eager")
    assert model.config._attn_implementation == "sdpa"
    with torch.no_grad():
        model.base_model.norm.weight.fill_(3.0)
        logits = model(random_ids()).logits
        torch.testing.assert_close(copied(random_ids()).logits, logits, rtol=1e-4, atol=1e-4)


def test_bridge_and_trace_hand_out_the_model(tmp_path: Path) -> None:
    model, ids = make_tiny("gpt_neox-sequential"), random_ids()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        logits = model(ids).logits
        torch.testing.assert_close(bridge(tmp_path)(ids), logits)
        traced = trace(tmp_path)
        with traced.trace(input_ids=ids):
            saved = traced.lm_head.output.save()
        torch.testing.assert_close(saved, logits)


def test_a_bridge_boots_with_a_closed_vocabulary_that_lacks_the_word_it_is_tried_with(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="word"), ["Anya Forger was born in Princeton."])
    model, ids = make_tiny("gpt_neox-sequential"), random_ids()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "a" not in tokenizer.get_vocab()
    with torch.no_grad():
        bridged = bridge(tmp_path)
        torch.testing.assert_close(bridged(ids), model(ids).logits)
    own = tokenizer("Anya was born")["input_ids"]
    assert bridged.to_tokens("Anya was born", prepend_bos=False).tolist() == [own]
    assert bridged.to_tokens("Anya was born", prepend_bos=True)[0].tolist() == [tokenizer.eos_token_id, *own]


def test_a_bridge_of_a_bidirectional_model_is_refused(tmp_path: Path) -> None:
    make_tiny("gbert").save_pretrained(tmp_path)
    with pytest.raises(WorkbenchError, match="is bidirectional, and a TransformerBridge reads it as causal"):
        bridge(tmp_path)
    assert trace(tmp_path) is not None
