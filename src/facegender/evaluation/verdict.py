"""The verdict on a model: whether it is more accurate than the baseline, which any network has to beat.

This module loads no other library, as whoever uses a model reads its verdict.
"""

from typing import Literal, NamedTuple

Standing = Literal["better", "worse", "unclear"]


class Verdict(NamedTuple):
    """How the model compares with its baseline, and one sentence that says so."""

    standing: Standing
    sentence: str
