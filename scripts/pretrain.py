"""Train InceptionV3 on drawn faces to tell CelebA's attributes other than Male, for backbone.weights: synthetic.

Usage: python scripts/pretrain.py draw FOLDER [--images 21000]
       python scripts/pretrain.py train FOLDER FILE.weights.h5 [--minutes 60]
       python scripts/pretrain.py pack FILE.weights.h5

`draw` draws faces into a folder. They are not those of the default data set: their seed is another. `train` trains on
them for the given time and keeps InceptionV3 without its top in the file after every epoch. `pack` rounds the weights,
writes the package's file and prints its digest, which network/weights.py names. docs/synthetic-weights.md says how the
packaged file was made.
"""

# ruff: noqa: E402

import argparse
import hashlib
import math
import time
import zipfile
from pathlib import Path

from facegender.network.startup import configure_tensorflow

configure_tensorflow()  # Before a module imports TensorFlow.

import cv2
import keras
import numpy as np
import numpy.typing as npt

from facegender.data.celeba import LABEL
from facegender.data.images import decode_image
from facegender.data.lists import read_attributes
from facegender.errors import OneLineParser, existing_file, one_line_errors
from facegender.files import whole_file
from facegender.network.weights import SYNTHETIC_WEIGHTS, initial_backbone, lower_blocks, pack_weights
from facegender.synthetic.dataset import write_sample

HEIGHT, WIDTH = 109, 89
"""Half of CelebA's size, at which a CPU trains four times as many images per second."""

ATTRIBUTES_FILE = "list_attr_celeba.csv"
SEED = 1915
HELD_OUT = 1000
"""Faces for the area under the ROC curve, the mean over attributes, that epochs print."""

BATCH, EPOCH = 64, 2048
"""Images in a step, and between two changes of the learning rate; all images are used before any is used again."""

LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1e-3, 0.02, 0.2
STEP = 0.3
"""Of the stored weights: see pack_weights."""


