"""A model in the formats of other programs, proved to say what Keras says."""

import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from facegender.data.images import Pixels, decode_image, fit_image
from facegender.data.shards import read_records, shard_paths
from facegender.errors import FacegenderError
from facegender.files import whole_file, whole_folder
from facegender.network.model_file import JUDGEMENT, load_calibrated
from facegender.serving.classifier import ONNX_PROPERTY, onnx_classifier
from facegender.serving.photographs import find_photographs

Format = Literal["onnx", "saved_model", "tflite"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "saved_model": "_saved_model", "tflite": ".tflite"}
"""Of the names of what is written."""

TOLERANCE = 1e-4
"""Of P(Male), between Keras and what was exported."""


_CHECKED = 32


def export_model(source: str | Path, target: str | Path, form: Format, faces: str | Path) -> tuple[float, int]:
    """Write a model in another format, with its judgement in it, if it says of faces what Keras says.

    The judgement (temperature, threshold) is JSON: in ONNX the metadata property `facegender`; in a SavedModel the file
    `assets.extra/facegender.json`; in TensorFlow Lite the member `facegender.json` of a zip at the file's end, where
    associated files belong (TensorFlow Lite Metadata).

    Args:
        source: `.keras` file of the stage calibrate.
        target: file, of a SavedModel folder, to write; what is there is replaced.
        form: of the target.
        faces: folder of aligned faces, as images or as shards of the stage preprocess, of which the first 32 are used.

    Returns:
        The largest difference in P(Male), and of how many images.

    Raises:
        FacegenderError: the source is no such model, the target is something that is not to be replaced, there are no
            faces, or the difference is more than 1e-4.
    """
    _check_target(Path(source), Path(target), form)
    model, judgement = load_calibrated(source)
    _, height, width, _ = model.input_shape
    images = np.stack([fit_image(image, height, width) for image in islice(_read_faces(faces), _CHECKED)])
    # Keras refuses to export to ONNX what was never called.
    expected = np.asarray(model.predict_on_batch(images))[:, 1]
    writing = whole_folder(target) if form == "saved_model" else whole_file(target)
    with writing as partial:
        found = _WRITERS[form](model, partial, json.dumps(judgement, sort_keys=True))(images)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise FacegenderError(
                f"{target}: P(Male) differs from Keras's by {difference:.6f}, more than {TOLERANCE}; not written: use "
                "another format, or other versions of the libraries"
            )
    return difference, len(images)


def _check_target(source: Path, target: Path, form: Format) -> None:
    if target.resolve() == source.resolve():
        raise FacegenderError(f"{target}: the model itself; name another file with --output")
    if form != "saved_model" and target.suffix != SUFFIXES[form]:
        raise FacegenderError(f"{target}: {form} is written; let its name end in {SUFFIXES[form]}")
    if form == "saved_model":
        if target.exists() and not (target / "saved_model.pb").is_file():
            raise FacegenderError(f"{target}: is there, and no SavedModel; name a new folder with --output")
    elif target.is_dir():
        raise FacegenderError(f"{target}: a folder; name a file in it with --output")
    if not target.resolve().parent.is_dir():
        raise FacegenderError(f"{target}: its folder is not there; make it first")


def _read_faces(folder: str | Path) -> Iterator[Pixels]:
    if shard_paths(folder):
        yield from (decode_image(record.jpeg, record.image_id) for record in read_records(folder))
        return
    for path in find_photographs([str(folder)], ()):
        if not isinstance(path, str) or not Path(path).is_file():
            raise FacegenderError(f"{folder}: no faces to compare on; run: dvc repro, or name a folder with --check")
        yield decode_image(Path(path).read_bytes(), path)


Predict = Callable[[Pixels], npt.NDArray[np.float32]]


def _write_onnx(model: keras.Model, path: Path, judgement: str) -> Predict:
    model.export(path, format="onnx", verbose=False)
    network = onnx.load(path)
    onnx.helper.set_model_props(network, {ONNX_PROPERTY: judgement})
    onnx.save(network, path)
    return onnx_classifier(path).predict


def _write_saved_model(model: keras.Model, folder: Path, judgement: str) -> Predict:
    model.export(folder, verbose=False)
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / JUDGEMENT).write_text(judgement, encoding="utf-8")
    loaded = tf.saved_model.load(folder)
    return lambda images: loaded.serve(images).numpy()[:, 1]


def _write_tflite(model: keras.Model, path: Path, judgement: str) -> Predict:
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(JUDGEMENT), judgement)
    interpreter = tf.lite.Interpreter(str(path))
    [entry], [result] = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        interpreter.resize_tensor_input(entry["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], images)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result["index"]))[:, 1]

    return predict


_WRITERS: dict[Format, Callable[[keras.Model, Path, str], Predict]] = {
    "onnx": _write_onnx,
    "saved_model": _write_saved_model,
    "tflite": _write_tflite,
}
