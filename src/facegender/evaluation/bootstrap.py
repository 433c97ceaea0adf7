"""Confidence intervals of metrics, by a bootstrap over identities or images (Efron and Tibshirani, 1993)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from facegender.data.tables import DECIMALS
from facegender.evaluation.metrics import metrics_of, weighted_metrics

CONFIDENCE = 0.95

_BLOCK = 2_000_000
"""Weights in memory at a time, float64."""


def metrics_with_interval(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Compute the metrics of predictions with their 95% intervals.

    Args:
        predictions: columns `label`, `probability`, `predicted` and perhaps `identity`.
        resamples: bootstrap samples.
        seed: 0 or more.

    Returns:
        A row for each metric of `weighted_metrics`, to 6 decimals; index `metric`; columns `value`, and `low` and
        `high`, the ends of its interval.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    point = metrics_of(predictions)
    resampled = resampled_metrics(predictions, units_of(predictions), resamples, seed)
    rows = [(name, point[name], *interval(name, point[name], values)) for name, values in resampled.items()]
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high"]).set_index("metric").round(DECIMALS)


def resampled_metrics(
    predictions: pd.DataFrame, units: NDArray[np.int64], resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Compute the metrics of predictions on samples that are taken from them with replacement.

    Args:
        predictions: columns `label`, `probability`, `predicted`.
        units: (n,) the resampling unit of each image, as `units_of` numbers them.
        resamples: how many samples.
        seed: 0 or more; the same seed and units give the same samples, regardless of the predictions.

    Returns:
        The metrics of `weighted_metrics`, (resamples,) each; NaN where a sample has only one class.
    """
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1
    blocks = [
        weighted_metrics(labels, probabilities, predicted, weights)
        for weights in resampled_weights(units, resamples, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def units_of(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """Number the resampling unit of each image, from 0: its identity if there is a column `identity`, else the image.

    Images of one identity resemble each other, so resampling them one by one would make the intervals too narrow.

    Returns:
        int64 (n,).
    """
    if "identity" in predictions:
        return np.asarray(pd.factorize(predictions["identity"], sort=True)[0], np.int64)
    return np.arange(len(predictions))


def resampled_weights(units: NDArray[np.int64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how many times each image is in each sample, a block of samples at a time.

    Args:
        units: (n,) the resampling unit of each image, numbered from 0.
        resamples: how many samples.
        seed: 0 or more.

    Yields:
        float64 (samples of the block, n).
    """
    generator = np.random.default_rng(seed)
    count = int(units.max()) + 1
    rows = max(1, _BLOCK // len(units))
    for start in range(0, resamples, rows):
        chosen = generator.integers(count, size=(min(rows, resamples - start), count))
        times = np.stack([np.bincount(row, minlength=count) for row in chosen])
        yield times[:, units].astype(np.float64)


def interval(name: str, point: float, values: ArrayLike) -> tuple[float, float]:
    """Return the ends of the 95% interval of a metric; NaN, NaN if it is NaN on every resample.

    Args:
        name: of the metric.
        point: its value on all images.
        values: (resamples,) its value on each resample; NaN is left out.

    Returns:
        The percentile interval: the middle 95% of the resamples. For the expected calibration error, which is biased
        upwards on resamples, the basic interval instead: these ends mirrored at the point (Davison and Hinkley, 1997,
        5.2), clipped at 0 and extended upwards to the point if needed.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if name == "expected_calibration_error":
        low, high = max(2 * point - high, 0), max(2 * point - low, point)
    return float(low), float(high)
