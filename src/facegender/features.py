"""Shards of features: what the frozen trunk gives for each image, computed once and remembered by content.

A feature shard holds the records of one image shard: `image_ids` (str), `labels` (int8) and `features` (float16), as
NumPy's .npz under zstd. Most features are zeros of a ReLU, so that it is a fraction of the raw size.
"""

import hashlib
import inspect
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from facegender.errors import FacegenderError
from facegender.files import whole_file
from facegender.images import Pixels, decode_image
from facegender.shards import read_shard, shard_paths
from facegender.streams import read_ahead

Engine = Callable[[Iterable[Pixels]], npt.NDArray[np.float32]]
"""Takes images uint8 RGB (height, width, 3), gives their features (images, …)."""

Batch = tuple[npt.NDArray[np.float16], npt.NDArray[np.int8]]

MIXED_SHARDS = 4
"""Shards in memory at a time, from which batches are drawn: shards come in random order, and images in these."""


class FeatureShard(NamedTuple):
    """Features of one shard's images, in the image shard's order: float16 when read, float32 as computed."""

    image_ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int8]
    features: npt.NDArray[np.floating]


def compute_shard(shard: Path, engine: Engine) -> FeatureShard:
    """Compute the features of an image shard, float32.

    Args:
        shard: the image shard.
        engine: computes the features.
    """
    records = read_shard(shard)
    features = engine(decode_image(record.jpeg, record.image_id) for record in records)
    image_ids = np.array([record.image_id for record in records])
    return FeatureShard(image_ids, np.array([record.label for record in records], np.int8), features)


def pack_shard(computed: FeatureShard, name: str | Path) -> bytes:
    """Give the bytes of a feature shard's file, its features as float16.

    Args:
        computed: as `compute_shard` gives it.
        name: what an error calls the shard.

    Raises:
        FacegenderError: a feature is not finite as float16.
    """
    with np.errstate(over="ignore"):
        halves = computed.features.astype(np.float16)
    if not np.isfinite(halves).all():
        raise FacegenderError(
            f"{name}: features beyond float16's 65504; take other weights (backbone.weights) or another cut"
        )
    buffer = io.BytesIO()
    np.savez(buffer, **computed._replace(features=halves)._asdict())
    # With a checksum, damage on the disk is noticed.
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(buffer.getvalue())


def load_shard(path: Path) -> FeatureShard:
    """Read one feature shard."""
    with np.load(io.BytesIO(zstandard.decompress(path.read_bytes()))) as arrays:
        return FeatureShard(arrays["image_ids"], arrays["labels"], arrays["features"])


def feature_paths(folder: str | Path) -> list[Path]:
    """List a split's feature shards in order."""
    return sorted(Path(folder).glob("*.npz.zst"))


def write_features(images: Path, folder: Path, trunk_digest: str, engine: Engine, memo: Path) -> Iterator[bool]:
    """Write the feature shards of a split, computing only those that the memo does not hold.

    Args:
        images: folder of image shards.
        folder: an empty folder for the feature shards, named as the image shards.
        trunk_digest: as `digest_trunk` gives it.
        engine: computes the features.
        memo: folder that keeps feature shards by the trunk and the image shard's content, as TRUNK/SHARD.npz.zst.

    Yields:
        For each shard, whether it had to be computed.
    """

    def known_or_computed() -> Iterator[tuple[Path, Path, bytes | FeatureShard]]:
        for shard in shard_paths(images):
            entry = memo / trunk_digest / f"{hashlib.sha256(shard.read_bytes()).hexdigest()}.npz.zst"
            yield shard, entry, _recall(entry) or compute_shard(shard, engine)

    # So that the engine need not wait until a shard is packed.
    for shard, entry, features in read_ahead(known_or_computed()):
        content = features if isinstance(features, bytes) else pack_shard(features, shard)
        if content is not features:
            with whole_file(entry) as partial:
                partial.write_bytes(content)
        (folder / f"{shard.stem}.npz.zst").write_bytes(content)
        yield content is not features


def _recall(entry: Path) -> bytes | None:
    """Give the feature shard that the memo holds, and mark it as used now; None where it is not there or damaged."""
    try:
        features = entry.read_bytes()
        zstandard.decompress(features)
        os.utime(entry)
    except (OSError, zstandard.ZstdError):
        return None
    return features


def digest_trunk(weights: Path, trainable_from: str, engine_name: str) -> str:
    """Identify all that decides an image's features.

    Args:
        weights: InceptionV3's, as the stage pretrained writes them.
        trainable_from: the cut: `mixed3` … `mixed10`, or `head`.
        engine_name: library and precision that compute; the code and the versions of libraries are added here.
    """
    package = Path(__file__).parent
    parts = [weights.read_bytes(), trainable_from.encode(), engine_name.encode()]
    modules = ("backbone.py", "celeba.py", "engine.py", "gpu_engine.py", "images.py", "shards.py", "streams.py")
    parts += [(package / name).read_bytes() for name in modules]
    parts += [inspect.getsource(function).encode() for function in (compute_shard, pack_shard)]
    parts += [
        f"{name}=={version(name)}".encode()
        for name in ("keras", "numpy", "opencv-python-headless", "openvino", "tensorflow", "zstandard")
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def shuffled_batches(paths: Sequence[Path], batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield one epoch of training batches, each image at most once.

    Args:
        paths: feature shards.
        batch_size: images of every batch; what does not fill the last one is left to another epoch's order, unless it
            is all there is.
        seed: with `epoch` decides the order.
        epoch: from 0.

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
    """Yield all images of feature shards in order, a shard at a time."""
    for path in paths:
        shard = load_shard(path)
        yield shard.features, shard.labels
