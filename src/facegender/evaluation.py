"""Figures of merit of a binary classifier, from labels (0 No male, 1 Male) and probabilities P(Male)."""

import io
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

CALIBRATION_BINS = 10
"""Of P(Male), equally wide."""

HISTOGRAM_BINS = 20


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
    actual, scores = _checked(labels, probabilities)
    values = weighted_metrics(actual, scores, np.asarray(predicted), np.ones((1, len(actual))))
    return {"images": len(actual)} | {name: round(float(value[0]), _DECIMALS) for name, value in values.items()}


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
    bins = _calibration_bins(probabilities)
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


def _calibration_bins(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
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


def reliability_table(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Compare what was promised with what came, in the bins that hold an image.

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        A row per bin: probability (mean P(Male)), share (of Male), images.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    actual, scores = _checked(labels, probabilities)
    table = pd.DataFrame({"probability": scores, "share": actual.astype(float), "images": 1}).groupby(
        _calibration_bins(scores)
    )
    return table.agg({"probability": "mean", "share": "mean", "images": "sum"}).round(_DECIMALS).reset_index(drop=True)


def histogram_table(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Count the images of each class by P(Male).

    Args:
        labels: (n,) 0 or 1.
        probabilities: (n,) P(Male) from 0 to 1.

    Returns:
        A row per bin: probability (its middle), and the images of each class by the class's name.

    Raises:
        FacegenderError: as `classification_metrics`.
    """
    actual, scores = _checked(labels, probabilities)
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = {name: np.histogram(scores[actual == label], edges)[0] for label, name in enumerate(CLASSES)}
    return pd.DataFrame({"probability": ((edges[:-1] + edges[1:]) / 2).round(_DECIMALS), **counts})


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


def parse_predictions(text: str, name: str) -> pd.DataFrame:
    """Read data/predictions.csv, as the stage evaluate writes it.

    Args:
        text: its content.
        name: what an error calls it.

    Raises:
        FacegenderError: it is something else.
    """
    try:
        table = pd.read_csv(io.StringIO(text), dtype={"image_id": str}, keep_default_na=False)
        sound = (
            table["image_id"].is_unique
            and table["label"].isin([0, 1]).all()
            and table["predicted"].isin([0, 1]).all()
            and table["probability"].between(0, 1).all()
        )
    except (KeyError, ValueError, TypeError):
        sound = False
    if not sound:
        raise FacegenderError(
            f"{name}: not what the stage evaluate writes; run: dvc checkout, or: dvc repro --force evaluate"
        )
    return table


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
