"""Compare training of the tail on features from disk and from memory, and training without a cut.

All ways train the same layers on the same number of images. They take turns, round by round, each in a new process
that warms up before the measured epoch, by two steps or, for `fit`, by an epoch:

- arrays in memory: `train_on_batch` on float16 features, plain and compiled by XLA;
- shards on disk: `fit`, as the stage train calls it, including the files that it keeps of each epoch;
- whole network: `train_on_batch` on uint8 images in memory, with the layers below the cut frozen.

Features are random, with as many zeros as after a ReLU; their values do not affect the speed. Prints a Markdown table.

    python -m benchmarks.tail_training --weights inception_v3_notop.h5
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from benchmarks.measure import argument_parser, median_rate, rate_cells, say, table, take_turns
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, shard_paths, write_shards
from facegender.errors import one_line_errors
from facegender.network.backbone import build_model, load_backbone, tail_of, trunk_of
from facegender.network.batches import feature_batches, ordered_batches
from facegender.network.features import compute_shard, feature_paths, load_shard, pack_shard
from facegender.network.training import Recipe, TrainingBatches, fit
from facegender.network.weights import pretrained_backbone

DROPOUT, LEARNING_RATE, SEED = 0.5, 1e-4, 0
RECIPE = Recipe(
    epochs=2,
    learning_rate=LEARNING_RATE,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0,
    label_smoothing=0,
    ema_momentum=0,
    monitor="val_loss",
    patience=2,
    seed=SEED,
)

VALIDATION_IMAGES = 10
"""Few, so that an epoch is almost only training."""

ZEROS = 0.86
"""Share of zeros among the features of block mixed7."""

MEMORY, XLA, DISK, WHOLE = "arrays in memory", "arrays in memory, XLA", "shards on disk", "whole network on images"


class Task(NamedTuple):
    """A training task.

    Attributes:
        weights: InceptionV3's, as written by the stage pretrained.
        trainable_from: the cut.
        features: folder with the folders train and val of feature shards.
        images: number of training images, a multiple of `batch_size`.
        batch_size: images per step.
    """

    weights: Path
    trainable_from: str
    features: Path
    images: int
    batch_size: int


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "weights")
    parser.add_argument("--trainable-from", nargs="+", default=["mixed8", "mixed7"])
    parser.add_argument("--images", type=int, default=1600, help="of an epoch; rounded down to whole batches")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    images = options.images - options.images % options.batch_size
    if not images:
        parser.error("--images: fewer than one batch")
    seconds = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = folder / "backbone.weights.h5"
        pretrained_backbone(options.weights).save_weights(weights)
        for cut in options.trainable_from:
            say(f"{cut}: features")
            shape = tail_of(build_model(HEIGHT, WIDTH), cut).input_shape[1:]
            write_random_features(folder / cut / "train", images, shape)
            write_random_features(folder / cut / "val", VALIDATION_IMAGES, shape)
            task = Task(weights, cut, folder / cut, images, options.batch_size)
            ways = {name: partial(in_new_process, WAYS[name], task) for name in options.ways}
            seconds[cut] = take_turns(ways, options.rounds)

    print(f"{images} images in batches of {options.batch_size}, median of {options.rounds} rounds:\n")
    print(rate_table(seconds, images))


def write_random_features(folder: Path, images: int, shape: tuple[int, ...]) -> None:
    """Write feature shards of float16 (images, *shape): ReLU of normal numbers, shifted so that ZEROS of them are 0."""
    generator = np.random.default_rng([SEED, images])
    threshold = statistics.NormalDist().inv_cdf(ZEROS)

    def engine(pixels: Any) -> npt.NDArray[np.float32]:
        size = (sum(1 for _ in pixels), *shape)
        return np.maximum(generator.standard_normal(size, np.float32) - np.float32(threshold), 0)

    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as blank:
        write_shards(Path(blank), (Record(f"{number:06}.jpg", number % 2, jpeg) for number in range(images)))
        for shard in shard_paths(blank):
            (folder / f"{shard.stem}.npz.zst").write_bytes(pack_shard(compute_shard(shard, engine), shard))


def in_new_process(way: Callable[[Task], float], task: Task) -> float:
    """Call a way in a process of its own and return the seconds of its epoch."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(way, task).result()


