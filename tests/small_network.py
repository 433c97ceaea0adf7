"""A network that trains in seconds, and images for it. For any backend of Keras."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

from facegender.network.batches import Batch

STEPS, BATCH = 5, 4
IMAGES = np.random.default_rng(0).integers(0, 256, (STEPS * BATCH, 8, 6, 3), dtype=np.uint8)
LABELS = np.arange(STEPS * BATCH, dtype=np.int8) % 2
IMAGES[LABELS == 1, :, :3] //= 8


def small_network(dropout: float = 0) -> keras.Model:
    """Build a network with the layers that training knows by kind."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 6, 3), dtype="uint8", name="image")
    output = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(image)
    output = keras.layers.Conv2D(4, 3, activation="relu", name="block")(output)
    output = keras.layers.GlobalAveragePooling2D()(output)
    output = keras.layers.Dropout(dropout, name="dropout")(output)
    output = keras.layers.Dense(2, name="logits", dtype="float32")(output)
    return keras.Model(image, keras.layers.Softmax(dtype="float32")(output))


def uneven_labels() -> npt.NDArray[np.int8]:
    """Return labels of which a quarter are Male."""
    return (np.arange(STEPS * BATCH) % 4 == 1).astype(np.int8)


def orders(epochs: int) -> list[npt.NDArray[np.int64]]:
    """Return the images of each batch, (STEPS, BATCH), of every epoch."""
    return [np.random.default_rng(epoch).permutation(STEPS * BATCH).reshape(STEPS, BATCH) for epoch in range(epochs)]


def of_epoch(epoch: int, skipped: int) -> Iterator[Batch]:
    """Yield the batches of an epoch."""
    for chosen in orders(epoch + 1)[epoch][skipped:]:
        yield IMAGES[chosen], LABELS[chosen]
