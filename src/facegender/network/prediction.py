"""Outputs of whole splits, and whether those from features are those of the whole network."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import undo_temperature
from facegender.network.features import Engine, load_inputs

_AGREEMENT = 0.02
"""The largest difference in P(Male) that the rounding of features may cause."""


def predict_split(
    network: Engine, shards: Iterable[Path]
) -> tuple[list[str], npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return a split's image ids, labels (n,) and outputs (n, 2), with one shard in memory at a time.

    Args:
        network: takes what is in the shards, and returns two numbers for each image.
        shards: as `facegender.network.features.tail_inputs` lists them.
    """
    image_ids: list[str] = []
    labels, outputs = [], []
    for examples in read_ahead(map(load_inputs, shards)):
        image_ids += examples.image_ids
        labels.append(examples.labels)
        outputs.append(network(examples.inputs))
    return image_ids, np.concatenate(labels), np.concatenate(outputs)


def check_agreement(whole: Mapping[str, float], by_features: Mapping[str, float], temperature: float = 1.0) -> float:
    """Check that the whole network predicts for images what its tail predicted for their stored features.

    Args:
        whole: P(Male) computed from images, by image id.
        by_features: P(Male) computed from features, by image id.
        temperature: by which the logits of both were divided; it scales their differences.

    Returns:
        The largest difference at temperature 1.

    Raises:
        FacegenderError: an image has no features, or the difference is larger than rounding can explain.
    """
    for image_id in whole:
        if image_id not in by_features:
            raise FacegenderError(
                f"data/features: {image_id}", "has no features, but is in data/preprocessed", "run: dvc repro"
            )
    one = undo_temperature(list(whole.values()), temperature)
    other = undo_temperature([by_features[image_id] for image_id in whole], temperature)
    difference = float(np.abs(one - other).max())
    if not difference < _AGREEMENT:
        raise FacegenderError(
            "models/gender.onnx and data/features",
            f"differ by {difference:.4f} in P(Male), so they come from different runs",
            "delete .cache and run: dvc repro --force",
        )
    return difference
