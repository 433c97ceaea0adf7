"""Export a model to the formats of other programs, after checking that it predicts what Keras predicts."""

import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.data.images import MAX_FILE_BYTES, Pixels, decode_image, decode_verified, fit_image
from facegender.data.shards import read_records, shard_paths
from facegender.errors import FacegenderError
from facegender.files import read_regular_file, whole_file, whole_folder
from facegender.network.model_file import load_calibrated
from facegender.network.sidecar import SIDECAR
from facegender.network.startup import discarded
from facegender.serving.photographs import find_photographs

Format = Literal["saved_model", "tflite"]

SUFFIXES: dict[Format, str] = {"saved_model": "_saved_model", "tflite": ".tflite"}
"""How the name of a file or folder in each format ends."""

TOLERANCE = 1e-4
"""The largest difference in P(Male) between Keras and the exported model."""

_CHECKED = 32
"""Faces to compare on, at most."""


def export_model(source: str | Path, target: str | Path, form: Format, faces: str | Path) -> tuple[float, int]:
    """Write a model in another format if its predictions for some faces match Keras's.

    Temperature and threshold go with it as JSON: in a SavedModel as the file `assets.extra/facegender.json`; in
    TensorFlow Lite as the member `facegender.json` of a zip at the end of the file, the place for associated files
    (TensorFlow Lite Metadata).

    Args:
        source: `.keras` file of the stage calibrate.
        target: file to write, for a SavedModel a folder; an earlier export is replaced.
        form: of the target.
        faces: folder of aligned faces, either images or shards of the stage preprocess; the first 32 are used.

    Returns:
        The largest difference in P(Male), and the number of images compared.

    Raises:
        FacegenderError: the source is not such a model, the target may not be replaced, there are no faces, or the
            difference is larger than 1e-4; or TensorFlow cannot write it, for example because the disk is full.
    """
    _check_target(Path(source), Path(target), form)
    model, sidecar = load_calibrated(source)
    _, height, width, _ = model.input_shape
    images = np.stack([fit_image(image, height, width) for image in islice(_read_faces(faces), _CHECKED)])
    expected = np.asarray(model.predict_on_batch(images))[:, 1]
    writing = whole_folder(target) if form == "saved_model" else whole_file(target)
    with writing as partial:
        try:
            predict = _WRITERS[form](model, partial, json.dumps(sidecar, sort_keys=True))
        except tf.errors.OpError as error:
            # TensorFlow's messages are: the operation, its file; the system's reason [Op:its name].
            reason = error.message.partition(" [Op:")[0].rpartition("; ")[2]
            raise FacegenderError(target, reason, "free space on its disk, or name another with --output") from error
        found = predict(images)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise FacegenderError(
                target,
                f"not written, as its P(Male) differs from Keras's by {difference:.6f}, more than {TOLERANCE}",
                "use another format, or other versions of the libraries",
            )
    return difference, len(images)


def _check_target(source: Path, target: Path, form: Format) -> None:
    if not source.is_file():
        raise FacegenderError(
            source, "no such file", "run: dvc repro, in the project's folder, or name a model with --model"
        )
    if source.suffix != ".keras":
        raise FacegenderError(source, "not a .keras file, and only those are exported", "name one with --model")
    if target.resolve() == source.resolve():
        raise FacegenderError(target, "this is the model itself", "name another file with --output")
    if form == "saved_model":
        if target.exists() and not (target / "saved_model.pb").is_file():
            raise FacegenderError(target, "exists and is not a SavedModel", "name a new folder with --output")
    elif target.suffix != SUFFIXES[form]:
        raise FacegenderError(target, f"not a name for {form}", f"use a name that ends in {SUFFIXES[form]}")
    elif target.is_dir():
        raise FacegenderError(target, "is a folder", "name a file in it with --output")
    if not target.resolve().parent.is_dir():
        raise FacegenderError(target, "its folder does not exist", "create the folder first")


def _read_faces(folder: str | Path) -> Iterator[Pixels]:
    if shard_paths(folder):
        yield from (decode_image(record.jpeg, record.image_id) for record in read_records(folder))
        return
    for path in find_photographs([str(folder)]).photographs:
        if not isinstance(path, str) or not Path(path).is_file():
            remedy = "run: dvc repro, or name a folder of faces with --check"
            raise FacegenderError(folder, "no faces to compare on", remedy)
        yield decode_verified(read_regular_file(path, MAX_FILE_BYTES), path)


Predict = Callable[[Pixels], npt.NDArray[np.float32]]


def _write_saved_model(model: keras.Model, folder: Path, sidecar: str) -> Predict:
    model.export(folder, verbose=False)
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / SIDECAR).write_text(sidecar, encoding="utf-8")
    loaded = tf.saved_model.load(folder)
    return lambda images: loaded.serve(images).numpy()[:, 1]


def _write_tflite(model: keras.Model, path: Path, sidecar: str) -> Predict:
    # Keras, TensorFlow and MLIR print hundreds of lines here, and the interpreter more when it is made and first used.
    with discarded(1, 2):
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(SIDECAR), sidecar)
    with discarded(2):
        interpreter = tf.lite.Interpreter(str(path))
    [entry], [result] = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(images: Pixels) -> npt.NDArray[np.float32]:
        interpreter.resize_tensor_input(entry["index"], images.shape)
        with discarded(2):
            interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], images)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result["index"]))[:, 1]

    return predict


_WRITERS: dict[Format, Callable[[keras.Model, Path, str], Predict]] = {
    "saved_model": _write_saved_model,
    "tflite": _write_tflite,
}
