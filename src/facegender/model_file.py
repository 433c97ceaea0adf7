"""Keras model files with the same bytes for the same model."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from facegender.files import whole_file


def save_model(model: keras.Model, path: str | Path) -> None:
    """Write a `.keras` file without what Keras puts in of the moment: dates, and addresses in memory as object ids."""
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
