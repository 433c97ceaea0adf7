"""InceptionV3 in two parts: a frozen trunk, and the tail that is trained on the trunk's output."""

from pathlib import Path

import keras

from facegender.network.sidecar import IMAGE, LOGITS, POOLED, SECOND_POOLING, trunk_end

POOLED_FEATURES = 2048


def build_model(
    height: int, width: int, dropout: float = 0.0, hidden_units: int = 0, *, mirror: bool = False
) -> keras.Model:
    """Build the whole network, from uint8 RGB (batch, height, width, 3) to P(No male), P(Male) (batch, 2).

    Pixels are scaled to [-1, 1] inside, as InceptionV3 expects. Batch normalisation is frozen, so that it uses its
    stored statistics in training too. The weights are Keras's initial ones. Under a mixed-precision policy, pixels are
    scaled and logits computed in float32 all the same.

    Args:
        height: of the images, in pixels; at least 75.
        width: of the images, in pixels; at least 75.
        dropout: share of the pooled features that are dropped in training.
        hidden_units: units of a ReLU layer before the last layer; 0 for no such layer.
        mirror: whether each image is also looked at left to right, and the logits of the two views are averaged. The
            layers and their weights are the same.
    """
    image = keras.Input((height, width, 3), dtype="uint8", name=IMAGE)
    views = keras.ops.concatenate([image, keras.ops.flip(image, axis=2)], axis=0) if mirror else image
    pooled = _add_backbone(views)
    return keras.Model(image, _add_head(pooled, dropout, hidden_units, mirror), name="gender")


def build_head(dropout: float, hidden_units: int) -> keras.Model:
    """Build the tail of the cut `head`, from pooled features (batch, 2048); see `build_model`."""
    pooled = keras.Input((POOLED_FEATURES,), name=POOLED)
    return keras.Model(pooled, _add_head(pooled, dropout, hidden_units, mirror=False), name="tail")


def _add_head(pooled: keras.KerasTensor, dropout: float, hidden_units: int, mirror: bool) -> keras.KerasTensor:
    output = pooled
    if hidden_units:
        output = keras.layers.Dense(hidden_units, activation="relu", name="hidden")(output)
    output = keras.layers.Dropout(dropout, name="dropout")(output)
    output = keras.layers.Dense(2, name=LOGITS, dtype="float32")(output)
    if mirror:
        output = keras.ops.mean(keras.ops.reshape(output, (2, -1, 2)), axis=0)
    return keras.layers.Softmax(name="probabilities", dtype="float32")(output)


def build_backbone() -> keras.Model:
    """Build the network up to the pooled features, for images of any size; see `build_model`."""
    image = keras.Input((None, None, 3), dtype="uint8", name=IMAGE)
    return keras.Model(image, _add_backbone(image), name="backbone")


def _add_backbone(image: keras.KerasTensor) -> keras.KerasTensor:
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaled", dtype="float32")(image)
    backbone = keras.applications.InceptionV3(include_top=False, weights=None, input_tensor=scaled)
    for layer in normalisation_layers(backbone):
        layer.trainable = False
    return keras.layers.GlobalAveragePooling2D(name=POOLED)(backbone.output)


def with_mirror(model: keras.Model) -> keras.Model:
    """Copy the whole network so that it averages the logits of an image and its mirror image."""
    _, height, width, _ = model.input_shape
    hidden = [layer.units for layer in model.layers if layer.name == "hidden"]
    copy = build_model(height, width, model.get_layer("dropout").rate, sum(hidden), mirror=True)
    copy.set_weights(model.get_weights())
    return copy


def cut_layer(model: keras.Model, trainable_from: str) -> keras.layers.Layer:
    """Return the trunk's last layer in the whole network; see `facegender.network.sidecar.trunk_end`."""
    name = trunk_end(trainable_from)
    if name == SECOND_POOLING:
        return [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)][1]
    return model.get_layer(name)


def trunk_of(model: keras.Model, trainable_from: str) -> keras.Model:
    """Return the frozen part, uint8 RGB images to features. It shares its layers with `model`."""
    return keras.Model(model.input, cut_layer(model, trainable_from).output, name="trunk")


def tail_of(model: keras.Model, trainable_from: str) -> keras.Model:
    """Return the trained part, features to probabilities. It shares its layers with `model`."""
    return keras.Model(cut_layer(model, trainable_from).output, model.output, name="tail")


def backbone_of(model: keras.Model) -> keras.Model:
    """Return the part of `model` that `build_backbone` builds. It shares its layers with `model`."""
    return keras.Model(model.input, model.get_layer(POOLED).output, name="backbone")


def normalisation_layers(backbone: keras.Model) -> list[keras.layers.BatchNormalization]:
    """List the batch normalisation layers in the network's order."""
    return [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]


def load_backbone(model: keras.Model, path: str | Path) -> None:
    """Load the weights of the Keras file that the stage pretrained wrote into the backbone of `model`."""
    backbone_of(model).load_weights(path)
