"""How numbers are told: a true minus sign, and no sign on what rounds to nothing."""

import pytest

from workbench.figures.cells import format_number, format_points


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (-250, ",.0f", "−250"),
        (-1250.4, ",.0f", "−1,250"),
        (0.064, ".2f", "0.06"),
        (-0.004, ".2f", "0.00"),
        (-0.0, "+.1f", "0.0"),
        (1.25, "+.1f", "+1.2"),
        (-10.0, "+.0f", "−10"),
        (float("nan"), ".2f", "nan"),
    ],
)
def test_a_number_has_a_true_minus_and_nothing_has_no_sign(number: float, form: str, text: str) -> None:
    assert format_number(number, form) == text


@pytest.mark.parametrize(
    ("difference", "digits", "text"),
    [(0.03, 0, "+3"), (-0.12, 0, "−12"), (0.004, 0, "0"), (-0.0004, 1, "0.0"), (float("nan"), 1, "")],
)
def test_points_are_of_a_hundred_and_an_empty_cell_says_nothing(
    difference: float, digits: int, text: str
) -> None:
    assert format_points(difference, digits) == text
