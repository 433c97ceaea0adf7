"""Where in a picture the network saw what it says: Grad-CAM (Selvaraju et al., 2017)."""

import cv2
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.celeba import CLASSES
from facegender.images import Pixels

_LAST_BLOCK = "mixed10"
_HEAT_SHARE = 0.45
"""Of the colours in the overlaid picture."""


def class_heat(model: keras.Model, images: Pixels, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Tell how much each place of an image speaks for a class and against the other.

    Args:
        model: the whole network.
        images: uint8 RGB (n, height, width, 3).
        labels: (n,) the class of each image that is asked about: 0 No male, 1 Male.

    Returns:
        (n, height, width) from 0 to 1, the highest place of each image 1; all 0 where no place speaks for the class.
        Coarse: InceptionV3's last block has 5 by 4 places of an aligned image.
    """
    block = keras.Model(model.input, [model.get_layer(_LAST_BLOCK).output, model.output])
    with tf.GradientTape() as tape:
        activations, probabilities = block(images, training=False)
        logarithms = tf.math.log(tf.maximum(probabilities, np.finfo(np.float32).tiny))
        signs = np.where(np.asarray(labels) == 1, 1.0, -1.0).astype(np.float32)
        scores = signs * (logarithms[:, 1] - logarithms[:, 0])
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1)).numpy()
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    height, width = images.shape[1:3]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in heat])


def class_overlays(model: keras.Model, images: Pixels) -> list[tuple[Pixels, Pixels]]:
    """Lay over each image of `class_heat` what speaks for No male, and what speaks for Male."""
    heats = [class_heat(model, images, np.full(len(images), label)) for label in range(len(CLASSES))]
    return [
        (overlay(image, no_male), overlay(image, male)) for image, no_male, male in zip(images, *heats, strict=True)
    ]


def overlay(image: Pixels, heat: npt.NDArray[np.float32]) -> Pixels:
    """Lay heat (height, width), from 0 (blue) to 1 (red), over an image, uint8 RGB (height, width, 3)."""
    colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    mixed = (1 - _HEAT_SHARE) * image.astype(np.float32) + _HEAT_SHARE * colours.astype(np.float32)
    return np.asarray(np.rint(mixed), np.uint8)
