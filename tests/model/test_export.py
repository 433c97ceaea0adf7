"""A model in other formats. A small network stands in for InceptionV3, whose export takes longer."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, write_shards
from facegender.errors import FacegenderError
from facegender.network.model_file import save_model
from facegender.serving import export
from facegender.serving.export import export_model

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 24, 20
IMAGES = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)
CALIBRATION = {"temperature": 1.5, "threshold": 0.25}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    keras.utils.set_random_seed(3)
    image = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(image)
    features = keras.layers.Conv2D(8, 3, activation="relu")(scaled)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax", name="probabilities")(pooled))
    save_model(model, folder / "gender.keras", CALIBRATION)
    np.save(folder / "expected.npy", np.asarray(model.predict_on_batch(IMAGES))[:, 1])
    (folder / "faces").mkdir()
    for number, pixels in enumerate(IMAGES):
        (folder / "faces" / f"{number}.jpg").write_bytes(encode_jpeg(pixels))
    return folder


def predict(path: Path, form: str) -> tuple[Any, dict[str, float]]:
    """Load an exported model as another program would."""
    if form == "saved_model":
        calibration = json.loads((path / "assets.extra" / "facegender.json").read_text())
        loaded = tf.saved_model.load(str(path))
        return loaded.serve(IMAGES).numpy()[:, 1], calibration
    with zipfile.ZipFile(path) as archive:
        calibration = json.loads(archive.read("facegender.json"))
    interpreter = tf.lite.Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    [name] = runner.get_input_details()
    [result] = runner(**{name: IMAGES}).values()
    return result[:, 1], calibration


@pytest.mark.parametrize("form", ["saved_model", "tflite"])
def test_every_format_predicts_what_keras_predicts(folder: Path, form: Any) -> None:
    target = folder / f"out-{form}{export.SUFFIXES[form]}"
    difference, images = export_model(folder / "gender.keras", target, form, folder / "faces")
    assert images == 5
    assert difference <= 1e-4

    probabilities, calibration = predict(target, form)

    assert probabilities == pytest.approx(np.load(folder / "expected.npy"), abs=1e-4)
    assert calibration["threshold"] == 0.25


def test_faces_may_be_shards(folder: Path, tmp_path: Path) -> None:
    write_shards(tmp_path, [Record(f"{n}.jpg", n % 2, encode_jpeg(pixels)) for n, pixels in enumerate(IMAGES)])
    _, images = export_model(folder / "gender.keras", tmp_path / "model.tflite", "tflite", tmp_path)
    assert images == 5


def test_a_model_that_differs_is_not_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        export._WRITERS, "tflite", lambda model, path, calibration: lambda images: np.zeros(len(images))
    )
    (tmp_path / "model.tflite").write_text("an earlier one")
    with pytest.raises(FacegenderError, match="differs from Keras's"):
        export_model(folder / "gender.keras", tmp_path / "model.tflite", "tflite", folder / "faces")
    assert (tmp_path / "model.tflite").read_text() == "an earlier one"
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


@pytest.mark.parametrize(
    ("target", "form", "words"),
    [
        ("gender.keras", "tflite", "this is the model itself"),
        ("faces", "saved_model", "exists and is not a SavedModel"),
        ("faces.tflite", "tflite", "is a folder"),
        ("model.onnx", "tflite", "use a name that ends in .tflite"),
        ("nowhere/model.tflite", "tflite", "its folder does not exist"),
    ],
)
def test_nothing_else_is_replaced(folder: Path, target: str, form: Any, words: str) -> None:
    (folder / "faces.tflite").mkdir(exist_ok=True)
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(FacegenderError, match=words):
        export_model(folder / "gender.keras", folder / target, form, folder / "faces")
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_only_a_keras_file_is_exported(tmp_path: Path) -> None:
    source = tmp_path / "gender.onnx"
    source.touch()

    with pytest.raises(FacegenderError) as raised:
        export_model(source, tmp_path / "gender.tflite", "tflite", tmp_path)
    assert str(raised.value) == f"{source}: not a .keras file, and only those are exported; name one with --model"


def test_a_full_disk_is_one_line_that_names_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "{{SaveV2}} a/b; No space left on device [Op:SaveV2]")

    monkeypatch.setattr(keras.Model, "export", fail)

    with pytest.raises(FacegenderError) as raised:
        export_model(folder / "gender.keras", tmp_path / "saved", "saved_model", folder / "faces")
    assert str(raised.value).startswith(f"{tmp_path / 'saved'}: No space left on device; free space on its disk, or")
    assert list(tmp_path.iterdir()) == []


def test_damaged_faces_are_refused(folder: Path, tmp_path: Path) -> None:
    jpeg = encode_jpeg(IMAGES[0])
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.jpg").write_bytes(jpeg[:-2] + b"\x12" * 50 + jpeg[-2:])

    with pytest.raises(FacegenderError, match=r"a\.jpg: damaged: Corrupt JPEG data"):
        export_model(folder / "gender.keras", tmp_path / "model.tflite", "tflite", tmp_path / "faces")


@pytest.mark.parametrize("faces", ["nowhere", "empty", "text"])
def test_no_faces_to_compare_on_is_one_line(folder: Path, tmp_path: Path, faces: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("no picture")
    with pytest.raises(FacegenderError, match="no faces to compare on"):
        export_model(folder / "gender.keras", tmp_path / "model.tflite", "tflite", tmp_path / faces)


@pytest.mark.parametrize(
    ("form", "name"),
    [pytest.param("saved_model", "gender_saved_model", marks=pytest.mark.long), ("tflite", "gender.tflite")],
)
def test_the_command_prints_one_line(folder: Path, form: str, name: str) -> None:
    options = ["--format", form, "--model", str(folder / "gender.keras"), "--check", str(folder / "faces")]
    # In a process of its own: the libraries write to its standard output and error, past Python's streams.
    command = [sys.executable, "-c", "from facegender.cli import main; main()", "export", *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    [printed] = done.stdout.splitlines()
    assert printed.startswith(f"{folder / name}: P(Male) of 5 faces differs from Keras's by at most ")
    assert (folder / name).exists()
