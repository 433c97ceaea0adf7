"""Figures of merit of a binary classifier, from labels (0 No male, 1 Male) and probabilities P(Male)."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from facegender.data.celeba import CLASSES
from facegender.errors import FacegenderError
from facegender.files import DECIMALS

_LOG_LOSS_MARGIN = 1e-7
"""Keras's epsilon, to which its cross-entropy clips probabilities, so that the log loss compares with its losses."""


CALIBRATION_BINS = 10
"""Of P(Male), equally wide."""


def classification_metrics(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, float]:
    """Judge predictions.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        threshold: an image is predicted Male when its probability is at least this.

    Returns:
        images (n) and the figures of `weighted_metrics` with each image counted once, all of them finite and to 6
        decimals.

    Raises:
        FacegenderError: a probability is none, a label is neither 0 nor 1, or only one class is present.
    """
    return _metrics(labels, probabilities, np.asarray(probabilities) >= threshold)


def metrics_of(predictions: pd.DataFrame) -> dict[str, float]:
    """Judge predictions as `classification_metrics` does, by the columns `label`, `probability` and `predicted`."""
    return _metrics(predictions["label"], predictions["probability"], predictions["predicted"] == 1)


def _metrics(labels: ArrayLike, probabilities: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    actual, scores = checked(labels, probabilities)
    values = weighted_metrics(actual, scores, np.asarray(predicted), np.ones((1, len(actual))))
    return {"images": len(actual)} | {name: round(float(value[0]), DECIMALS) for name, value in values.items()}


def weighted_metrics(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    predicted: NDArray[np.bool_],
    weights: NDArray[np.floating],
) -> dict[str, NDArray[np.float64]]:
    """Judge predictions under many weightings of the images at once, as a bootstrap needs it.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        predicted: (n,) whether an image is called Male.
        weights: (weightings, n), not negative: how often each image counts.

    Returns:
        (weightings,) of each: accuracy, balanced_accuracy; precision, recall and f1 of Male, and the same of No male as
        precision_no_male, recall_no_male and f1_no_male; roc_auc; average_precision (the step-wise sum that
        scikit-learn defines); log_loss (nats, probabilities clipped by 1e-7); brier_score (mean squared error, of one
        class); expected_calibration_error over 10 equal bins of P(Male) (Naeini et al., Obtaining Well Calibrated
        Probabilities, AAAI 2015). Precision and f1 are 0 where no image is predicted so. What needs both classes is
        NaN where the weights leave one, and all is where they leave none.
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
    return np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def _ranking_metrics(
    male: NDArray[np.bool_], probabilities: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give ROC AUC, the share of pairs in the right order with ties as halves, and average precision."""
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
    actual = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=np.float64)
    if actual.ndim != 1 or actual.shape != scores.shape:
        raise FacegenderError(
            f"labels {actual.shape} and probabilities {scores.shape} differ; give one of each per image"
        )
    for index in np.flatnonzero(~((scores >= 0) & (scores <= 1)))[:1]:
        raise FacegenderError(
            f"probability {index} is {scores[index]}, none from 0 to 1; train again, with a lower "
            "train.learning_rate if the training loss is no number either"
        )
    for index in np.flatnonzero(~np.isin(actual, (0, 1)))[:1]:
        raise FacegenderError(f"label {index} is {actual[index]}; labels are 0 ({CLASSES[0]}) and 1 ({CLASSES[1]})")
    present = np.unique(actual)
    if len(present) < 2:
        found = f"only {CLASSES[int(present[0])]} images" if len(present) else "no image"
        raise FacegenderError(f"{found} to judge by, and ROC AUC needs both classes; give images of both")
    return actual.astype(np.int64), scores
