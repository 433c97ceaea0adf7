"""Learn the CelebA attribute `Male` from aligned face photographs.

`load_model` is the entry for Python programs; `import facegender` itself imports nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from facegender.serving.classifier import Classifier

__all__ = ["load_model"]


def load_model(path: str | Path) -> Classifier:
    """Load a model that the pipeline wrote, `models/gender.onnx` or `models/gender.keras`.

    Args:
        path: the file. `.keras` needs the extra `train`, and loads TensorFlow.

    Returns:
        A model with `height` and `width` in pixels, `predict`, which takes aligned faces, uint8 RGB
        (n, height, width, 3), and returns P(Male), float32 (n,), and `threshold`: a face is predicted Male if its
        P(Male) is at least this. `facegender.serving.photographs.read_faces` cuts such faces out of a photograph.

    Raises:
        FacegenderError: the file is missing, damaged or not such a model.
    """
    from facegender.serving.classifier import load_classifier

    return load_classifier(path)
