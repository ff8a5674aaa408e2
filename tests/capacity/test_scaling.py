"""The scaling figure: lines by what there is to learn, the paper's points, a plateau of full models alone."""

import pytest
import xarray as xr

from workbench.capacity.tables import describe_plateau, format_ratio
from workbench.errors import WorkbenchError
from workbench.figures.capacity import fit_plateau, paper_points, plot_capacity


def made(parameters: float, bits: float, most: float) -> xr.Dataset:
    return xr.Dataset(
        {
            "parameters": parameters, "bits": bits, "bits_se": 0.01 * abs(bits), "most_bits": most,
            "ratio": bits / parameters, "learned": bits / most,
        },
        attrs={"run": f"r{parameters}"},
    )  # fmt: skip


SIZES = [made(1e4, 1.9e4, 1e5), made(2e4, 4.2e4, 1e5), made(1e5, 0.99e5, 1e5), made(1e4, 2e4, 3e5)]


def test_a_line_for_each_amount_there_is_to_learn() -> None:
    figure = plot_capacity(SIZES, paper=True)
    names = [trace.name for trace in figure.data]
    assert names[:2] == ["100,000 bits to learn", "300,000 bits to learn"]
    assert names[-2:] == ["1 bit a parameter", "2 bits a parameter"]
    assert [name for name in names if "paper" in name] == [f"paper, {n:,} people" for n in paper_points()]
    assert list(figure.data[0].x) == [1e4, 2e4, 1e5]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


def test_the_plateau_is_that_of_full_models() -> None:
    ratio, error = fit_plateau(SIZES)
    assert ratio == pytest.approx((1.9 + 2.1 + 2.0) / 3)
    assert error == pytest.approx(0.1 / 3**0.5)
    assert fit_plateau([SIZES[2]])[0] != fit_plateau([SIZES[2]])[0]  # it holds everything: nothing is known


def test_models_without_a_bit_are_refused() -> None:
    with pytest.raises(WorkbenchError, match="No model has learned a bit"):
        plot_capacity([made(1e4, -5.0, 1e5)])


def test_a_small_ratio_keeps_its_digits() -> None:
    told = {
        1.974: "1.97",
        0.1: "0.10",
        0.0: "0.00",
        0.00229: "0.0023",
        -0.0138: "-0.014",
        float("nan"): "nan",
    }
    assert {ratio: format_ratio(ratio) for ratio in told} == told


def test_the_plateau_of_models_that_hold_nearly_everything_is_not_known() -> None:
    nan = float("nan")
    assert describe_plateau(nan, nan).startswith("Every model holds more than 80 % of what there is")
    assert describe_plateau(1.5, nan).endswith(f" {format_ratio(1.5)} bits a parameter.")
    assert describe_plateau(1.5, 0.1).endswith(f"(standard error {format_ratio(0.1)}).")
