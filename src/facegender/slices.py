"""Figures of merit on parts of the test images: those with an attribute and those without."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facegender.bootstrap import interval, resampled_weights, units_of
from facegender.celeba import LABEL
from facegender.evaluation import weighted_metrics

LEAST_IMAGES = 30
"""Of each class; a figure of fewer is too uncertain to judge by."""

_DECIMALS = 6
GAP = "recall_gap"


def slice_table(predictions: pd.DataFrame, attributes: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Judge predictions on both sides of each attribute.

    Args:
        predictions: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        attributes: 0 and 1 by attribute name; index `image_id`. The label's own column and `partition` are passed over.
        resamples: samples of the bootstrap.
        seed: from 0.

    Returns:
        A row for `all images` and one per side: slice (`Eyeglasses`, `not Eyeglasses`), images, male, no_male, judged
        (0 when a class has fewer than 30 images), the figures of `weighted_metrics`, recall_gap (recall of Male less
        that of No male), and the ends of the 95% interval of each as NAME_low and NAME_high. The lowest balanced
        accuracy comes first, what is not judged last; figures that need both classes are NaN where a side has one.
        Sides without images are left out.
    """
    of_images = attributes.loc[predictions["image_id"]].drop(columns=[LABEL, "partition"], errors="ignore")
    # The same persons are drawn for every slice.
    drawn = list(resampled_weights(units_of(predictions), resamples, seed))
    rows = [_judge("all images", predictions, drawn)]
    for attribute in of_images:
        for name, value in ((str(attribute), 1), (f"not {attribute}", 0)):
            inside = of_images[attribute].to_numpy() == value
            if not inside.any():
                continue
            weights = [block[:, inside] for block in drawn]
            rows.append(_judge(name, predictions[inside], weights))
    table = pd.DataFrame(rows)
    return table.sort_values(
        ["judged", "balanced_accuracy", "slice"], ascending=[False, True, True], ignore_index=True
    ).round(_DECIMALS)


def _judge(name: str, predictions: pd.DataFrame, weights: Sequence[np.ndarray]) -> dict[str, object]:
    labels, probabilities = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    predicted = predictions["predicted"].to_numpy() == 1

    def figures(block: np.ndarray) -> dict[str, np.ndarray]:
        values = weighted_metrics(labels, probabilities, predicted, block)
        return values | {GAP: values["recall"] - values["recall_no_male"]}

    male = int(labels.sum())
    row: dict[str, object] = {"slice": name, "images": len(labels), "male": male, "no_male": len(labels) - male}
    row["judged"] = int(min(male, len(labels) - male) >= LEAST_IMAGES)
    blocks = [figures(block) for block in weights]
    for key, value in figures(np.ones((1, len(labels)))).items():
        low, high = interval(np.concatenate([block[key] for block in blocks]))
        row |= {key: float(value[0]), f"{key}_low": low, f"{key}_high": high}
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
