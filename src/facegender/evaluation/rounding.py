"""Numbers with as many digits as the sample can bear."""

import math

_FEWEST, _MOST = 2, 4


def decimals(low: float, high: float) -> int:
    """Return how many decimals a number with this interval deserves, from 2 to 4.

    They are the fewest with which one unit of the last digit is at most half the interval's width: 2 for 0.61 to 0.75,
    3 for 0.954 to 0.971. Without an interval, or with one of no width, they are 2.

    Args:
        low: its lower end; NaN if there is none.
        high: its upper end.
    """
    half = (high - low) / 2
    if not half > 0:
        return _FEWEST
    return min(_MOST, max(_FEWEST, math.ceil(-math.log10(half))))


def number(value: float, places: int) -> str:
    """Return a number with so many decimals, or a dash for NaN."""
    return f"{value:.{places}f}" if value == value else "\N{EN DASH}"


def percent(value: float, places: int) -> str:
    """Return a share as a percentage, without the sign, as precisely as so many decimals of the share itself."""
    return number(100 * value, max(0, places - 2))
