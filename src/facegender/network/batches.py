"""Batches of features for training, from shards that are read as needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegender.network.features import load_shard

Batch = tuple[npt.NDArray[np.float16], npt.NDArray[np.int8]]


MIXED_SHARDS = 4
"""Shards in memory at a time. Their images are shuffled together; the shards themselves come in random order."""


def shuffled_batches(paths: Sequence[Path], batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield one epoch of training batches, each image at most once.

    Args:
        paths: feature shards.
        batch_size: images per batch; images that do not fill the last batch are left out of this epoch, unless it is
            the only batch.
        seed: determines the order, together with `epoch`.
        epoch: counted from 0.

    Yields:
        features float16 (batch_size, …) and labels int8 (batch_size,).
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(paths))
    rest: list[Batch] = []
    filled = False
    for start in range(0, len(order), MIXED_SHARDS):
        features, labels = _joined(rest, [paths[index] for index in order[start : start + MIXED_SHARDS]])
        mixed = generator.permutation(len(labels))
        whole = len(mixed) - len(mixed) % batch_size
        for chosen in mixed[:whole].reshape(-1, batch_size):
            yield features[chosen], labels[chosen]
            filled = True
        rest = [(features[mixed[whole:]], labels[mixed[whole:]])]
    if not filled:
        yield from rest


def _joined(rest: list[Batch], paths: Sequence[Path]) -> Batch:
    parts = rest + [(shard.features, shard.labels) for shard in map(load_shard, paths)]
    return np.concatenate([features for features, _ in parts]), np.concatenate([labels for _, labels in parts])


def ordered_batches(paths: Sequence[Path]) -> Iterator[Batch]:
    """Yield all images of feature shards in order, one shard at a time."""
    for path in paths:
        shard = load_shard(path)
        yield shard.features, shard.labels
