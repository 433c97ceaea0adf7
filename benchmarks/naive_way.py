"""The naive way of transfer learning, as tutorials show it: everything in memory, the whole network in each epoch.

All images are read into float32 arrays; ImageDataGenerator augments them; all of InceptionV3 runs in every epoch, in
float32; test images are predicted one by one. It is frozen below a block, as a whole (`head`) or not at all (`image`).
Batch normalisation is always frozen, so it uses its stored statistics, as in the pipeline: with new ones from small
batches, fine-tuning loses what the weights had learned (Keras's guide to transfer learning). Prints one line of JSON:
seconds, rates, bytes and test accuracy. benchmarks/against_naive.py runs it. Alone, in a folder with data/partition:

    python -m benchmarks.naive_way --images img_align_celeba.zip --weights inception_v3_notop.h5 --trainable-from image
"""

import argparse
import io
import json
import resource
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
from tensorflow.keras.applications.inception_v3 import InceptionV3, preprocess_input
from tensorflow.keras.preprocessing.image import ImageDataGenerator

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.float64]

MONITORED = "val_loss"


def read_split(partition: Path, archive: zipfile.ZipFile) -> tuple[Images, Labels]:
    """Read a split's images, float32 (n, height, width, 3) in [0, 255], and its labels, one-hot (n, 2)."""
    members = {Path(name).name: name for name in archive.namelist()}
    rows = pd.read_csv(partition)
    images = []
    for image_id in rows["image_id"]:
        image = keras.utils.load_img(io.BytesIO(archive.read(members[image_id])))
        images.append(keras.utils.img_to_array(image))
    return np.array(images), keras.utils.to_categorical(rows["label"], 2)


def build_network(
    weights: str, image_shape: tuple[int, ...], trainable_from: str, dropout: float, learning_rate: float
) -> keras.Model:
    """Build InceptionV3 with a new head, frozen below `trainable_from` and in all of its batch normalisation."""
    backbone = InceptionV3(include_top=False, weights=weights, input_shape=image_shape)
    frozen = frozen_layers(backbone, trainable_from)
    for index, layer in enumerate(backbone.layers):
        # Frozen batch normalisation uses its stored statistics.
        layer.trainable = index >= frozen and not isinstance(layer, keras.layers.BatchNormalization)
    output = keras.layers.GlobalAveragePooling2D()(backbone.output)
    output = keras.layers.Dropout(dropout)(output)
    output = keras.layers.Dense(2, activation="softmax")(output)
    network = keras.Model(backbone.input, output)
    network.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return network


def frozen_layers(backbone: keras.Model, trainable_from: str) -> int:
    """Return how many of InceptionV3's first layers are frozen.

    Args:
        backbone: InceptionV3.
        trainable_from: `image` (none is frozen), the first trained block `mixed0` to `mixed10`, or `head` (all are).

    Raises:
        ValueError: there is no such block.
    """
    if trainable_from == "image":
        return 0
    if trainable_from == "head":
        return len(backbone.layers)
    # A block's layers follow the output of the block before it, which for mixed0 is the second pooling of the stem.
    stem_end = [layer.name for layer in backbone.layers if isinstance(layer, keras.layers.MaxPooling2D)][1]
    ends = [stem_end, *(f"mixed{block}" for block in range(11))]
    before = ends[ends.index(trainable_from) - 1]
    return [layer.name for layer in backbone.layers].index(before) + 1


def train(
    network: keras.Model, splits: dict[str, tuple[Images, Labels]], options: argparse.Namespace
) -> tuple[keras.Model, int]:
    """Train the network.

    Returns:
        The network of the best epoch, or after --steps as it is, and the number of images that it was trained on.
    """
    augmenting = ImageDataGenerator(
        preprocessing_function=preprocess_input, rotation_range=10, zoom_range=0.2, horizontal_flip=True
    )
    plain = ImageDataGenerator(preprocessing_function=preprocess_input)
    batches = augmenting.flow(*splits["train"], batch_size=options.batch_size, seed=options.seed)
    val_batches = plain.flow(*splits["val"], batch_size=options.batch_size, shuffle=False)
    if options.steps:
        network.fit(batches, steps_per_epoch=options.steps, epochs=1, verbose=0)
        return network, options.steps * options.batch_size
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder, "best.keras")
        history = network.fit(
            batches,
            validation_data=val_batches,
            epochs=options.epochs,
            callbacks=[
                keras.callbacks.ModelCheckpoint(best, monitor=MONITORED, save_best_only=True),
                keras.callbacks.EarlyStopping(monitor=MONITORED, patience=options.patience),
            ],
            verbose=0,
        )
        return keras.saving.load_model(best), len(history.epoch) * len(splits["train"][1])


def test(network: keras.Model, images: Images, labels: Labels) -> float:
    """Return the accuracy on images that are predicted one by one."""
    predicted = [network.predict(preprocess_input(image[None].copy()), verbose=0)[0].argmax() for image in images]
    return float(np.mean(np.array(predicted) == labels.argmax(axis=1)))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Read, train and test; return the cost in seconds, images per second and bytes, and the accuracy."""
    keras.utils.set_random_seed(options.seed)
    clock = [time.perf_counter()]
    with zipfile.ZipFile(options.images) as archive:
        splits = {name: read_split(options.partition / f"{name}.csv", archive) for name in ("train", "val", "test")}
    clock.append(time.perf_counter())
    images, labels = splits["test"]
    network = build_network(
        options.weights, images.shape[1:], options.trainable_from, options.dropout, options.learning_rate
    )
    network, trained = train(network, splits, options)
    clock.append(time.perf_counter())
    tested = options.steps or len(images)
    accuracy = test(network, images[:tested], labels[:tested])
    clock.append(time.perf_counter())
    reading, training, testing = np.diff(clock).tolist()
    return {
        "reading_seconds": reading,
        "training_seconds": training,
        "testing_seconds": testing,
        "total_seconds": clock[-1] - clock[0],
        # Includes validation, checkpoints and building the network.
        "training_images_per_second": trained / training,
        "testing_images_per_second": tested / testing,
        "accuracy": accuracy,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="zip of CelebA's aligned images")
    parser.add_argument(
        "--partition", type=Path, default=Path("data/partition"), help="folder with the tables of the splits"
    )
    parser.add_argument("--weights", required=True, help="imagenet, or an .h5 file of InceptionV3 without its top")
    parser.add_argument("--trainable-from", default="head", help="image, first trained block, or head")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.0003)
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=120)
    parser.add_argument(
        "--steps", type=int, help="stop after this many training steps and test images, to measure memory"
    )
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