def train_in_memory(task: Task, jit_compile: bool = False) -> float:
    """Return the seconds of an epoch of the tail on arrays of features."""
    shards = [load_shard(path) for path in feature_paths(task.features / "train")]
    features = np.concatenate([shard.features for shard in shards])
    labels = np.concatenate([shard.labels for shard in shards])
    return train_epoch(tail_of(network(task), task.trainable_from), features, labels, task.batch_size, jit_compile)


def train_in_memory_with_xla(task: Task) -> float:
    """Return the seconds of an epoch of the tail on arrays of features, compiled by XLA."""
    return train_in_memory(task, jit_compile=True)


def train_from_disk(task: Task) -> float:
    """Return the seconds of the second epoch of `fit`, set up as in the stage train."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    tail = tail_of(network(task), task.trainable_from)
    train, val = (feature_paths(task.features / split) for split in ("train", "val"))
    ends: list[float] = []
    # Standard output is for the table, not for the progress of `fit`.
    with tempfile.TemporaryDirectory() as state, redirect_stdout(sys.stderr):
        fit(
            tail,
            TrainingBatches(
                partial(feature_batches, train, task.batch_size, SEED), task.images // task.batch_size, (1, 1)
            ),
            partial(ordered_batches, val),
            RECIPE,
            Path(state),
            checkpoint_seconds=600,
            on_epoch=lambda numbers: ends.append(time.perf_counter()),
        )
    return ends[1] - ends[0]


def train_whole(task: Task) -> float:
    """Return the seconds of an epoch of the whole network on images, with the layers of the trunk frozen."""
    model = network(task)
    trunk_of(model, task.trainable_from).trainable = False
    images = np.random.default_rng(SEED).integers(0, 256, (task.images, HEIGHT, WIDTH, 3), np.uint8)
    return train_epoch(model, images, np.arange(task.images) % 2, task.batch_size)


def network(task: Task) -> keras.Model:
    """Build the whole network with the given weights, as the stage train does."""
    model = build_model(HEIGHT, WIDTH, DROPOUT)
    load_backbone(model, task.weights)
    return model


def train_epoch(
    model: keras.Model,
    inputs: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    batch_size: int,
    jit_compile: bool = False,
) -> float:
    """Compile as `fit` does, take two steps, and return the seconds of the epoch that follows."""
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    batches = [slice(start, start + batch_size) for start in range(0, len(labels), batch_size)]
    for _ in range(2):
        model.train_on_batch(inputs[batches[0]], labels[batches[0]])
    start = time.perf_counter()
    for batch in batches:
        model.train_on_batch(inputs[batch], labels[batch])
    return time.perf_counter() - start


WAYS: dict[str, Callable[[Task], float]] = {
    MEMORY: train_in_memory,
    XLA: train_in_memory_with_xla,
    DISK: train_from_disk,
    WHOLE: train_whole,
}


def rate_table(seconds: Mapping[str, Mapping[str, list[float]]], images: int) -> str:
    """Return the table of images per second by cut and way."""
    rows = []
    for cut, of_cut in seconds.items():
        rates = {name: median_rate(images, times) for name, times in of_cut.items()}
        for name, rate in rates.items():
            rows.append(
                (
                    f"{cut}, {name}",
                    *rate_cells(images, of_cut[name]),
                    f"{rate / rates[MEMORY]:.0%}" if MEMORY in rates else "",
                    f"{rate / rates[WHOLE]:.1f}" if WHOLE in rates else "",
                )
            )
    return table(("trained from, on", "images/s", "all rounds", f"of {MEMORY}", "times the whole network"), rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
