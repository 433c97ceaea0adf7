import pytest

from facegender.evaluation.rounding import decimals, number, percent


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        # Half the width is 0.07: 0.01 is at most that, 0.1 is not.
        (0.61, 0.75, 2),
        # 0.00125: 0.001 is.
        (0.95, 0.9525, 3),
        # 0.0085.
        (0.954, 0.971, 3),
        # 0.00085.
        (0.954, 0.9557, 4),
        # 0.00001 would bear five decimals, and 0.35 only one.
        (0.5, 0.50002, 4),
        (0.1, 0.8, 2),
        # 2 at half the width of 2.
        (-1.0, 3.0, 2),
        (0.5, 0.5, 2),
        (float("nan"), float("nan"), 2),
    ],
)
def test_the_interval_decides_how_many_decimals_a_number_has(low: float, high: float, expected: int) -> None:
    assert decimals(low, high) == expected


def test_a_number_has_as_many_decimals_as_asked_for_and_nan_is_a_dash() -> None:
    assert (number(0.12345, 3), number(2.0, 2), number(float("nan"), 3)) == ("0.123", "2.00", "\N{EN DASH}")


def test_a_percentage_is_as_precise_as_the_share() -> None:
    assert (percent(0.12345, 4), percent(0.12345, 3), percent(0.12345, 2)) == ("12.35", "12.3", "12")
    # Fewer decimals of a share than two would be tens of percent.
    assert (percent(0.12345, 1), percent(float("nan"), 3)) == ("12", "\N{EN DASH}")
