"""Cuts: nothing cut is nothing changed, everything cut is no attention, and each cut equals a plain masked run."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.attention.small_models import ARCHITECTURES, random_model, small_examples
from workbench.attention.ablation import mean_outputs, measure_ablation
from workbench.attention.knockout import Window, draw_control, find_cut, make_windows, measure_knockout
from workbench.attention.parts import hooks, on_input, open_parts, written_out
from workbench.attention.queries import QueryPass
from workbench.attention.roles import RoleLegend
from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import SCHEMA

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_queries_alone_give_what_the_whole_entry_gives(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    parts, batch = open_parts(model), examples.batch(np.arange(len(examples)))
    with written_out(model):
        queries = QueryPass(parts, batch)
        plain = batch.at_positions(parts.states(batch.ids_BT))
        nothing = torch.zeros_like(queries.visible_BPK)
        for _ in range(2):  # the kept keys are not changed by a run
            torch.testing.assert_close(queries.run(), plain, **CLOSE)
            torch.testing.assert_close(queries.run(nothing, blocks=[0, 1]), plain, **CLOSE)
        same = queries.run(replace=(1, queries.states_LBPD[1]))
        torch.testing.assert_close(same, plain, **CLOSE)
    torch.testing.assert_close(queries.clean_BPD, plain, **CLOSE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_cut_equals_a_run_of_the_text_so_far_with_that_row_masked(architecture: str) -> None:
    """The slow way: one entry cut behind the position, the last row of the mask changed by hand."""
    model, examples = random_model(architecture), small_examples()
    parts, batch = open_parts(model), examples.batch(np.arange(3))
    heads, block = [1, 3], 1
    with written_out(model):
        queries = QueryPass(parts, batch)
        cut_BPK = find_cut(queries, "name", RoleLegend(SCHEMA.keys))
        found = queries.run(cut_BPK, blocks=[block], heads=heads)
        for row, position in ((0, 2), (2, 5)):
            length = int(batch.positions_BP[row, position]) + 1
            mask = torch.zeros(1, parts.n_heads, length, length)
            mask.masked_fill_(torch.ones(length, length).triu(1).bool(), torch.finfo(torch.float32).min)
            named = cut_BPK[row, position, :length]
            mask[0, heads, -1] = mask[0, heads, -1].masked_fill(named, torch.finfo(torch.float32).min)

            def hook(_m: Any, args: Any, kwargs: Any, mask: torch.Tensor = mask) -> Any:
                return args, {**kwargs, "attention_mask": mask}

            with hooks(partial(parts.attention[block].register_forward_pre_hook, hook, with_kwargs=True)):
                expected = parts.states(batch.ids_BT[row : row + 1, :length])[0, -1]
            torch.testing.assert_close(found[row, position], expected, **CLOSE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cutting_every_role_removes_the_attention(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    parts, batch = open_parts(model), examples.batch(np.arange(3))
    with written_out(model):
        queries = QueryPass(parts, batch)
        found = queries.run(find_cut(queries, "everything", RoleLegend(SCHEMA.keys)), blocks=[0, 1])
        for row, position in ((0, 0), (1, 4)):
            length = int(batch.positions_BP[row, position]) + 1

            def silence(flow: torch.Tensor) -> torch.Tensor:
                last = torch.zeros(flow.shape[1], dtype=torch.bool)
                last[-1] = True
                return flow.masked_fill(last[:, None], 0.0)

            with hooks(*(on_input(writer, silence) for writer in parts.writers)):
                expected = parts.states(batch.ids_BT[row : row + 1, :length])[0, -1]
            torch.testing.assert_close(found[row, position], expected, **CLOSE)


def test_a_cut_that_is_refused_leaves_nothing_on_the_model() -> None:
    """The first block's cut was made when the second one's heads turned out not to exist."""
    model, examples = random_model("gpt2"), small_examples()
    parts, batch = open_parts(model), examples.batch(np.arange(3))
    with written_out(model):
        queries = QueryPass(parts, batch)
        cut_BPK = find_cut(queries, "everything", RoleLegend(SCHEMA.keys))
        with pytest.raises(WorkbenchError, match="head 99"):
            queries.run(cut_BPK, blocks=[0, 1], heads={0: [0], 1: [99]})
        torch.testing.assert_close(queries.run(), batch.at_positions(parts.states(batch.ids_BT)), **CLOSE)
    assert not [hook for module in model.modules() for hook in module._forward_pre_hooks]


def test_the_control_cuts_as_many_tokens_that_the_position_sees() -> None:
    model, examples = random_model("gpt2"), small_examples()
    with written_out(model):
        queries = QueryPass(open_parts(model), examples.batch(np.arange(3)))
    cut = find_cut(queries, "name", RoleLegend(SCHEMA.keys)) & queries.visible_BPK
    draws = torch.rand(cut.shape, generator=torch.Generator().manual_seed(0))
    control = draw_control(queries.visible_BPK, cut, draws)
    assert torch.equal(control.sum(-1), cut.sum(-1))
    assert not (control & ~queries.visible_BPK).any()
    assert not torch.equal(control, cut)


def test_a_role_counts_only_where_it_is_seen() -> None:
    examples = small_examples("single")
    result = measure_knockout(random_model("gpt2"), examples, roles=["value:major", "start"])
    n = result["n"].sel(window="all")
    assert n.sel(role="start").sum() == (examples.positions >= 0).sum()
    assert n.sel(role="value:major").sum("attribute").values.tolist() == [0, 0, 0, 0, 6, 6]
    assert result["accuracy"].where(result["n"] == 0).isnull().all()
    assert abs(result["probability_clean"] - result["probability"] - result["loss"]).max() < 1e-6


def test_windows() -> None:
    assert [window.label for window in make_windows(3)] == ["all", "0", "1", "2"]
    assert [window.label for window in make_windows(12)][:3] == ["all", "0-3", "1-4"]
    assert make_windows(1) == (Window("all", (0,)),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roles": ["nmae"]}, "There is no role 'nmae'; did you mean 'name'"),
        ({"roles": ["other_entry"]}, "No entry has the role 'other_entry' before a position"),
        ({"heads": [4]}, "head 4 does not exist; each block has 4, numbered 0 to 3"),
        ({"windows": [Window("x", (2,))]}, "block 2 does not exist; the model has 2"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        measure_knockout(random_model("gpt2"), small_examples(), **changes)


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="window of 3 blocks does not fit; the model has 2"):
        make_windows(2, 3)


def test_means_are_over_the_tokens_of_the_entries() -> None:
    model, examples = random_model("llama"), small_examples()
    parts = open_parts(model)
    with written_out(model):
        heads, mlps = mean_outputs(parts, examples)
        small_heads, small_mlps = mean_outputs(parts, examples, batch_tokens=60)
    assert heads.shape == (2, 4, 8)
    assert mlps.shape == (2, 32)
    torch.testing.assert_close(heads, small_heads)
    torch.testing.assert_close(mlps, small_mlps)


def test_ablation_names_every_part() -> None:
    result = measure_ablation(random_model("gpt2-rotary"), small_examples())
    parts = "0.0 0.1 0.2 0.3 0.mlp 1.0 1.1 1.2 1.3 1.mlp"
    assert " ".join(result["part"].values) == parts
    assert float(abs(result["loss"]).max()) > 0


def test_a_mean_that_is_the_first_token_s_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """In SmolLM2 the mean of block 28's feed-forward part costs all there is to lose, and nothing in its place .01."""
    model, examples = random_model("llama"), small_examples()
    with written_out(model):
        mean_outputs(open_parts(model), examples)
        assert not caplog.messages
        far = torch.zeros(1, 1, 32).expand(1, 1000, 32).clone()
        far[:, 0] = 1e4

        def add(_module: object, _args: object, output: torch.Tensor) -> torch.Tensor:
            return output + far[:, : output.shape[1]]

        with hooks(partial(model.model.layers[1].mlp.register_forward_hook, add)):
            mean_outputs(open_parts(model), examples)
    assert caplog.messages == [
        "The mean of 1 part (1.mlp) is mostly what it writes at a text's first token: put at every token it harms more "
        "than nothing there would (mode zero)."
    ]
