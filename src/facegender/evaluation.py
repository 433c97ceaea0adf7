"""Figures of merit of a binary classifier, from labels (0 No male, 1 Male) and probabilities P(Male)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from facegender.celeba import CLASSES
from facegender.errors import FacegenderError

_DECIMALS = 6
"""What is written has these decimals: the last digits of a float differ between machines."""

_LOG_LOSS_MARGIN = 1e-7
"""Keras's epsilon, to which its cross-entropy clips probabilities, so that the log loss compares with its losses."""

_ABOVE_ALL = 1.000001
"""A finite threshold that no probability reaches: nobody is predicted Male."""

_CURVE_POINTS = 200


def classification_metrics(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, float]:
    """Judge predictions.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        threshold: an image is predicted Male when its probability is at least this.

    Returns:
        images (n), accuracy, balanced_accuracy, precision, recall and f1 of Male, specificity (recall of No male),
        roc_auc, average_precision, log_loss (nats, probabilities clipped by 1e-7), each finite and to 6 decimals.
        precision and f1 are 0 when no image is predicted Male.

    Raises:
        FacegenderError: a probability is none, a label is neither 0 nor 1, or only one class is present.
    """
    actual, scores = _checked(labels, probabilities)
    predicted = scores >= threshold
    clipped = np.clip(scores, _LOG_LOSS_MARGIN, 1 - _LOG_LOSS_MARGIN)
    values = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(actual, predicted),
        "precision": metrics.precision_score(actual, predicted, zero_division=0),
        "recall": metrics.recall_score(actual, predicted),
        "f1": metrics.f1_score(actual, predicted, zero_division=0),
        "specificity": metrics.recall_score(actual, predicted, pos_label=0),
        "roc_auc": metrics.roc_auc_score(actual, scores),
        "average_precision": metrics.average_precision_score(actual, scores),
        "log_loss": metrics.log_loss(actual, clipped),
    }
    return {"images": len(actual)} | {name: round(float(value), _DECIMALS) for name, value in values.items()}


def curve_tables(labels: ArrayLike, probabilities: ArrayLike) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trace the errors over all thresholds, thinned to at most 200 evenly chosen points.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        The ROC curve (false_positive_rate, true_positive_rate, threshold) and the precision-recall curve (recall,
        precision, threshold), both from the highest threshold to the lowest, to 6 decimals. The first point, where
        nobody is predicted Male, has a threshold just above 1.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    actual, scores = _checked(labels, probabilities)
    false_positive_rate, true_positive_rate, thresholds = metrics.roc_curve(actual, scores)
    roc = pd.DataFrame(
        {
            "false_positive_rate": false_positive_rate,
            "true_positive_rate": true_positive_rate,
            "threshold": np.minimum(thresholds, _ABOVE_ALL),
        }
    )
    precision, recall, thresholds = metrics.precision_recall_curve(actual, scores)
    precision_recall = pd.DataFrame(
        {"recall": recall, "precision": precision, "threshold": np.append(thresholds, _ABOVE_ALL)}
    )
    return _thin(roc), _thin(precision_recall[::-1])


def confusion_table(labels: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Name the actual and the predicted class of each image, as DVC's confusion template reads them.

    Args:
        labels: (n,) 0 or 1.
        predicted: (n,) 0 or 1.

    Returns:
        A row per image: actual, predicted, each "No male" or "Male".
    """
    names = np.array(CLASSES)
    return pd.DataFrame({"actual": names[np.asarray(labels)], "predicted": names[np.asarray(predicted)]})


def predictions_table(
    image_ids: Sequence[str], labels: ArrayLike, probabilities: ArrayLike, threshold: float
) -> pd.DataFrame:
    """List every image's prediction.

    Args:
        image_ids: (n,) names.
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.
        threshold: an image is predicted Male when its rounded probability is at least this.

    Returns:
        image_id, label, probability (to 6 decimals), predicted (0 or 1); sorted by image_id.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    actual, scores = _checked(labels, probabilities)
    rounded = scores.round(_DECIMALS)
    table = pd.DataFrame(
        {
            "image_id": list(image_ids),
            "label": actual,
            "probability": rounded,
            "predicted": (rounded >= threshold).astype(np.int64),
        }
    )
    return table.sort_values("image_id", ignore_index=True)


def most_confident_mistakes(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Pick the wrong predictions that gave the wrong class the highest probability, ties in the order of image_id.

    Args:
        predictions: as `predictions_table` gives it.
        count: rows at most.
    """
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    wrongness = (wrong["probability"] - wrong["label"]).abs().round(_DECIMALS)
    ranked = wrong.assign(wrongness=wrongness).sort_values(["wrongness", "image_id"], ascending=[False, True])
    return ranked.drop(columns="wrongness").head(count).reset_index(drop=True)


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
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


def _thin(curve: pd.DataFrame) -> pd.DataFrame:
    kept = np.linspace(0, len(curve) - 1, min(len(curve), _CURVE_POINTS)).round().astype(np.int64)
    return curve.iloc[kept].round(_DECIMALS).reset_index(drop=True)


def captions_of(mistakes: pd.DataFrame) -> dict[str, str]:
    """Say, by image id and in the table's order, what each image is and what was thought of it."""
    columns = (mistakes["image_id"], mistakes["label"], mistakes["probability"])
    return {
        image_id: f"{image_id}\nis {CLASSES[label]}\nP(Male) = {probability:.3f}"
        for image_id, label, probability in zip(*columns, strict=True)
    }
