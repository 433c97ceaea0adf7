"""Small models as each released version wrote them, made by `python -m tests.model.versions`."""

from pathlib import Path

import numpy as np

from facegender.data.images import Pixels

VERSIONS = Path(__file__).parent
MODELS = ("gender.onnx", "gender.keras")


def probe_images(height: int, width: int) -> Pixels:
    """Make a black image, a white one, and one that gets brighter towards the bottom."""
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    return np.stack([np.zeros_like(ramp), np.full_like(ramp, 255), ramp])
