"""A calibrated model that classifies aligned faces: the pipeline's ONNX file, which needs no TensorFlow, or Keras's."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegender.cluster import thread_limit
from facegender.data.images import Pixels
from facegender.errors import FacegenderError
from facegender.files import is_url
from facegender.network.description import notices, read_description
from facegender.network.quiet import load_tensorflow
from facegender.network.sidecar import EVIDENCE, sidecar_of_onnx


class Classifier(NamedTuple):
    """A model and its threshold.

    Attributes:
        predict: computes P(Male), float32 (n,), for images uint8 RGB (n, height, width, 3).
        height: of an image, in pixels.
        width: of an image, in pixels.
        threshold: an image is predicted Male if its P(Male) is at least this.
        explain: computes P(Male) and the evidence for it (`facegender.network.explanation.Evidence`); None if the model
            does not say.
        notices: sentences on what the model is, for whoever sees its answers.
    """

    predict: Callable[[Pixels], npt.NDArray[np.float32]]
    height: int
    width: int
    threshold: float
    explain: Callable[[Pixels], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] | None = None
    notices: tuple[str, ...] = ()


def load_classifier(path: str | Path) -> Classifier:
    """Load a model written by the stage calibrate, `.onnx` or `.keras`; the latter does not explain.

    Raises:
        FacegenderError: the file is missing, damaged or not such a model.
    """
    path = Path(path)
    if path.is_dir():
        raise _folder(path)
    if not path.is_file() and is_url(path):
        raise FacegenderError(path, "a URL, and nothing is downloaded", "download it first, and name the file")
    if not path.is_file():
        remedy = "run: dvc repro, or: dvc pull, or name another model with --model"
        raise FacegenderError(path, "no such file", remedy)
    if path.suffix == ".onnx":
        return _onnx_classifier(path)
    if path.suffix == ".keras":
        return _keras_classifier(path)
    raise FacegenderError(path, "neither .onnx nor .keras", "use one of these; other formats are for other programs")


def _folder(path: Path) -> FacegenderError:
    if (path / "saved_model.pb").is_file():
        what = "a SavedModel, which is for other programs"
        return FacegenderError(path, what, "use the .onnx or .keras file of the pipeline")
    files = [file for suffix in (".onnx", ".keras") for file in sorted(path.glob(f"*{suffix}"))]
    if not files:
        return FacegenderError(path, "a folder without an .onnx or .keras file", "name a model's file")
    return FacegenderError(path, "a folder, not a model", f"name a file in it, such as {files[0]}")


def _keras_classifier(path: Path) -> Classifier:
    # TensorFlow takes seconds to load.
    load_tensorflow()
    from facegender.network.model_file import load_calibrated

    model, sidecar = load_calibrated(path)
    _, height, width, _ = model.input_shape

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(images), np.float32)[:, 1]

    return Classifier(predict, height, width, sidecar["threshold"], notices=notices(sidecar))


def _onnx_classifier(path: Path) -> Classifier:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_limit()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, RuntimeError) as error:
        remedy = "get the file again, or name another model with --model"
        raise FacegenderError(path, "damaged or not an ONNX file", remedy) from error
    sidecar = sidecar_of_onnx(session.get_modelmeta().custom_metadata_map, path)
    [entry] = session.get_inputs()
    first = session.get_outputs()[0]
    _, height, width, _ = entry.shape

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        [probabilities] = session.run([first.name], {entry.name: images})
        return np.asarray(probabilities[:, 1])

    def explain(images: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        probabilities, evidence = session.run([first.name, EVIDENCE], {entry.name: images})
        return probabilities[:, 1], evidence

    explains = EVIDENCE in {output.name for output in session.get_outputs()}
    described = read_description(path) or sidecar
    return Classifier(predict, height, width, sidecar["threshold"], explain if explains else None, notices(described))
