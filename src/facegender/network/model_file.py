"""Keras model files with the same bytes for the same model, and with how to judge by it."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from facegender.errors import FacegenderError
from facegender.files import whole_file

JUDGEMENT = "facegender.json"
"""A member of the zip that Keras passes over."""


def save_model(model: keras.Model, path: str | Path, judgement: dict[str, float] | None = None) -> None:
    """Write a `.keras` file without what Keras puts in of the moment: dates, and addresses in memory as object ids.

    Args:
        model: the whole network.
        path: the file.
        judgement: numbers to keep beside the weights, such as the threshold.
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
            if judgement is not None:
                target.writestr(zipfile.ZipInfo(JUDGEMENT), _json(judgement))


def load_calibrated(path: str | Path) -> tuple[keras.Model, dict[str, float]]:
    """Load the whole network and the numbers that are kept beside its weights.

    Raises:
        FacegenderError: as `read_judgement`, or the file is damaged.
    """
    if Path(path).suffix == ".onnx":
        raise FacegenderError(f"{path}: a .keras model is needed here; ONNX serves predict and app alone")
    judgement = read_judgement(path)
    try:
        return keras.saving.load_model(path, compile=False), judgement
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FacegenderError(f"{path}: damaged, or of another Keras; run: dvc checkout, or: dvc pull") from error


def read_judgement(path: str | Path) -> dict[str, float]:
    """Read the numbers that are kept beside a model's weights.

    Raises:
        FacegenderError: there is no such file, or it is no calibrated model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            judgement: dict[str, float] = json.loads(archive.read(JUDGEMENT))
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; run: dvc repro, or: dvc pull") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise FacegenderError(f"{path}: holds no threshold, so it is no model of the stage calibrate") from error
    return judgement


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _renumber(config: Any, numbers: dict[int, int]) -> Any:
    """Replace each `shared_object_id` by the number of its first appearance."""
    if isinstance(config, dict):
        return {
            key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumber(value, numbers)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_renumber(item, numbers) for item in config]
    return config
