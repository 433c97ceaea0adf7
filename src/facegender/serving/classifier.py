"""A calibrated model to judge pictures by: a Keras file, or an ONNX file, which is used without TensorFlow."""

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


ONNX_PROPERTY = "facegender"
"""The metadata property of an ONNX file that holds threshold and temperature as JSON."""


class Classifier(NamedTuple):
    """A model and how to judge by it.

    Attributes:
        predict: gives P(Male), float32 (n,), of images uint8 RGB (n, height, width, 3).
        height: of an image, pixels.
        width: of an image, pixels.
        threshold: from which P(Male) on an image is called Male.
    """

    predict: Callable[[Pixels], npt.NDArray[np.float32]]
    height: int
    width: int
    threshold: float


def load_classifier(path: str | Path) -> Classifier:
    """Load a model that the stage calibrate wrote (`.keras`), or that `facegender export` made of it (`.onnx`).

    Raises:
        FacegenderError: there is no such file, it is damaged, or it is no such model.
    """
    path = Path(path)
    if not path.is_file():
        raise FacegenderError(f"{path}: no such file; run: dvc repro, or: dvc pull, or name another with --model")
    if path.suffix == ".onnx":
        return onnx_classifier(path)
    if path.suffix == ".keras":
        # TensorFlow takes seconds to load.
        load_tensorflow()
        from facegender.network.model_file import load_calibrated

        return keras_classifier(*load_calibrated(path))
    raise FacegenderError(f"{path}: neither .keras nor .onnx; other formats are for other programs to load")


def keras_classifier(model: "keras.Model", judgement: dict[str, float]) -> Classifier:
    """Make a classifier of what `facegender.network.model_file.load_calibrated` gives."""
    from facegender.network.prediction import predict

    _, height, width, _ = model.input_shape
    return Classifier(lambda images: predict(model, images), height, width, judgement["threshold"])


def onnx_classifier(path: Path) -> Classifier:
    """Make a classifier of what `facegender export` wrote.

    Raises:
        FacegenderError: it is damaged, or something else.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, RuntimeError) as error:
        raise FacegenderError(f"{path}: damaged; make it anew with: facegender export --format onnx") from error
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        threshold = json.loads(metadata[ONNX_PROPERTY])["threshold"]
    except (KeyError, ValueError) as error:
        raise FacegenderError(f"{path}: holds no threshold, so facegender export did not make it") from error
    [entry] = session.get_inputs()
    _, height, width, _ = entry.shape
    return Classifier(lambda images: session.run(None, {entry.name: images})[0][:, 1], height, width, threshold)
