"""Figures hold the results' numbers, and say what they cannot show."""

import numpy as np
import pytest

from tests.attention.small_models import planted
from workbench.attention.ablation import measure_ablation
from workbench.attention.entity import make_entity_view
from workbench.attention.head_scores import measure_heads
from workbench.attention.interchange import make_pairs, measure_interchange
from workbench.attention.knockout import measure_knockout
from workbench.attention.logit_lens import measure_lens
from workbench.attention.shares import measure_shares
from workbench.attention.steering import measure_steering
from workbench.errors import WorkbenchError
from workbench.figures import attention as figures


def test_shares_have_a_panel_a_role_and_a_line_over_training() -> None:
    shares = measure_shares(planted().model, planted().examples)
    figure = figures.plot_role_shares(shares, position=0)
    panels = {
        title.text.split("  ")[0]: np.asarray(trace.z)
        for title, trace in zip(figure.layout.annotations, figure.data, strict=True)
    }
    assert panels["name"][1, 1] == pytest.approx(1)
    assert panels["name"][0, 0] == pytest.approx(3 / 11)
    series = shares.expand_dims(checkpoint=[0, 7])
    with pytest.raises(WorkbenchError, match="no result of step 3; there are 0, 7"):
        figures.plot_role_shares(series, step=3)


def test_knockout_interchange_and_lens() -> None:
    case = planted()
    cut = figures.plot_knockout(measure_knockout(case.model, case.examples, roles=["name_last", "start"]))
    assert cut.data[0].z[0][0] > 0.5
    assert abs(cut.data[0].z[1][0]) < 0.01
    assert list(cut.layout.yaxis.ticktext) == ["name last", "start"]
    assert list(cut.layout.xaxis.ticktext) == ["company"]  # the texts state no other attribute
    pairs = make_pairs(case.tokenizer, case.examples, case.entities)
    swapped = figures.plot_interchange(measure_interchange(case.model, pairs, roles=["name_last"]))
    assert [row[0] for row in swapped.data[0].z] == [1, 1, 0]
    lens = figures.plot_lens(measure_lens(case.model, case.examples))
    assert [row[0] for row in lens.data[0].z] == [0, 0, 1]
    with pytest.raises(WorkbenchError, match="There is no window '9'; there are all, 0, 1"):
        figures.plot_knockout(measure_knockout(case.model, case.examples, roles=["start"]), window="9")


def test_ablation_lays_heads_and_feed_forward_parts_by_block() -> None:
    case = planted()
    result = measure_ablation(case.model, case.examples)
    figure = figures.plot_ablation(result, mode="zero")
    assert list(figure.layout.yaxis.ticktext) == ["0", "1"]
    columns = list(figure.layout.xaxis.ticktext)
    assert columns == ["0", "1", "mlp"]
    for block in range(2):
        for column in columns:
            lost = float(result["pooled_loss"].sel(part=f"{block}.{column}", mode="zero"))
            assert figure.data[0].z[block][columns.index(column)] == pytest.approx(lost)
    assert figure.data[0].z[1][1] > 0.3  # the head that moves the name
    with pytest.raises(WorkbenchError, match="There is no mode 'none'; there are mean, zero"):
        figures.plot_ablation(result, mode="none")


def test_steering_and_head_sets() -> None:
    case = planted()
    steered = measure_steering(case.model, case.examples, case.train, strengths=[2.0])
    figure = figures.plot_steering(steered)
    assert [row[0] for row in figure.data[0].z] == [0, 0, 1]
    assert "a random push as long: 0.0 %" in figure.data[0].hovertext[0][0]
    names = figures.plot_steering(steered, place="name_last", direction="means")
    assert [row[0] for row in names.data[0].z] == [1, 1]  # the last layer's is empty and left out
    with pytest.raises(WorkbenchError, match=r"There is no strength 3; there are 2\.0"):
        figures.plot_steering(steered, strength=3)
    heads = measure_heads(case.model, case.examples)
    bars = figures.plot_head_sets(heads, variable="cut_loss")
    place = list(bars.data[0].x).index("name mover")
    assert bars.data[0].y[place] == pytest.approx(float(heads["pooled_cut_loss"].sel(head_set="name_mover")))
    assert bars.data[0].customdata[place] == "1.1"


def test_one_entity_token_by_token() -> None:
    case = planted()
    view = make_entity_view(case.model, case.tokenizer, case.examples, 2)
    assert view["token"].values.tolist()[:4] == ["<|endoftext|>", "Ann", "Bo", "Crane"]
    assert view.attrs["positions"] == [10]
    figure = figures.plot_pattern(view, block=1, head=1)
    assert figure.data[0].z[10][3] == pytest.approx(1)
    assert figure.layout.yaxis.ticktext[10] == "<b>for ▸</b>"
    with pytest.raises(WorkbenchError, match="There is no head 2; there are 0 to 1"):
        figures.plot_pattern(view, block=0, head=2)
    with pytest.raises(WorkbenchError, match="no entry 6; there are 6"):
        make_entity_view(case.model, case.tokenizer, case.examples, 6)
