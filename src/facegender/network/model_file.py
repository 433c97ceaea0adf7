"""Keras model files: the same bytes for the same model, and a sidecar that describes the model."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from facegender.errors import FacegenderError
from facegender.files import whole_file
from facegender.network.features import TrunkSpec

SIDECAR = "facegender.json"
"""A member of the .keras zip that Keras ignores."""


class Sidecar(TrunkSpec, total=False):
    """What a model file records: the trunk whose features the tail was trained on, and how to use the probabilities.

    Attributes:
        temperature: the logits were divided by it. Missing before the stage calibrate.
        threshold: an image is predicted Male if its P(Male) is at least this. Missing before the stage calibrate.
    """

    temperature: float
    threshold: float


def save_model(model: keras.Model, path: str | Path, sidecar: Mapping[str, Any]) -> None:
    """Write a `.keras` file without the parts that change from run to run: dates, and memory addresses as object ids.

    Args:
        model: the whole network.
        path: the file.
        sidecar: a `Sidecar`, stored beside the weights.
    """
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as partial:
        dated = Path(folder, "dated.keras")
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    content = _json(json.loads(content) | {"date_saved": ""})
                elif name == "config.json":
                    content = _json(_renumber(json.loads(content), {}))
                target.writestr(zipfile.ZipInfo(name), content)
            target.writestr(zipfile.ZipInfo(SIDECAR), _json(sidecar))


def load_model(path: str | Path) -> tuple[keras.Model, Sidecar]:
    """Load the whole network and its sidecar.

    Raises:
        FacegenderError: as `read_sidecar`, or the file is damaged.
    """
    if Path(path).suffix == ".onnx":
        raise FacegenderError(path, "an ONNX model, which only predict and app can use", "use the .keras model")
    sidecar = read_sidecar(path)
    try:
        return keras.saving.load_model(path, compile=False), sidecar
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FacegenderError(path, "damaged, or from another version of Keras", _restore(path)) from error


def load_calibrated(path: str | Path) -> tuple[keras.Model, Sidecar]:
    """Load the whole network and its sidecar, with temperature and threshold.

    Raises:
        FacegenderError: as `load_model`, or the model is not calibrated.
    """
    model, sidecar = load_model(path)
    if "threshold" not in sidecar:
        raise FacegenderError(path, "has no threshold, so the stage calibrate did not write it", _restore(path))
    return model, sidecar


def read_sidecar(path: str | Path) -> Sidecar:
    """Read a model file's sidecar.

    Raises:
        FacegenderError: there is no such file, or it has no sidecar.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sidecar: Sidecar = json.loads(archive.read(SIDECAR))
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), _restore(path)) from error
    except zipfile.BadZipFile as error:
        raise FacegenderError(
            path, "not a complete .keras file: cut short, damaged or something else", _restore(path)
        ) from error
    except (KeyError, ValueError) as error:
        raise FacegenderError(
            path, f"has no {SIDECAR} inside, so this pipeline did not write it", _restore(path)
        ) from error
    return sidecar


def _restore(path: str | Path) -> str:
    # Without --force, DVC does not replace a damaged file.
    return f"run: dvc checkout --force {path}, or: dvc pull, or: dvc repro"


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _renumber(config: Any, numbers: dict[int, int]) -> Any:
    """Replace each `shared_object_id` by a number, in the order of first appearance."""
    if isinstance(config, dict):
        return {
            key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumber(value, numbers)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_renumber(item, numbers) for item in config]
    return config
