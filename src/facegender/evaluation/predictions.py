"""The table of predictions: building it, reading it back, and the mistakes in it."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from facegender.data.celeba import CLASSES
from facegender.data.tables import DECIMALS, read_table
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import is_male
from facegender.evaluation.metrics import checked


def predictions_table(
    rows: pd.DataFrame,
    image_ids: Sequence[str],
    labels: ArrayLike,
    probabilities: ArrayLike,
    threshold: float,
    name: str,
) -> pd.DataFrame:
    """Build the table of predictions, matching them to the rows of their test set by image id.

    Args:
        rows: the test set: columns `image_id` (str), `label` (0 or 1) and perhaps `identity` (int). Rows without a
            prediction are left out: their images may have been skipped as bad.
        image_ids: (n,) the images that were predicted, in any order.
        labels: (n,) 0 or 1, the labels that these images were stored with.
        probabilities: (n,) P(Male) from 0 to 1.
        threshold: as in `is_male`, for the probabilities to 6 decimals.
        name: of `rows`, for errors.

    Returns:
        image_id, label, probability (to 6 decimals), predicted (0 or 1) and, if known, identity; sorted by image_id.

    Raises:
        FacegenderError: an image is not in `rows`, appears twice, or has another label there; or as
            `classification_metrics`.
    """
    try:
        stored, scores = checked(labels, probabilities)
    except FacegenderError as error:
        raise error.within(name) from error
    ids = pd.Index(image_ids)
    by_id = rows.set_index("image_id")
    for twice in by_id.index[by_id.index.duplicated()][:1]:
        raise FacegenderError(f"{name}: {twice}", "appears twice", "run: dvc repro")
    for twice in ids[ids.duplicated()][:1]:
        raise FacegenderError(f"{name}: {twice}", "was predicted twice", "run: dvc repro")
    for unknown in ids[~ids.isin(by_id.index)][:1]:
        raise FacegenderError(f"{name}: {unknown}", "was predicted but is not in this table", "run: dvc repro")
    matched = by_id.loc[ids]
    for index in np.flatnonzero(matched["label"].to_numpy() != stored)[:1]:
        what = f"has label {matched['label'].iloc[index]} here, but was stored with {stored[index]} for prediction"
        raise FacegenderError(f"{name}: {ids[index]}", what, "run: dvc repro")
    rounded = scores.round(DECIMALS)
    table = pd.DataFrame(
        {
            "image_id": ids,
            "label": stored,
            "probability": rounded,
            "predicted": is_male(rounded, threshold).astype(np.int64),
        }
    )
    if "identity" in matched:
        table["identity"] = matched["identity"].to_numpy()
    return table.sort_values("image_id", ignore_index=True)


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read a table of predictions that a stage wrote, such as data/predictions.csv.

    Returns:
        The table as `predictions_table` returns it.

    Raises:
        FacegenderError: the file cannot be read, or has other content.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), "run: dvc repro, or: dvc pull") from error
    except UnicodeDecodeError:
        text = ""
    return parse_predictions(text, str(path))


def parse_predictions(text: str, name: str) -> pd.DataFrame:
    """Parse the content of a table of predictions that a stage wrote.

    Args:
        text: its content.
        name: of the file, for errors.

    Returns:
        The table as `predictions_table` returns it.

    Raises:
        FacegenderError: the content is something else.
    """
    try:
        table = read_table(io.StringIO(text))
        valid = (
            table["image_id"].is_unique
            and table["label"].isin([0, 1]).all()
            and table["predicted"].isin([0, 1]).all()
            and table["probability"].between(0, 1).all()
        )
    except (KeyError, ValueError, TypeError):
        valid = False
    if not valid:
        raise FacegenderError(
            name,
            "not a table of predictions",
            "run: dvc checkout, or: dvc repro --single-item --force evaluate baseline",
        )
    return table


def most_confident_mistakes(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Select the wrong predictions that gave the wrong class the highest probability, ties in the order of image_id.

    Args:
        predictions: as `predictions_table` returns it.
        count: rows at most.

    Returns:
        Those rows, the worst first.
    """
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    wrongness = (wrong["probability"] - wrong["label"]).abs().round(DECIMALS)
    ranked = wrong.assign(wrongness=wrongness).sort_values(["wrongness", "image_id"], ascending=[False, True])
    return ranked.drop(columns="wrongness").head(count).reset_index(drop=True)


def captions_of(predictions: pd.DataFrame) -> dict[str, str]:
    """Return captions by image id, in the table's order: label, prediction and P(Male), then the image id."""
    columns = (predictions[name] for name in ("image_id", "label", "predicted", "probability"))
    return {
        image_id: f"label {CLASSES[label]}, predicted {CLASSES[predicted]}, {probability:.2f}\n{image_id}"
        for image_id, label, predicted, probability in zip(*columns, strict=True)
    }
