"""A calibrated model that classifies aligned faces: a Keras file, or an ONNX file, which needs no TensorFlow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from facegender.data.images import Pixels
from facegender.errors import FacegenderError
from facegender.network.quiet import load_tensorflow

if TYPE_CHECKING:
    import keras

    from facegender.network.model_file import Sidecar


ONNX_PROPERTY = "facegender"
"""The metadata property of an ONNX file that holds threshold and temperature as JSON."""


class Classifier(NamedTuple):
    """A model and its threshold.

    Attributes:
        predict: computes P(Male), float32 (n,), for images uint8 RGB (n, height, width, 3).
        height: of an image, in pixels.
        width: of an image, in pixels.
        threshold: an image is predicted Male if its P(Male) is at least this.
    """

    predict: Callable[[Pixels], npt.NDArray[np.float32]]
    height: int
    width: int
    threshold: float


def load_classifier(path: str | Path) -> Classifier:
    """Load a model written by the stage calibrate (`.keras`) or by `facegender export` (`.onnx`).

    Raises:
        FacegenderError: the file is missing, damaged or not such a model.
    """
    path = Path(path)
    if not path.is_file():
        remedy = "run: dvc repro, or: dvc pull, or name another model with --model"
        raise FacegenderError(path, "no such file", remedy)
    if path.suffix == ".onnx":
        return onnx_classifier(path)
    if path.suffix == ".keras":
        # TensorFlow takes seconds to load.
        load_tensorflow()
        from facegender.network.model_file import load_calibrated

        return keras_classifier(*load_calibrated(path))
    raise FacegenderError(path, "neither .keras nor .onnx", "use one of these; other formats are for other programs")


def keras_classifier(model: "keras.Model", sidecar: "Sidecar") -> Classifier:
    """Make a classifier from what `facegender.network.model_file.load_calibrated` returns."""
    from facegender.network.prediction import predict

    _, height, width, _ = model.input_shape
    return Classifier(lambda images: predict(model, images), height, width, sidecar["threshold"])


def onnx_classifier(path: Path) -> Classifier:
    """Make a classifier from a file that `facegender export` wrote.

    Raises:
        FacegenderError: the file is damaged or was not written by `facegender export`.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, RuntimeError) as error:
        remedy = "write it again: facegender export --format onnx"
        raise FacegenderError(path, "damaged or not an ONNX file", remedy) from error
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        threshold = json.loads(metadata[ONNX_PROPERTY])["threshold"]
    except (KeyError, ValueError) as error:
        remedy = "use a file written by: facegender export --format onnx"
        raise FacegenderError(path, "has no threshold in its metadata", remedy) from error
    [entry] = session.get_inputs()
    _, height, width, _ = entry.shape
    return Classifier(lambda images: session.run(None, {entry.name: images})[0][:, 1], height, width, threshold)
