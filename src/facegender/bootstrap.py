"""How far figures of merit could be off, as a bootstrap over persons or images tells (Efron and Tibshirani, 1993)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from facegender.evaluation import metrics_of, weighted_metrics

CONFIDENCE = 0.95

_BLOCK = 2_000_000
"""Weights in memory at a time."""

_DECIMALS = 6


def metrics_with_interval(predictions: pd.DataFrame, resamples: int, seed: int) -> dict[str, dict[str, float]]:
    """Judge predictions, and say between which figures 95% of the resamples lie.

    Args:
        predictions: as `resampled_metrics` takes them.
        resamples: samples of the bootstrap.
        seed: from 0.

    Returns:
        By the end of a file's name: the figures of `classification_metrics` as "", the ends of their intervals as
        "_low" and "_high".

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    point = metrics_of(predictions)
    resampled = resampled_metrics(predictions, resamples, seed)
    ends = {name: interval(values) for name, values in resampled.items()}
    low, high = ({name: round(end[side], _DECIMALS) for name, end in ends.items()} for side in (0, 1))
    return {"": point, "_low": low, "_high": high}


def resampled_metrics(predictions: pd.DataFrame, resamples: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Judge predictions on samples that are drawn from them with replacement.

    Args:
        predictions: columns `label`, `probability`, `predicted` and perhaps `identity`: then persons are drawn, with
            all their images, as those of one person resemble each other. Otherwise images are drawn.
        resamples: how many samples.
        seed: from 0; the same seed draws the same samples of the same persons, whatever the predictions.

    Returns:
        The figures of `weighted_metrics`, (resamples,) each; NaN where a sample has one class only.
    """
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1
    blocks = [
        weighted_metrics(labels, probabilities, predicted, weights)
        for weights in resampled_weights(units_of(predictions), resamples, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def units_of(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """Number what is drawn together: persons where the column `identity` is there, otherwise images."""
    if "identity" in predictions:
        return np.asarray(pd.factorize(predictions["identity"], sort=True)[0], np.int64)
    return np.arange(len(predictions))


def resampled_weights(units: NDArray[np.int64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each image is in each sample, a block of samples at a time.

    Args:
        units: (n,) numbers from 0 of what is drawn together.
        resamples: how many samples.
        seed: from 0.

    Yields:
        (samples of the block, n).
    """
    generator = np.random.default_rng(seed)
    count = int(units.max()) + 1
    rows = max(1, _BLOCK // len(units))
    for start in range(0, resamples, rows):
        drawn = generator.integers(count, size=(min(rows, resamples - start), count))
        times = np.stack([np.bincount(row, minlength=count) for row in drawn])
        yield times[:, units].astype(np.float64)


def interval(values: ArrayLike) -> tuple[float, float]:
    """Give the middle 95% of resampled figures, those that are NaN left out; NaN, NaN where all are."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
