"""Metrics on slices of the test images: those with an attribute and those without it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facegender.data.celeba import LABEL
from facegender.data.tables import DECIMALS
from facegender.evaluation.bootstrap import interval, resampled_weights, units_of
from facegender.evaluation.metrics import weighted_metrics

MIN_PER_CLASS = 30
"""Identities of each class, or images if identities are unknown: metrics on fewer are too uncertain to act on."""

GAP = "recall_gap"

Metrics = dict[str, NDArray[np.float64]]


def slice_table(predictions: pd.DataFrame, attributes: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Compute the metrics of predictions with and without each attribute.

    Args:
        predictions: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        attributes: a column of 0 and 1 for each attribute; index `image_id`, of at least the predicted images. The
            label's own column is not a slice.
        resamples: bootstrap samples.
        seed: 0 or more.

    Returns:
        A row for `all images` and one for each slice that holds an image, to 6 decimals: slice (`Eyeglasses`,
        `not Eyeglasses`), images, male, no_male (numbers of images), judged (0 if a class has fewer than 30 identities,
        or images if identities are unknown; otherwise 1), the metrics of `weighted_metrics`, recall_gap (recall of Male
        minus recall of No male), and the ends of the 95% interval of each metric as NAME_low and NAME_high. Metrics
        that need both classes are NaN where a slice has only one. The judged slices come first, in ascending order of
        balanced accuracy.
    """
    of_images = attributes.loc[predictions["image_id"]].drop(columns=LABEL)
    slices = {"all images": np.ones(len(predictions), bool)}
    for attribute in of_images:
        for name, value in ((str(attribute), 1), (f"not {attribute}", 0)):
            inside = of_images[attribute].to_numpy() == value
            if inside.any():
                slices[name] = inside
    units = units_of(predictions)
    resampled: dict[str, list[Metrics]] = {name: [] for name in slices}
    # Every slice sees the same samples.
    for weights in resampled_weights(units, resamples, seed):
        for name, inside in slices.items():
            resampled[name].append(_metrics(predictions[inside], weights[:, inside]))
    table = pd.DataFrame(
        [_row(name, predictions[inside], units[inside], resampled[name]) for name, inside in slices.items()]
    )
    return table.sort_values(
        ["judged", "balanced_accuracy", "slice"], ascending=[False, True, True], ignore_index=True
    ).round(DECIMALS)


def _metrics(predictions: pd.DataFrame, weights: NDArray[np.float64]) -> Metrics:
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1
    values = weighted_metrics(labels, probabilities, predicted, weights)
    return values | {GAP: values["recall"] - values["recall_no_male"]}


def _row(
    name: str, predictions: pd.DataFrame, units: NDArray[np.int64], resampled: Sequence[Metrics]
) -> dict[str, object]:
    male = predictions["label"].to_numpy() == 1
    row: dict[str, object] = {
        "slice": name,
        "images": len(male),
        "male": int(male.sum()),
        "no_male": int((~male).sum()),
    }
    row["judged"] = int(min(len(np.unique(units[male])), len(np.unique(units[~male]))) >= MIN_PER_CLASS)
    for key, value in _metrics(predictions, np.ones((1, len(male)))).items():
        point = float(value[0])
        low, high = interval(key, point, np.concatenate([metrics[key] for metrics in resampled]))
        row |= {key: point, f"{key}_low": low, f"{key}_high": high}
    return row


def slice_summary(table: pd.DataFrame) -> dict[str, float]:
    """Return how many slices are judged and how many are too small, and the worst metrics of the judged ones.

    Args:
        table: as `slice_table` returns it.

    Returns:
        judged, too_small; and if any slice is judged, worst_balanced_accuracy, worst_recall, worst_recall_no_male (the
        lowest of each) and largest_recall_gap (the largest absolute recall_gap).
    """
    judged = table[table["judged"] == 1]
    summary: dict[str, float] = {"judged": len(judged), "too_small": len(table) - len(judged)}
    if len(judged):
        summary |= {
            f"worst_{name}": float(judged[name].min()) for name in ("balanced_accuracy", "recall", "recall_no_male")
        }
        summary["largest_recall_gap"] = float(judged[GAP].abs().max())
    return summary
