"""How good the model of this folder is, in a table for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from facegender.evaluation.comparison import (
    BETTER,
    LOWER_IS_BETTER,
    UNCLEAR,
    WORSE,
    against_baseline,
    compare_predictions,
    judgement,
)
from facegender.evaluation.predictions import read_predictions
from facegender.files import md5_of
from facegender.repository.lock import read_lock
from facegender.repository.revisions import BASELINE, PREDICTIONS

FIRST = ("accuracy", "roc_auc", "log_loss", "expected_calibration_error")
"""The metrics that the table starts with."""


def comparison_with_baseline() -> dict[str, Any] | None:
    """Compare the predictions of this folder with the baseline's, as `compare_predictions`.

    Returns:
        The comparison; None if a file is missing, or is not the one that dvc.lock records.

    Raises:
        FacegenderError: dvc.lock or a file is not valid.
    """
    recorded = read_lock()
    if any(not Path(path).is_file() or md5_of(path) != recorded.get(path) for path in (BASELINE, PREDICTIONS)):
        return None
    return compare_predictions(read_predictions(BASELINE), read_predictions(PREDICTIONS))


def summary_text(
    name: str,
    images: int,
    metrics: pd.DataFrame,
    baseline: Mapping[str, float] | None,
    comparison: dict[str, Any] | None = None,
) -> str:
    """Return a table of metrics with their intervals, and whether they differ significantly from the baseline's.

    Args:
        name: of the test set.
        images: their number.
        metrics: index `metric`; columns value, low, high.
        baseline: metrics of the baseline on the same images, by name; None if there are none.
        comparison: of the baseline with the model, image by image, as `compare_predictions` returns it. Without it,
            each metric is judged by its own interval, which shows fewer differences.
    """
    names = [*FIRST, *(metric for metric in metrics.index if metric not in FIRST)]
    width = max(map(len, names))
    heading = f"{'Metric':{width}}   value  95% interval      "
    lines = [f"{images:,} {name} images", "", heading + ("  baseline  the model is" if baseline else "")]
    for metric in names:
        value, low, high = (float(metrics[column][metric]) for column in ("value", "low", "high"))
        line = f"{metric:{width}}  {value:.4f}  {low:.4f} to {high:.4f}"
        if baseline and metric in baseline:
            if comparison:
                word = judgement(metric, comparison["metrics"][metric])
            else:
                word = unpaired_judgement(metric, low, high, baseline[metric])
            line += f"    {baseline[metric]:.4f}  {word}"
        lines.append(line)
    if comparison:
        lines += ["", against_baseline(comparison).sentence]
    elif baseline:
        lines += [
            "",
            f"Not compared image by image: {PREDICTIONS} or {BASELINE} is not that of dvc.lock; run: dvc repro",
        ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def unpaired_judgement(metric: str, low: float, high: float, baseline: float) -> str:
    """Say how a metric with this 95% interval compares with the baseline's."""
    if low <= baseline <= high:
        return UNCLEAR
    return BETTER if (baseline < low) != (metric in LOWER_IS_BETTER) else WORSE
