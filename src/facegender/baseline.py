"""The plain yardstick: logistic regression on small grey images, which a network has to beat."""

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from facegender.errors import FacegenderError

_WIDTH, _HEIGHT = 29, 36
"""A sixth of an aligned CelebA image each way."""

_REGULARISATION = 0.03
"""scikit-learn's C, of 0.001, 0.003, 0.01, 0.03 and 0.1 the best on CelebA's validation images."""


def grey_pixels(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink an RGB image (height, width, 3), uint8, to (1044,) grey values from 0 to 1: 36 rows of 29 pixels."""
    grey = cv2.resize(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return (grey.ravel() / 255).astype(np.float32)


def fit_baseline(pixels: NDArray[np.float32], labels: NDArray[np.integer]) -> Pipeline:
    """Fit a logistic regression on standardised pixels.

    Args:
        pixels: (n, 1044) rows of `grey_pixels`.
        labels: (n,) 0 or 1, both of them present.

    Raises:
        FacegenderError: there is one class only.

    Returns:
        A fitted scikit-learn pipeline; `predict_proba(pixels)[:, 1]` is P(Male).
    """
    if len(np.unique(labels)) < 2:
        raise FacegenderError(
            "data/preprocessed/train: images of one class only; mend the bad images that were skipped"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISATION, solver="lbfgs", max_iter=1000))
    return model.fit(pixels.astype(np.float64), labels)
