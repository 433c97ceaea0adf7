"""Metrics of a binary classifier, from labels (0 No male, 1 Male) and probabilities P(Male)."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from facegender.data.celeba import CLASSES
from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import is_male

_LOG_LOSS_MARGIN = 1e-7
"""Keras's epsilon, by which its cross-entropy clips probabilities: the log loss is comparable with Keras's losses."""

CALIBRATION_BINS = 10
"""Bins of P(Male) of equal width."""


def classification_metrics(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, float]:
    """Compute the metrics of probabilities at a threshold.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        threshold: as in `is_male`.

    Returns:
        images (n) and the metrics of `weighted_metrics` with each image counted once, all finite, to 6 decimals.

    Raises:
        FacegenderError: a probability is not from 0 to 1, a label is neither 0 nor 1, or a class is missing.
    """
    return _metrics(labels, probabilities, is_male(probabilities, threshold))


def metrics_of(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics of `classification_metrics` from the columns `label`, `probability` and `predicted`."""
    return _metrics(predictions["label"], predictions["probability"], predictions["predicted"] == 1)


def _metrics(labels: ArrayLike, probabilities: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    truth, scores = checked(labels, probabilities)
    values = weighted_metrics(truth, scores, np.asarray(predicted), np.ones((1, len(truth))))
    return {"images": len(truth)} | {name: round(float(value[0]), DECIMALS) for name, value in values.items()}


def weighted_metrics(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    predicted: NDArray[np.bool_],
    weights: NDArray[np.floating],
) -> dict[str, NDArray[np.float64]]:
    """Compute the metrics under many weightings of the images at once, for a bootstrap.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        predicted: (n,) whether an image is predicted Male.
        weights: (weightings, n), not negative: how many times each image counts.

    Returns:
        float64 (weightings,) by name: accuracy, balanced_accuracy; precision, recall and f1 of Male, and of No male as
        precision_no_male, recall_no_male and f1_no_male; roc_auc; average_precision (the step-wise sum, as in
        scikit-learn); log_loss (nats, probabilities clipped to [1e-7, 1 - 1e-7]); brier_score (mean squared error of
        P(Male)); expected_calibration_error over 10 bins of P(Male) of equal width (Naeini et al., Obtaining Well
        Calibrated Probabilities, AAAI 2015). Precision and f1 are 0 where no image is predicted as that class. Metrics
        that need both classes are NaN where the weights leave only one; all are NaN where the weights are all 0.
    """
    male = labels == 1
    outcomes = np.column_stack([predicted & male, predicted & ~male, ~predicted & male, ~predicted & ~male])
    true_male, false_male, false_other, true_other = (weights @ outcomes.astype(np.float64)).T
    males, others = true_male + false_other, true_other + false_male
    total = males + others
    recall, recall_no_male = _ratio(true_male, males, np.nan), _ratio(true_other, others, np.nan)
    roc_auc, average_precision = _ranking_metrics(male, probabilities, weights)
    clipped = np.clip(probabilities, _LOG_LOSS_MARGIN, 1 - _LOG_LOSS_MARGIN)
    bins = calibration_bins(probabilities)
    excess = ((probabilities - male)[:, None] * (bins[:, None] == np.arange(CALIBRATION_BINS))).astype(np.float64)
    none = np.where(total > 0, 0, np.nan)
    return {
        "accuracy": _ratio(true_male + true_other, total, np.nan),
        "balanced_accuracy": (recall + recall_no_male) / 2,
        "precision": _ratio(true_male, true_male + false_male, none),
        "recall": recall,
        "f1": _ratio(2 * true_male, 2 * true_male + false_male + false_other, none),
        "precision_no_male": _ratio(true_other, true_other + false_other, none),
        "recall_no_male": recall_no_male,
        "f1_no_male": _ratio(2 * true_other, 2 * true_other + false_other + false_male, none),
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "log_loss": _ratio(weights @ -np.log(np.where(male, clipped, 1 - clipped)), total, np.nan),
        "brier_score": _ratio(weights @ (probabilities - male) ** 2, total, np.nan),
        "expected_calibration_error": _ratio(np.abs(weights @ excess).sum(axis=1), total, np.nan),
    }


def _ratio(part: NDArray[np.floating], whole: NDArray[np.floating], otherwise: ArrayLike) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(part), otherwise, np.float64), where=whole > 0)


def calibration_bins(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the number, from 0, of the bin of each P(Male): int64 (n,). The last bin includes 1."""
    return np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def _ranking_metrics(
    male: NDArray[np.bool_], probabilities: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ROC AUC (the share of pairs in the right order, ties counted as half) and average precision."""
    order = np.argsort(-probabilities, kind="stable")
    ordered, scores = weights[:, order], probabilities[order]
    ties = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    males = np.add.reduceat(ordered * male[order], ties, axis=1)
    others = np.add.reduceat(ordered * ~male[order], ties, axis=1)
    males_above, others_above = np.cumsum(males, axis=1), np.cumsum(others, axis=1)
    all_males, all_others = males_above[:, -1], others_above[:, -1]
    pairs = (others * (males_above - males / 2)).sum(axis=1)
    found = males_above + others_above
    precision = np.divide(males_above, found, out=np.zeros_like(found), where=found > 0)
    average_precision = _ratio((males * precision).sum(axis=1), all_males, np.nan)
    return _ratio(pairs, all_males * all_others, np.nan), np.where(all_others > 0, average_precision, np.nan)


def checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Check labels and probabilities, and return them as int64 (n,) and float64 (n,).

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    truth = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise FacegenderError(
            "labels and probabilities",
            f"their shapes are {truth.shape} and {scores.shape}",
            "use one label and one probability per image",
        )
    for index in np.flatnonzero(~((scores >= 0) & (scores <= 1)))[:1]:
        raise FacegenderError(
            f"probability {index}",
            f"{scores[index]} is not from 0 to 1",
            "train again, with a lower train.learning_rate if the training loss is NaN or infinite too",
        )
    for index in np.flatnonzero(~np.isin(truth, (0, 1)))[:1]:
        raise FacegenderError(
            f"label {index}", f"{truth[index]} is not a label", f"use 0 for {CLASSES[0]} and 1 for {CLASSES[1]}"
        )
    present = np.unique(truth)
    if len(present) < 2:
        found = f"only {CLASSES[int(present[0])]} images" if len(present) else "no images"
        raise FacegenderError("labels", f"{found}, and the metrics need both classes", "add images of both classes")
    return truth.astype(np.int64), scores
