"""Where in an image the network finds evidence for a class: Grad-CAM (Selvaraju et al., 2017)."""

import cv2
import numpy as np
import numpy.typing as npt

from facegender.data.images import Pixels

_HEAT_SHARE = 0.45
"""Weight of the heat map's colours in the overlay."""

Evidence = npt.NDArray[np.float32]
"""How much each position of InceptionV3's last block adds to the logit of Male, (n, rows, columns): 5 rows and 4
columns for an aligned image."""


def class_heat(evidence: Evidence, labels: npt.NDArray[np.integer], height: int, width: int) -> npt.NDArray[np.float32]:
    """Measure how strongly each position in an image is evidence for one class and against the other.

    Args:
        evidence: as the network computes it.
        labels: (n,) the class to explain for each image: 0 No male, 1 Male.
        height: of an image, in pixels.
        width: of an image, in pixels.

    Returns:
        (n, height, width) from 0 to 1: 1 at the strongest position in each image; all 0 if no position is evidence for
        the class.
    """
    signs = np.where(np.asarray(labels) == 1, 1, -1)
    heat = np.maximum(signs[:, None, None] * evidence, 0).astype(np.float32)
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in heat])


def class_overlays(images: Pixels, evidence: Evidence) -> list[tuple[Pixels, Pixels]]:
    """Overlay each image with the evidence for No male and with that for Male, as measured by `class_heat`."""
    heats = [class_heat(evidence, np.full(len(images), label), *images.shape[1:3]) for label in (0, 1)]
    return [
        (overlay(image, no_male), overlay(image, male)) for image, no_male, male in zip(images, *heats, strict=True)
    ]


def overlay(image: Pixels, heat: npt.NDArray[np.float32]) -> Pixels:
    """Overlay an image, uint8 RGB (height, width, 3), with heat (height, width) from 0 (blue) to 1 (red)."""
    colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    mixed = (1 - _HEAT_SHARE) * image.astype(np.float32) + _HEAT_SHARE * colours.astype(np.float32)
    return np.asarray(np.rint(mixed), np.uint8)
