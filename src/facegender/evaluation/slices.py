"""Figures of merit on parts of the test images: those with an attribute and those without."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facegender.data.celeba import LABEL
from facegender.evaluation.bootstrap import interval, resampled_weights, units_of
from facegender.evaluation.metrics import weighted_metrics
from facegender.files import DECIMALS

LEAST_UNITS = 30
"""Persons, or images where persons are not known, of each class; a figure of fewer is too uncertain to judge by."""

GAP = "recall_gap"

Figures = dict[str, NDArray[np.float64]]


def slice_table(predictions: pd.DataFrame, attributes: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Judge predictions on both sides of each attribute.

    Args:
        predictions: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        attributes: 0 and 1 by attribute name; index `image_id`. The label's own column is passed over.
        resamples: samples of the bootstrap.
        seed: from 0.

    Returns:
        A row for `all images` and one per side: slice (`Eyeglasses`, `not Eyeglasses`), images, male, no_male, judged
        (0 when a class has fewer than 30 persons, or images where persons are not known), the figures of
        `weighted_metrics`, recall_gap (recall of Male less that of No male), and the ends of the 95% interval of each
        as NAME_low and NAME_high. The lowest balanced accuracy comes first, what is not judged last; figures that need
        both classes are NaN where a side has one. Sides without images are left out.
    """
    of_images = attributes.loc[predictions["image_id"]].drop(columns=LABEL)
    sides = {"all images": np.ones(len(predictions), bool)}
    for attribute in of_images:
        for name, value in ((str(attribute), 1), (f"not {attribute}", 0)):
            inside = of_images[attribute].to_numpy() == value
            if inside.any():
                sides[name] = inside
    units = units_of(predictions)
    resampled: dict[str, list[Figures]] = {name: [] for name in sides}
    # The same units are drawn for every slice.
    for weights in resampled_weights(units, resamples, seed):
        for name, inside in sides.items():
            resampled[name].append(_figures(predictions[inside], weights[:, inside]))
    table = pd.DataFrame(
        [_row(name, predictions[inside], units[inside], resampled[name]) for name, inside in sides.items()]
    )
    return table.sort_values(
        ["judged", "balanced_accuracy", "slice"], ascending=[False, True, True], ignore_index=True
    ).round(DECIMALS)


def _figures(predictions: pd.DataFrame, weights: NDArray[np.float64]) -> Figures:
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1
    values = weighted_metrics(labels, probabilities, predicted, weights)
    return values | {GAP: values["recall"] - values["recall_no_male"]}


def _row(
    name: str, predictions: pd.DataFrame, units: NDArray[np.int64], resampled: Sequence[Figures]
) -> dict[str, object]:
    male = predictions["label"].to_numpy() == 1
    row: dict[str, object] = {
        "slice": name,
        "images": len(male),
        "male": int(male.sum()),
        "no_male": int((~male).sum()),
    }
    row["judged"] = int(min(len(np.unique(units[male])), len(np.unique(units[~male]))) >= LEAST_UNITS)
    for key, value in _figures(predictions, np.ones((1, len(male)))).items():
        point = float(value[0])
        low, high = interval(key, point, np.concatenate([figures[key] for figures in resampled]))
        row |= {key: point, f"{key}_low": low, f"{key}_high": high}
    return row


def slice_summary(table: pd.DataFrame) -> dict[str, float]:
    """Give what a decision looks at: the numbers of judged and unjudged slices and the worst judged figures.

    Args:
        table: as `slice_table` gives it.

    Returns:
        judged, too_small; and where a slice is judged worst_balanced_accuracy, worst_recall, worst_recall_no_male (the
        lowest of each) and largest_recall_gap (the one farthest from 0, with its sign).
    """
    judged = table[table["judged"] == 1]
    summary: dict[str, float] = {"judged": len(judged), "too_small": len(table) - len(judged)}
    if len(judged):
        summary |= {
            f"worst_{name}": float(judged[name].min()) for name in ("balanced_accuracy", "recall", "recall_no_male")
        }
        summary["largest_recall_gap"] = float(judged[GAP].to_numpy()[judged[GAP].abs().argmax()])
    return summary
