"""What features and model files record about themselves, and the names of tensors in the network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict

from facegender.errors import FacegenderError

IMAGE = "image"
"""The network's input. As a cut: there is no trunk, so no features are stored."""

HEAD = "head"
"""The cut after pooling: the tail is the last layers alone."""

FEATURES = "features"
"""What the trunk computes."""

POOLED = "pooled"
"""The layer that averages InceptionV3's last block over the image."""

SECOND_POOLING = "MaxPooling2D_2"
"""The layer below the blocks (Szegedy et al., 2015), by its kind and number: Keras's own name for it varies."""

LOGITS = "logits"
"""Two numbers whose softmax is P(No male), P(Male); also the layer that computes them, the last one with weights."""

PROBABILITIES = "probabilities"
"""P(No male), P(Male)."""

EVIDENCE = "evidence"
"""How much each position of InceptionV3's last block adds to the logit of Male."""

SIDECAR = "facegender.json"
"""The member of a `.keras` zip with the sidecar, which Keras ignores."""

PROPERTY = "facegender"
"""The metadata property of an ONNX file with the sidecar as JSON."""


Precision = Literal["float32", "bfloat16"]
"""What a network computes in; its weights are float32."""


class TrunkSpec(TypedDict):
    """The trunk that computed features.

    Attributes:
        trainable_from: the cut: `image`, `mixed0` … `mixed10`, or `head`.
        weights_md5: MD5 sum of models/backbone.keras, as in dvc.lock.
        height: of the images, in pixels.
        width: of the images, in pixels.
    """

    trainable_from: str
    weights_md5: str
    height: int
    width: int


class Sidecar(TrunkSpec, total=False):
    """What a model file records: the trunk whose features the tail was trained on, how to use the probabilities, and
    what the model was trained on. Only the trunk is there before the stage calibrate.

    Attributes:
        temperature: the logits were divided by it.
        threshold: an image is predicted Male if its P(Male) is at least this.
        data: the name of the data set: its folder's.
        data_md5: MD5 sum of its attribute list.
        drawn: whether its faces are the synthetic ones that the pipeline draws.
        weights: where the trunk's weights come from: backbone.weights in params.yaml.
        train_images: number of training images, without transformed copies.
        val_images: number of validation images.
    """

    temperature: float
    threshold: float
    data: str
    data_md5: str
    drawn: bool
    weights: str
    train_images: int
    val_images: int


def trunk_end(trainable_from: str) -> str:
    """Return the name of the trunk's last layer.

    Args:
        trainable_from: the first trained block, `mixed0` … `mixed10`, `head`, or `image`: the trunk is the image alone.
    """
    if trainable_from == IMAGE:
        return IMAGE
    if trainable_from == HEAD:
        return POOLED
    number = int(trainable_from.removeprefix("mixed"))
    return f"mixed{number - 1}" if number else SECOND_POOLING


def sidecar_of_onnx(metadata: Mapping[str, str], path: str | Path) -> Sidecar:
    """Find the sidecar in the metadata of an ONNX file.

    Args:
        metadata: of the file.
        path: of the file, for errors.

    Raises:
        FacegenderError: there is none with a threshold.
    """
    try:
        sidecar: Sidecar = json.loads(metadata.get(PROPERTY, "{}"))
    except (ValueError, RecursionError):
        sidecar = {}  # type: ignore[typeddict-item]
    if not has_threshold(sidecar):
        what = "has no threshold in its metadata, so the stage calibrate did not write it"
        raise FacegenderError(path, what, "use a model that it wrote, such as models/gender.onnx")
    return sidecar


def has_threshold(sidecar: object) -> bool:
    """Return whether what a file holds as its sidecar is one with a threshold, from 0 to 1."""
    threshold = sidecar.get("threshold") if isinstance(sidecar, dict) else None
    return isinstance(threshold, int | float) and 0 <= threshold <= 1


def restore(path: str | Path) -> str:
    """Say how to get a file back that the pipeline writes."""
    # Without --force, DVC does not replace a damaged file.
    return f"run: dvc checkout --force {path}, or: dvc pull, or: dvc repro"
