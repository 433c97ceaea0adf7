"""Shards of features: what the frozen trunk gives for each image, computed once and remembered by content.

A feature shard holds the records of one image shard: `image_ids` (str), `labels` (int8) and `features` (float16), as
NumPy's .npz under zstd. Most features are zeros of a ReLU, so that it is a fraction of the raw size.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from facegender.data.images import Pixels, decode_image
from facegender.data.shards import read_shard, shard_paths
from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError
from facegender.files import whole_file
from facegender.imports import PACKAGE, imported_files

ENGINES = "network/engines/choice.py"
"""The module of the package that leads to all engines."""

Engine = Callable[[Iterable[Pixels]], npt.NDArray[np.float32]]
"""Takes images uint8 RGB (height, width, 3), gives their features (images, …)."""


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
    parts = [weights.read_bytes(), trainable_from.encode(), engine_name.encode()]
    parts += [path.read_bytes() for path in sorted(imported_files([Path(__file__), PACKAGE / ENGINES]))]
    parts += [
        f"{name}=={version(name)}".encode()
        for name in ("keras", "numpy", "opencv-python-headless", "openvino", "tensorflow", "zstandard")
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
