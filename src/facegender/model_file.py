"""Keras model files with the same bytes for the same model."""

import json
import tempfile
import zipfile
from pathlib import Path

import keras

from facegender.files import whole_file


def save_model(model: keras.Model, path: str | Path) -> None:
    """Write a `.keras` file without the dates that Keras puts in."""
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as partial:
        dated = Path(folder, "dated.keras")
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    content = json.dumps(json.loads(content) | {"date_saved": ""}, sort_keys=True).encode()
                target.writestr(zipfile.ZipInfo(name), content)
