"""How far figures of merit could be off, as a bootstrap over persons or images tells (Efron and Tibshirani, 1993)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from facegender.evaluation.metrics import metrics_of, weighted_metrics
from facegender.files import DECIMALS

CONFIDENCE = 0.95

_BLOCK = 2_000_000
"""Weights in memory at a time."""


def metrics_with_interval(predictions: pd.DataFrame, resamples: int, seed: int) -> dict[str, dict[str, float]]:
    """Judge predictions, and say between which figures 95% of the resamples lie.

    Args:
        predictions: columns `label`, `probability`, `predicted` and perhaps `identity`.
        resamples: samples of the bootstrap.
        seed: from 0.

    Returns:
        By the end of a file's name: the figures of `classification_metrics` as "", the ends of their intervals as
        "_low" and "_high".

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    point = metrics_of(predictions)
    resampled = resampled_metrics(predictions, units_of(predictions), resamples, seed)
    ends = {name: interval(name, point[name], values) for name, values in resampled.items()}
    low, high = ({name: round(end[side], DECIMALS) for name, end in ends.items()} for side in (0, 1))
    return {"": point, "_low": low, "_high": high}


def resampled_metrics(
    predictions: pd.DataFrame, units: NDArray[np.int64], resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Judge predictions on samples that are drawn from them with replacement.

    Args:
        predictions: columns `label`, `probability`, `predicted`.
        units: (n,) as `units_of` numbers what is drawn together.
        resamples: how many samples.
        seed: from 0; the same seed draws the same samples of the same units, whatever the predictions.

    Returns:
        The figures of `weighted_metrics`, (resamples,) each; NaN where a sample has one class only.
    """
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1
    blocks = [
        weighted_metrics(labels, probabilities, predicted, weights)
        for weights in resampled_weights(units, resamples, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def units_of(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """Number what is drawn together: persons, with all their images, where the column `identity` is there; else images.

    Images of one person resemble each other, so that drawing them one by one would make the interval too narrow.
    """
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


def interval(name: str, point: float, values: ArrayLike) -> tuple[float, float]:
    """Give the 95% interval of a figure; NaN, NaN where no resample has it.

    Args:
        name: of the figure.
        point: what it is on all images.
        values: what it is on each resample; those that are NaN are left out.

    Returns:
        The middle 95% of the resamples. Of the expected calibration error, which is larger on resamples than on what
        they are drawn from, twice the point less these ends (the basic bootstrap, Davison and Hinkley, 1997, 5.2), up
        to the point at least.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if name == "expected_calibration_error":
        low, high = max(2 * point - high, 0), max(2 * point - low, point)
    return float(low), float(high)
