"""The verdict on a model: whether it is more accurate than the baseline, which any network has to beat."""

from typing import Any, Literal, NamedTuple

from facegender.evaluation.comparison import BETTER, UNCLEAR, WORSE, judgement, standing

Standing = Literal["better", "worse", "unclear"]
_STANDINGS: dict[str, Standing] = {BETTER: "better", WORSE: "worse", UNCLEAR: "unclear"}


class Verdict(NamedTuple):
    """How the model compares with its baseline, and one sentence that says so."""

    standing: Standing
    sentence: str


def against_baseline(comparison: dict[str, Any]) -> Verdict:
    """Return the verdict that follows from a comparison of the baseline's predictions (old) with the model's (new)."""
    return Verdict(_STANDINGS[judgement("accuracy", comparison["metrics"]["accuracy"])], standing(comparison))
