"""Probabilities from the tail or the whole network."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.data.images import Pixels
from facegender.data.streams import batched, read_ahead
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import undo_temperature
from facegender.network.backbone import LOGITS
from facegender.network.features import Examples, load_inputs

_BATCH = 32
_AGREEMENT = 0.02
"""The largest difference in P(Male) that the rounding of features to float16 may cause."""


def predict(model: keras.Model, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return P(Male), float32 (n,), for inputs (n, …): features for a tail, uint8 RGB for the whole network."""
    return np.asarray(model.predict_on_batch(inputs), np.float32)[:, 1]


def predict_images(model: keras.Model, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
    """Return P(Male), (n,), for images uint8 RGB (height, width, 3) of the size that the whole network takes."""
    batches = read_ahead(batched(images, _BATCH))
    return np.concatenate([predict(model, np.stack(batch)) for batch in batches])


def predict_logits(model: keras.Model, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return log P(Male) - log P(No male), (n,), for inputs as in `predict`; exact near 0 and 1."""
    probabilities = np.asarray(model.predict_on_batch(inputs), np.float64)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return np.asarray(logarithms[:, 1] - logarithms[:, 0])


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Change the last layer so that the network's logits are divided by a temperature."""
    last = model.get_layer(LOGITS)
    last.set_weights([weight / np.float32(temperature) for weight in last.get_weights()])


def predict_split(
    tail: keras.Model, shards: Iterable[Path]
) -> tuple[list[str], npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return a split's image ids, labels (n,) and P(Male) (n,), with one shard in memory at a time.

    Args:
        tail: takes what is in the shards.
        shards: as `facegender.network.features.tail_inputs` lists them.
    """
    image_ids: list[str] = []
    labels, probabilities = [], []
    for examples in read_ahead(map(load_inputs, shards)):
        image_ids += examples.image_ids
        labels.append(examples.labels)
        probabilities += [predict(tail, inputs) for inputs in _parts(examples)]
    return image_ids, np.concatenate(labels), np.concatenate(probabilities)


def logits_of_split(tail: keras.Model, shards: Iterable[Path]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return a split's labels (n,) and logits (n,), with one shard in memory at a time; see `predict_split`."""
    labels, logits = [], []
    for examples in read_ahead(map(load_inputs, shards)):
        labels.append(examples.labels)
        logits += [predict_logits(tail, inputs) for inputs in _parts(examples)]
    return np.concatenate(labels), np.concatenate(logits)


def _parts(examples: Examples) -> list[npt.NDArray[Any]]:
    """Split images, for which the whole network needs far more memory than the tail for features."""
    if examples.inputs.dtype != np.uint8:
        return [examples.inputs]
    return [examples.inputs[start : start + _BATCH] for start in range(0, len(examples.inputs), _BATCH)]


def check_agreement(
    model: keras.Model, images: Mapping[str, Pixels], probabilities: Mapping[str, float], temperature: float = 1.0
) -> float:
    """Check that the whole network predicts for images what its tail predicted for their stored features.

    Args:
        model: the whole network.
        images: uint8 RGB (height, width, 3) by image id.
        probabilities: P(Male) computed from the features, by image id.
        temperature: by which the logits of both were divided; it scales their differences.

    Returns:
        The largest difference at temperature 1.

    Raises:
        FacegenderError: an image has no features, or the difference is larger than float16 features can explain.
    """
    for image_id in images:
        if image_id not in probabilities:
            raise FacegenderError(
                f"data/features: {image_id}", "has no features, but is in data/preprocessed", "run: dvc repro"
            )
    # GPUs round float32 to TensorFloat-32, which random weights amplify beyond the bound.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    by_features = [probabilities[image_id] for image_id in images]
    whole = predict(model, np.stack(list(images.values())))
    one, other = (undo_temperature(p, temperature) for p in (whole, by_features))
    difference = float(np.abs(one - other).max())
    if not difference < _AGREEMENT:
        raise FacegenderError(
            "models/gender.keras and data/features",
            f"differ by {difference:.4f} in P(Male), so they come from different runs",
            "delete .cache and run: dvc repro --force",
        )
    return difference
