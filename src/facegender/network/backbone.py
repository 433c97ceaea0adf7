"""InceptionV3 in two parts: a frozen trunk, and the tail that is trained on the trunk's output."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.errors import FacegenderError

POOLED = "pooled"
"""The layer that averages InceptionV3's last block over the picture: 2,048 numbers."""

_RANDOM_SEED = 0


def build_model(height: int, width: int, dropout: float = 0.0, hidden_units: int = 0) -> keras.Model:
    """Build the whole network, from uint8 RGB (batch, height, width, 3) to P(No male), P(Male) (batch, 2).

    Pixels are scaled to [-1, 1] inside, as InceptionV3 expects. Batch normalisation is frozen, so that it works with
    its stored statistics in training and out of it. Weights are Keras's initial ones.

    Args:
        height: of the images, pixels; at least 75.
        width: of the images, pixels; at least 75.
        dropout: share of the pooled features that is dropped in training.
        hidden_units: of a layer with ReLU before the last; 0 for none.
    """
    image = keras.Input((height, width, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaled")(image)
    body = keras.applications.InceptionV3(include_top=False, weights=None, input_tensor=scaled)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    output = keras.layers.GlobalAveragePooling2D(name=POOLED)(body.output)
    if hidden_units:
        output = keras.layers.Dense(hidden_units, activation="relu", name="hidden")(output)
    output = keras.layers.Dropout(dropout, name="dropout")(output)
    output = keras.layers.Dense(2, activation="softmax", name="probabilities")(output)
    return keras.Model(image, output, name="gender")


def cut_layer(trainable_from: str) -> str:
    """Name the layer whose output is the trunk's, for the first trained block `mixed3` … `mixed10`, or `head`."""
    return POOLED if trainable_from == "head" else f"mixed{int(trainable_from.removeprefix('mixed')) - 1}"


def trunk_of(model: keras.Model, trainable_from: str) -> keras.Model:
    """Give the frozen part: uint8 RGB images to features. It shares its layers with `model`."""
    return keras.Model(model.input, model.get_layer(cut_layer(trainable_from)).output, name="trunk")


def tail_of(model: keras.Model, trainable_from: str) -> keras.Model:
    """Give the trained part: features to probabilities. It shares its layers with `model`."""
    return keras.Model(model.get_layer(cut_layer(trainable_from)).output, model.output, name="tail")


def body_of(model: keras.Model) -> keras.Model:
    """Give InceptionV3 without its top, as its weight files know it. It shares its layers with `model`."""
    return keras.Model(model.input, model.get_layer("mixed10").output, name="inception_v3")


def pretrained_body(weights: str) -> keras.Model:
    """Give InceptionV3 without its top, filled with weights.

    Args:
        weights: `imagenet`, or the path of an .h5 file of InceptionV3 without its top.

    Raises:
        FacegenderError: the weights cannot be downloaded, are not there or do not fit.
    """
    if weights == "imagenet":
        try:
            return keras.applications.InceptionV3(include_top=False, weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception when its download fails.
            raise FacegenderError(
                "backbone.weights: imagenet: the download failed; go online once, or put the path of an .h5 file there "
                f"({_first_line(error)})"
            ) from error
    if not Path(weights).is_file():
        raise FacegenderError(f"backbone.weights: {weights}: no such file; paths start at the folder of params.yaml")
    try:
        return keras.applications.InceptionV3(include_top=False, weights=weights)
    except (OSError, ValueError, KeyError) as error:
        raise FacegenderError(
            f"backbone.weights: {weights}: no weights of InceptionV3 without its top ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def random_body(images: npt.NDArray[np.uint8]) -> keras.Model:
    """Give InceptionV3 without its top, with random weights, always the same.

    The statistics of batch normalisation are set from images: with the initial ones (mean 0, variance 1) activations
    fade by a factor of about 2,000 down to mixed7, and with those of noise they grow as much as tenfold.

    Args:
        images: uint8 RGB (n, height, width, 3).
    """
    keras.utils.set_random_seed(_RANDOM_SEED)
    # The statistics are sums, whose last digits depend on the order.
    tf.config.experimental.enable_op_determinism()
    body = keras.applications.InceptionV3(include_top=False, weights=None)
    norms = [layer for layer in body.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    # As a graph, which frees what is no longer needed: eagerly it takes 4 GB, for the same bytes.
    tf.function(lambda scaled: body(scaled, training=True))(tf.constant(images.astype(np.float32) / 127.5 - 1))
    return body


def load_body(model: keras.Model, path: str | Path) -> None:
    """Fill the InceptionV3 part of `model` with the weights that the stage pretrained wrote."""
    body_of(model).load_weights(path)


def export_trunk(weights: str | Path, trainable_from: str, height: int, width: int, folder: Path) -> None:
    """Write the trunk into `folder` as a TensorFlow SavedModel: uint8 RGB (batch, height, width, 3) to features."""
    model = build_model(height, width)
    load_body(model, weights)
    trunk_of(model, trainable_from).export(folder, verbose=False)
