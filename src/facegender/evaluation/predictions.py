"""The table of predictions: made, read again, and the mistakes in it."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from facegender.data.celeba import CLASSES
from facegender.errors import FacegenderError
from facegender.evaluation.metrics import checked
from facegender.files import DECIMALS


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
    actual, scores = checked(labels, probabilities)
    rounded = scores.round(DECIMALS)
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
    wrongness = (wrong["probability"] - wrong["label"]).abs().round(DECIMALS)
    ranked = wrong.assign(wrongness=wrongness).sort_values(["wrongness", "image_id"], ascending=[False, True])
    return ranked.drop(columns="wrongness").head(count).reset_index(drop=True)


def captions_of(mistakes: pd.DataFrame) -> dict[str, str]:
    """Say, by image id and in the table's order, what each image is and what was thought of it."""
    columns = (mistakes["image_id"], mistakes["label"], mistakes["probability"])
    return {
        image_id: f"{image_id}\nis {CLASSES[label]}\nP(Male) = {probability:.3f}"
        for image_id, label, probability in zip(*columns, strict=True)
    }
