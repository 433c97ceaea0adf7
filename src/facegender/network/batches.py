"""Batches of features or images for training, from shards that are read as needed."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegender.data.images import Pixels
from facegender.data.shards import Record, read_shard
from facegender.network.features import labels_of, load_inputs, load_shard

Batch = tuple[npt.NDArray[Any], npt.NDArray[np.int8]]
"""Inputs of the tail (images, …) and labels (images,)."""

MIXED_SHARDS = 4
"""Feature shards in memory at a time. Their images are shuffled together; the shards come in random order."""

MIXED_IMAGE_SHARDS = 40
"""The same for image shards, which are far smaller."""


def feature_batches(
    paths: Sequence[Path], batch_size: int, seed: int, epoch: int, skipped: int = 0
) -> Iterator[tuple[npt.NDArray[np.float16], npt.NDArray[np.int8]]]:
    """Yield one epoch of training batches of features, each image at most once.

    Args:
        paths: feature shards.
        batch_size: images per batch; images that do not fill the last batch are left out of this epoch, unless it is
            the only batch.
        seed: determines the order, together with `epoch`.
        epoch: counted from 0.
        skipped: the number of batches at the epoch's start to leave out.

    Yields:
        features float16 (batch_size, …) and labels int8 (batch_size,).
    """

    def load(path: Path) -> Batch:
        shard = load_shard(path)
        return shard.features, shard.labels

    yield from _shuffled(paths, load, MIXED_SHARDS, batch_size, seed, epoch, skipped)


def image_batches(
    paths: Sequence[Path],
    batch_size: int,
    seed: int,
    epoch: int,
    skipped: int = 0,
    *,
    to_pixels: Callable[[Record, int], Pixels],
) -> Iterator[tuple[Pixels, npt.NDArray[np.int8]]]:
    """Yield one epoch of training batches of images, each at most once, decoded on all cores.

    Args:
        paths: image shards.
        batch_size: as in `feature_batches`.
        seed: as in `feature_batches`.
        epoch: as in `feature_batches`.
        skipped: as in `feature_batches`; these images are not decoded.
        to_pixels: decodes and transforms a record for an epoch, counted from 0.

    Yields:
        images uint8 RGB (batch_size, height, width, 3) and labels int8 (batch_size,).
    """

    def load(path: Path) -> Batch:
        records = read_shard(path)
        # NumPy would make an array of two dimensions of a list of tuples.
        references = np.empty(len(records), object)
        references[:] = records
        return references, labels_of(records)

    batches = _shuffled(paths, load, MIXED_IMAGE_SHARDS, batch_size, seed, epoch, skipped)
    # OpenCV releases the GIL, so threads are enough.
    with ThreadPoolExecutor() as pool:
        for records, labels in batches:
            yield np.stack(list(pool.map(lambda record: to_pixels(record, epoch), records))), labels


def _shuffled(
    paths: Sequence[Path],
    load: Callable[[Path], Batch],
    mixed_shards: int,
    batch_size: int,
    seed: int,
    epoch: int,
    skipped: int,
) -> Iterator[Batch]:
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(paths))
    rest: list[Batch] = []
    number = 0
    for start in range(0, len(order), mixed_shards):
        inputs, labels = _joined(rest + [load(paths[index]) for index in order[start : start + mixed_shards]])
        mixed = generator.permutation(len(labels))
        whole = len(mixed) - len(mixed) % batch_size
        for chosen in mixed[:whole].reshape(-1, batch_size):
            if number >= skipped:
                yield inputs[chosen], labels[chosen]
            number += 1
        rest = [(inputs[mixed[whole:]], labels[mixed[whole:]])]
    if not number and not skipped:
        yield from rest


def _joined(parts: Sequence[Batch]) -> Batch:
    return np.concatenate([inputs for inputs, _ in parts]), np.concatenate([labels for _, labels in parts])


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of batches that `feature_batches` and `image_batches` yield for this many images."""
    return max(1, images // batch_size)


def ordered_batches(paths: Sequence[Path]) -> Iterator[Batch]:
    """Yield all features or images of shards in order, one shard at a time, but the last two together.

    The last shard may have one image, which several GPUs cannot share.
    """
    groups = [[path] for path in paths[:-2]] + [list(paths[-2:])]
    for group in filter(None, groups):
        yield _joined([(examples.inputs, examples.labels) for examples in map(load_inputs, group)])
