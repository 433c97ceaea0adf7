"""Tables behind the plots of a test set: ROC, precision-recall, reliability, histogram and confusion."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import metrics

from facegender.data.celeba import CLASSES
from facegender.data.tables import DECIMALS
from facegender.evaluation.metrics import calibration_bins, checked

_ABOVE_ALL = 1.000001
"""A finite threshold that no probability reaches: no image is predicted Male. scikit-learn's is infinite."""

_CURVE_POINTS = 200
"""Points at most; a curve has one for each different probability."""

HISTOGRAM_BINS = 20
"""Bins of P(Male) of equal width."""


def curve_tables(labels: ArrayLike, probabilities: ArrayLike) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the ROC and the precision-recall curve over all thresholds, thinned to at most 200 points.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        The ROC curve (false_positive_rate, true_positive_rate, threshold) and the precision-recall curve (recall,
        precision, threshold), both from the highest threshold to the lowest, to 6 decimals. The first point, where no
        image is predicted Male, has a threshold just above 1.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    truth, scores = checked(labels, probabilities)
    false_positive_rate, true_positive_rate, thresholds = metrics.roc_curve(truth, scores)
    roc = pd.DataFrame(
        {
            "false_positive_rate": false_positive_rate,
            "true_positive_rate": true_positive_rate,
            "threshold": np.minimum(thresholds, _ABOVE_ALL),
        }
    )
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    precision_recall = pd.DataFrame(
        {"recall": recall, "precision": precision, "threshold": np.append(thresholds, _ABOVE_ALL)}
    )
    return _thin(roc), _thin(precision_recall[::-1])


def reliability_table(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Compare P(Male) with the share of Male images, in bins of P(Male).

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        A row for each bin that holds an image: probability (mean P(Male)), share (of Male), images (their number).

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    truth, scores = checked(labels, probabilities)
    table = pd.DataFrame({"probability": scores, "share": truth.astype(float), "images": 1}).groupby(
        calibration_bins(scores)
    )
    return table.agg({"probability": "mean", "share": "mean", "images": "sum"}).round(DECIMALS).reset_index(drop=True)


def histogram_table(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Count the images of each class by P(Male).

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        For No male and then for Male, a row for each of 20 bins of equal width: label, probability (the bin's middle)
        and images (their number).

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    truth, scores = checked(labels, probabilities)
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).round(DECIMALS)
    counts = [np.histogram(scores[truth == label], edges)[0] for label in range(len(CLASSES))]
    return pd.DataFrame(
        {
            "label": np.repeat(CLASSES, HISTOGRAM_BINS),
            "probability": np.tile(middles, len(CLASSES)),
            "images": np.concatenate(counts),
        }
    )


def confusion_table(labels: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Name the true and the predicted class of each image, for DVC's confusion template.

    Args:
        labels: (n,) 0 or 1.
        predicted: (n,) 0 or 1.

    Returns:
        A row for each image: label, predicted; each "No male" or "Male".
    """
    names = np.array(CLASSES)
    return pd.DataFrame({"label": names[np.asarray(labels)], "predicted": names[np.asarray(predicted)]})


def _thin(curve: pd.DataFrame) -> pd.DataFrame:
    kept = np.linspace(0, len(curve) - 1, min(len(curve), _CURVE_POINTS)).round().astype(np.int64)
    return curve.iloc[kept].round(DECIMALS).reset_index(drop=True)
