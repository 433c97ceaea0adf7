"""A calibrated model that classifies aligned faces: the pipeline's ONNX file, which needs no TensorFlow, or Keras's."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from facegender.cluster import thread_limit
from facegender.data.celeba import CLASSES
from facegender.data.images import Pixels
from facegender.errors import FacegenderError, shortened
from facegender.files import check_has_an_end, is_url, what_it_is
from facegender.network.description import notices, read_description
from facegender.network.sidecar import EVIDENCE, sidecar_of_onnx
from facegender.network.startup import load_tensorflow

_EXTERNAL = b"\n\x08location"
"""How the place of external data is written in an ONNX file (StringStringEntryProto): the first field, of eight bytes.
onnxruntime would read any file that is named there."""

_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""How Python keeps a name's bytes that cannot be decoded."""

_ANOTHER = "get the file again, or name another model with --model"


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
    if path.exists():
        check_has_an_end(path)
    if not path.is_file() and is_url(path):
        raise FacegenderError(path, "a URL, and nothing is downloaded", "download it first, and name the file")
    if not path.is_file():
        remedy = "run: dvc repro, or: dvc pull, or name another model with --model"
        if not path.is_absolute() and not Path("dvc.yaml").exists():
            remedy = "run this in the project's folder, or name a model with --model"
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


def _image_size(shape: Any, path: Path) -> tuple[int, int]:
    """Return the height and width that a model takes, by the shape of its input: (n, height, width, 3)."""
    if isinstance(shape, list | tuple) and len(shape) == 4 and shape[3] == 3:
        height, width = shape[1:3]
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    raise _other_input(path, str(shape))


def _other_input(path: Path, found: str) -> FacegenderError:
    what = f"takes {found}, not RGB images of one size and of 8 bits"
    return FacegenderError(path, what, "use a model that the pipeline wrote, such as models/gender.onnx")


def _other_output(path: Path, shape: Any) -> FacegenderError:
    what = f"gives outputs of shape {list(shape)}, not P(No male) and P(Male)"
    return FacegenderError(path, what, "use a model that the pipeline wrote, such as models/gender.onnx")


def _reason(error: Exception, path: Path) -> str:
    """Return onnxruntime's message without its codes, the place in its source, and the model's path."""
    text = " ".join(str(error).split()).rpartition(" : ")[2]
    text = re.sub(r"/onnxruntime_src/.*?\) (?=[A-Z])", "", text)
    return shortened(text.replace(f"Load model from {path} failed:", ""), 200)


def _keras_classifier(path: Path) -> Classifier:
    # TensorFlow takes seconds to load.
    load_tensorflow()
    from facegender.network.model_file import load_calibrated

    model, sidecar = load_calibrated(path)
    height, width = _image_size(model.input_shape, path)
    if len(model.output_shape) != 2 or model.output_shape[1] != len(CLASSES):
        raise _other_output(path, model.output_shape)

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(images), np.float32)[:, 1]

    return Classifier(predict, height, width, sidecar["threshold"], notices=notices(sidecar))


def _onnx_classifier(path: Path) -> Classifier:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    content = path.read_bytes()
    if not content:
        raise FacegenderError(path, "the file is empty", _ANOTHER)
    if _EXTERNAL in content:
        what = "keeps weights in other files, which are not read"
        raise FacegenderError(path, what, "use a model that the pipeline wrote, such as models/gender.onnx")
    found = what_it_is(content)
    # onnxruntime takes no name that is not text, which in a locale of ASCII is any name with an accent.
    source = content if _NOT_TEXT.search(str(path)) else path
    del content
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_limit()
    options.log_severity_level = 4  # Only what ends the process: errors are raised.
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        metadata = session.get_modelmeta().custom_metadata_map
        inputs = [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()]
        outputs = [(output.name, output.shape) for output in session.get_outputs()]
    except (raised.InvalidProtobuf, raised.NoModel) as error:
        what = f"{found}, not an ONNX file" if found else "damaged or not an ONNX file"
        raise FacegenderError(path, what, _ANOTHER) from error
    # Its errors have no class of their own in common, and a damaged name is a UnicodeDecodeError.
    except Exception as error:
        raise FacegenderError(path, f"cannot be used ({_reason(error, path)})", _ANOTHER) from error
    sidecar = sidecar_of_onnx(metadata, path)
    if [kind for _, kind, _ in inputs] != ["tensor(uint8)"]:
        raise _other_input(path, " and ".join(f"{kind} of {shape}" for _, kind, shape in inputs) or "nothing")
    [(entry, _, entry_shape)] = inputs
    height, width = _image_size(entry_shape, path)
    first, shape = outputs[0]
    if len(shape) != 2 or shape[1] != len(CLASSES):
        raise _other_output(path, shape)

    def run(names: list[str], images: Pixels) -> list[npt.NDArray[np.float32]]:
        try:
            found = [np.asarray(values) for values in session.run(names, {entry: images})]
        except Exception as error:
            raise FacegenderError(path, f"cannot be used ({_reason(error, path)})", _ANOTHER) from error
        # onnxruntime does not check the shape that the file declares.
        if found[0].shape != (len(images), len(CLASSES)):
            raise _other_output(path, found[0].shape)
        return found

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        return run([first], images)[0][:, 1]

    def explain(images: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        probabilities, evidence = run([first, EVIDENCE], images)
        return probabilities[:, 1], evidence

    explains = EVIDENCE in [name for name, _ in outputs]
    described = read_description(path) or sidecar
    return Classifier(predict, height, width, sidecar["threshold"], explain if explains else None, notices(described))
