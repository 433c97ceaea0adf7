"""The verdict on a model: whether it is better than the baseline, which any network has to beat."""

import json
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from facegender.evaluation.rounding import decimals, percent


class Verdict(NamedTuple):
    """How the model compares with its baseline, and one sentence that says so."""

    standing: Literal["better", "worse", "unclear"]
    sentence: str


def read_verdict() -> Verdict:
    """Compare the accuracies in metrics/evaluate.csv and metrics/baseline.json."""
    metrics = pd.read_csv("metrics/evaluate.csv", index_col="metric")
    value, low, high = (float(metrics[column]["accuracy"]) for column in ("value", "low", "high"))
    baseline = json.loads(Path("metrics/baseline.json").read_text(encoding="utf-8"))
    return against_baseline(value, low, high, baseline["accuracy"])


def against_baseline(accuracy: float, low: float, high: float, baseline: float) -> Verdict:
    """Compare the accuracy of a model with its baseline's, on the same test images.

    Args:
        accuracy: of the model.
        low: lower end of its 95% interval.
        high: upper end.
        baseline: accuracy of the baseline.
    """
    places = decimals(low, high)
    own, other = percent(accuracy, places), percent(baseline, places)
    found = (
        f"it gets {own}% of the test images right ({percent(low, places)} to {percent(high, places)}), and its "
        f"baseline, logistic regression on small grey pixels, {other}%."
    )
    if low > baseline:
        return Verdict("better", f"Better than its baseline: {found}")
    if high < baseline:
        return Verdict("worse", f"Worse than its baseline: {found} Do not use this model.")
    return Verdict("unclear", f"Not clearly better than its baseline: {found}")
