"""Where in an image the network finds evidence for a class: Grad-CAM (Selvaraju et al., 2017)."""

import cv2
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.data.images import Pixels

_LAST_BLOCK = "mixed10"
_HEAT_SHARE = 0.45
"""Weight of the heat map's colours in the overlay."""


def class_heat(model: keras.Model, images: Pixels, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Measure how strongly each position in an image is evidence for one class and against the other.

    Args:
        model: the whole network.
        images: uint8 RGB (n, height, width, 3).
        labels: (n,) the class to explain for each image: 0 No male, 1 Male.

    Returns:
        (n, height, width) from 0 to 1: 1 at the strongest position in each image; all 0 if no position is evidence for
        the class. It is coarse: InceptionV3's last block has 5 by 4 positions for an aligned image.
    """
    signs = np.where(np.asarray(labels) == 1, 1, -1)
    return _heat(signs[:, None, None] * _relief(model, images), images)


def _relief(model: keras.Model, images: Pixels) -> npt.NDArray[np.float32]:
    """Return how strongly each position in the last block is evidence for Male; below 0 for No male."""
    block = keras.Model(model.input, [model.get_layer(_LAST_BLOCK).output, model.output])
    with tf.GradientTape() as tape:
        activations, probabilities = block(images, training=False)
        logarithms = tf.math.log(tf.maximum(probabilities, np.finfo(np.float32).tiny))
        scores = logarithms[:, 1] - logarithms[:, 0]
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=(1, 2), keepdims=True)
    # A network that also looks at mirror images has their activations after those of the images.
    return np.asarray(tf.reduce_sum(weights * activations, axis=-1))[: len(images)]


def _heat(relief: npt.NDArray[np.float32], images: Pixels) -> npt.NDArray[np.float32]:
    heat = np.maximum(relief, 0).astype(np.float32)
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    height, width = images.shape[1:3]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in heat])


def class_overlays(model: keras.Model, images: Pixels) -> list[tuple[Pixels, Pixels]]:
    """Overlay each image with the evidence for No male and with that for Male, as measured by `class_heat`."""
    relief = _relief(model, images)
    heats = zip(images, _heat(-relief, images), _heat(relief, images), strict=True)
    return [(overlay(image, no_male), overlay(image, male)) for image, no_male, male in heats]


def overlay(image: Pixels, heat: npt.NDArray[np.float32]) -> Pixels:
    """Overlay an image, uint8 RGB (height, width, 3), with heat (height, width) from 0 (blue) to 1 (red)."""
    colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    mixed = (1 - _HEAT_SHARE) * image.astype(np.float32) + _HEAT_SHARE * colours.astype(np.float32)
    return np.asarray(np.rint(mixed), np.uint8)