def read_faces(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Read drawn faces: uint8 RGB (images, height, width, 3), with their attributes but Male as 0/1 (images, 39)."""
    attributes = read_attributes(folder / ATTRIBUTES_FILE)
    pixels = np.empty((len(attributes), HEIGHT, WIDTH, 3), np.uint8)
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        for index, name in enumerate(attributes.index):
            image = decode_image(archive.read(f"img_align_celeba/{name}"), name)
            pixels[index] = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return pixels, attributes.drop(columns=LABEL).to_numpy(np.float32)


class CosineInTime(keras.callbacks.Callback):
    """Lowers the learning rate along half a cosine from the second epoch to the deadline, and ends training there.

    The first epoch, in which the backend compiles, is a warm-up at a quarter of the rate.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline
        self._begins: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set the rate of this epoch."""
        self._begins.append(time.monotonic())
        share = 2 / 3  # Half a cosine is a quarter there.
        if epoch:
            share = (self._begins[-1] - self._begins[1]) / (self._deadline - self._begins[1])
        self.model.optimizer.learning_rate = LEARNING_RATE * (1 + math.cos(math.pi * min(share, 1))) / 2

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """End training if the next epoch would end after the deadline."""
        now = time.monotonic()
        print(f"epoch {epoch + 1}: {now - self._begins[-1]:.1f} s", flush=True)
        self.model.stop_training = epoch > 0 and 2 * now - self._begins[-1] > self._deadline


def build(rates: npt.NDArray[np.float32]) -> keras.Model:
    """Build the network with its augmentation and its loss, uint8 images to 39 logits.

    Args:
        rates: of the attributes; the loss gives the faces with and without an attribute the same weight.
    """
    image = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(image)
    scaled = keras.layers.RandomFlip("horizontal", dtype="float32")(scaled)
    scaled = keras.layers.RandomTranslation(0.05, 0.05, "nearest", dtype="float32")(scaled)
    backbone = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(HEIGHT, WIDTH, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(scaled))
    logits = keras.layers.Dense(len(rates), dtype="float32")(keras.layers.Dropout(DROPOUT)(pooled))
    model = keras.Model(image, logits)
    with_attribute, without = 0.5 / rates, 0.5 / (1 - rates)

    def balanced_loss(truth, logits):  # type: ignore[no-untyped-def]  # Tensors of any backend.
        weight = truth * with_attribute + (1 - truth) * without
        return keras.ops.mean(weight * keras.ops.binary_crossentropy(truth, logits, from_logits=True), axis=-1)

    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["beta", "bias"])
    auc = keras.metrics.AUC(name="auc", multi_label=True, num_labels=len(rates), from_logits=True)
    model.compile(optimizer, balanced_loss, metrics=[auc])
    return model


def train(folder: Path, file: Path, minutes: float) -> None:
    """Train on the faces in a folder, and keep InceptionV3 without its top in a file after every epoch."""
    start = time.monotonic()
    keras.utils.set_random_seed(SEED)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    pixels, attributes = read_faces(folder)
    # Rare attributes would otherwise dominate the loss.
    model = build(attributes.mean(axis=0).clip(0.02, 0.98))
    backbone = model.get_layer("inception_v3")

    def keep(epoch: int, logs: dict[str, float]) -> None:
        with whole_file(file) as partial:
            backbone.save_weights(partial)

    model.fit(
        pixels[HELD_OUT:],
        attributes[HELD_OUT:],
        BATCH,
        epochs=100_000,
        steps_per_epoch=EPOCH // BATCH,
        verbose=2,
        validation_data=(pixels[:HELD_OUT], attributes[:HELD_OUT]),
        validation_freq=5,
        callbacks=[CosineInTime(start + 60 * minutes), keras.callbacks.LambdaCallback(on_epoch_end=keep)],
    )


def pack(file: Path) -> None:
    """Round the weights in a file and write the package's file."""
    backbone = initial_backbone()
    backbone.load_weights(file)
    with whole_file(SYNTHETIC_WEIGHTS) as partial, partial.open("wb") as packed:
        np.savez_compressed(packed, **pack_weights(lower_blocks(backbone).get_weights(), STEP)._asdict())
    content = SYNTHETIC_WEIGHTS.read_bytes()
    print(f"{SYNTHETIC_WEIGHTS}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def images(text: str) -> int:
    """Return an argument as a number of faces, of which some are left to train on."""
    if not text.isdecimal() or int(text) <= HELD_OUT:
        raise argparse.ArgumentTypeError(f"must be a number above {HELD_OUT:,}, those held out, not {text}")
    return int(text)


def minutes(text: str) -> float:
    """Return an argument as a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return number


def folder_of_faces(text: str) -> Path:
    """Return an argument as a folder that `draw` wrote."""
    if not Path(text, ATTRIBUTES_FILE).is_file():
        raise argparse.ArgumentTypeError(f"no {ATTRIBUTES_FILE} in {text}; draw the faces first")
    return Path(text)


def weights_file(text: str) -> Path:
    """Return an argument as a name that Keras accepts for weights."""
    if not text.endswith(".weights.h5"):
        raise argparse.ArgumentTypeError(f"must end in .weights.h5, not {Path(text).name}")
    return Path(text)


@one_line_errors()
def main() -> None:
    """Draw, train or pack."""
    parser = OneLineParser(prog="python scripts/pretrain.py", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    drawing = steps.add_parser("draw")
    drawing.add_argument("folder", metavar="FOLDER", type=Path)
    drawing.add_argument("--images", type=images, default=21_000)
    training = steps.add_parser("train")
    training.add_argument("folder", metavar="FOLDER", type=folder_of_faces)
    training.add_argument("file", metavar="FILE.weights.h5", type=weights_file)
    training.add_argument("--minutes", type=minutes, default=60)
    packing = steps.add_parser("pack")
    packing.add_argument("file", metavar="FILE.weights.h5", type=existing_file)
    arguments = parser.parse_args()
    if arguments.step == "draw":
        write_sample(arguments.folder, arguments.images, SEED)
    elif arguments.step == "train":
        train(arguments.folder, arguments.file, arguments.minutes)
    else:
        pack(arguments.file)


if __name__ == "__main__":
    main()
