"""In a model built so that head 1.1 carries the company from the last name, every analysis says so."""

import numpy as np
import pytest

from tests.attention.small_models import planted
from workbench.attention.ablation import measure_ablation
from workbench.attention.head_scores import measure_heads
from workbench.attention.interchange import make_pairs, measure_interchange
from workbench.attention.knockout import measure_knockout
from workbench.attention.logit_lens import measure_lens
from workbench.attention.shares import measure_shares

CELL = {"position": 0, "attribute": "company"}


def test_shares_name_the_head_and_the_role() -> None:
    shares = measure_shares(planted().model, planted().examples)["share"].sel(position=0)
    assert shares.sel(block=1, head=1, role="name_last").item() == pytest.approx(1)
    others = shares.sel(role="name_last").values.copy()
    others[1, 1] = 0
    np.testing.assert_allclose(others[others > 0], 1 / 11, atol=1e-6)  # eleven tokens, all alike


def test_knockout_names_the_block_the_head_and_the_role() -> None:
    case = planted()
    result = measure_knockout(case.model, case.examples).sel(CELL)
    assert (result["accuracy_clean"].dropna("role") == 1).all()
    accuracy = result["accuracy"]
    for role in ("name_last", "name", "everything"):
        assert accuracy.sel(role=role).values.tolist() == [0, 1, 0]  # windows all, 0, 1
    for role in ("name_first", "name_middle", "pronoun", "own_template", "other_template", "start"):
        assert (accuracy.sel(role=role) == 1).all()
        assert abs(result["loss"].sel(role=role)).max() < 0.01
    for heads, expected in (([1], 0), ([0], 1)):
        one = measure_knockout(case.model, case.examples, roles=["name_last"], heads=heads).sel(CELL)
        assert one["accuracy"].sel(role="name_last", window="1").item() == expected


def test_ablation_names_the_head() -> None:
    result = measure_ablation(planted().model, planted().examples).sel(CELL)
    loss = result["loss"]
    assert result["part"].values[int(np.argmax(loss.sel(mode="mean").values))] == "1.1"
    assert result["accuracy"].sel(part="1.1", mode="zero").item() == 0
    idle = loss.drop_sel(part=["1.1", "0.0"])
    assert abs(idle).max() < 1e-6
    # Head 0.0 writes the same everywhere: its mean is itself, its absence is not.
    assert abs(loss.sel(part="0.0", mode="mean")) < 1e-6
    assert abs(loss.sel(part="0.0", mode="zero")) > 1e-6


def test_interchange_names_the_layer_and_the_role() -> None:
    case = planted()
    result = measure_interchange(case.model, make_pairs(case.tokenizer, case.examples, case.entities))
    other, own = (result[name].sel(CELL) for name in ("accuracy", "own"))
    assert other.sel(role="name_last").values.tolist() == [1, 1, 0]
    assert other.sel(role="position").values.tolist() == [0, 0, 1]
    for role in ("name_first", "name_middle", "pronoun", "template", "separator", "start"):
        assert (other.sel(role=role) == 0).all()
        assert (own.sel(role=role) == 1).all()
    assert result["ceiling"].sel(CELL).dropna("role").min() == 1


def test_the_lens_names_the_layer() -> None:
    lens = measure_lens(planted().model, planted().examples).sel(CELL)
    assert lens["accuracy"].values.tolist() == [0, 0, 1]
    assert lens["first_top1"].values.tolist() == [0, 0, 1]
    assert lens["never"].item() == 0


def test_head_scores_name_the_head() -> None:
    scores = measure_heads(planted().model, planted().examples).sel(attribute="company")
    for name in ("direct", "name_mover"):
        values = scores[name].values
        assert np.unravel_index(values.argmax(), values.shape) == (1, 1)
        assert values[1, 1] > 5
        assert scores[f"{name}_control"].values[1, 1] < 0
    assert scores["name_mover"].values[1, 1] == pytest.approx(scores["direct"].values[1, 1], rel=1e-3)


def test_the_top_head_costs_everything_and_random_ones_only_where_they_are_it() -> None:
    result = measure_heads(planted().model, planted().examples)
    for score in ("direct", "name_mover"):
        at = {"head_set": score, "attribute": "company"}
        assert result["set_heads"].sel(head_set=score).item() == "1.1"  # a quarter of four heads
        assert result["ablated_accuracy"].sel(at).item() < 1
        assert result["cut_accuracy"].sel(at).item() == 0
        assert result["pooled_cut_loss"].sel(head_set=score) == pytest.approx(
            result["cut_loss"].sel(at).item()
        )
    for head_set in result["head_set"].values[5:]:
        names_it = result["set_heads"].sel(head_set=head_set).item() == "1.1"
        assert (float(result["cut_loss"].sel(head_set=head_set, attribute="company")) > 0.1) == names_it
