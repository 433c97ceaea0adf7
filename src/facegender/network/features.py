"""Shards of features: the frozen trunk's output for each image, computed once and cached by content.

A feature shard holds the records of one image shard: `image_ids` (str), `labels` (int8) and `features` (float16), as
NumPy's .npz compressed by zstd. Most features are zeros after a ReLU, so it takes a fraction of the raw size.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from facegender.cluster import spread
from facegender.data.images import decode_image
from facegender.data.shards import Record, ShardFile, read_files, read_shard, shard_paths
from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError
from facegender.files import whole_file, write_arrays
from facegender.imports import imported_files
from facegender.network.sidecar import IMAGE, Precision, TrunkSpec

Engine = Callable[[Iterable[npt.NDArray[Any]]], npt.NDArray[np.float32]]
"""Takes inputs of a network, such as images uint8 RGB (height, width, 3), and returns its output (inputs, …)."""

TRUNK_FILE = "trunk.json"
"""The file in a folder of feature shards that describes the trunk that computed them."""


class FeatureShard(NamedTuple):
    """Features of one shard's images, in the image shard's order: float16 when read, float32 as computed."""

    image_ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int8]
    features: npt.NDArray[np.floating]


class Examples(NamedTuple):
    """What the tail takes for the images of one shard, in the shard's order.

    Attributes:
        image_ids: the images' ids.
        labels: (n,).
        inputs: features float16 (n, …), or images uint8 RGB (n, height, width, 3).
    """

    image_ids: list[str]
    labels: npt.NDArray[np.int8]
    inputs: npt.NDArray[Any]


def compute_shard(shard: Path | BinaryIO, engine: Engine) -> FeatureShard:
    """Compute the features (float32) of an image shard."""
    records = read_shard(shard)
    features = engine(decode_image(record.jpeg, record.image_id) for record in records)
    image_ids = np.array([record.image_id for record in records])
    return FeatureShard(image_ids, labels_of(records), features)


def feature_shards(shards: Iterable[ShardFile], engine: Engine) -> Iterator[bytes]:
    """Yield the feature shards of image shards. The engine does not wait while one is packed.

    Raises:
        FacegenderError: as `pack_shard`, or an image is damaged.
    """
    computed = ((shard.name, compute_shard(io.BytesIO(shard.content), engine)) for shard in shards)
    for name, features in read_ahead(computed):
        yield pack_shard(features, name)


def pack_shard(computed: FeatureShard, name: str | Path) -> bytes:
    """Encode a feature shard as its file's bytes, with the features as float16.

    Args:
        computed: as `compute_shard` returns it.
        name: the shard's name in errors.

    Raises:
        FacegenderError: a feature is not finite as float16.
    """
    with np.errstate(over="ignore"):
        halves = computed.features.astype(np.float16)
    if not np.isfinite(halves).all():
        raise FacegenderError(
            name,
            "has features above 65504, the largest number in float16",
            "use other weights (backbone.weights) or another cut",
        )
    buffer = io.BytesIO()
    write_arrays(buffer, computed._replace(features=halves)._asdict().items())
    # The checksum detects damage on the disk.
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(buffer.getvalue())


def load_shard(path: Path) -> FeatureShard:
    """Read one feature shard."""
    with np.load(io.BytesIO(zstandard.decompress(path.read_bytes()))) as arrays:
        return FeatureShard(arrays["image_ids"], arrays["labels"], arrays["features"])


def feature_paths(*folders: str | Path) -> list[Path]:
    """List the feature shards in folders, ordered by name, so that the copies of a shard are next to it."""
    return sorted((path for folder in folders for path in Path(folder).glob("*.npz.zst")), key=lambda path: path.name)


def tail_inputs(trunk: TrunkSpec, features: Sequence[str | Path], images: Sequence[str | Path]) -> list[Path]:
    """List the shards that the tail is trained or evaluated on: those of images if there is no trunk.

    Args:
        trunk: of the tail.
        features: folders of feature shards.
        images: the folders of the image shards that they were computed from.
    """
    if trunk["trainable_from"] != IMAGE:
        return feature_paths(*features)
    return sorted((path for folder in images for path in shard_paths(folder)), key=lambda path: path.name)


def load_inputs(path: Path) -> Examples:
    """Read what the tail takes from a feature shard, or decode the images of an image shard."""
    if path.suffix == ".zip":
        records = read_shard(path)
        # OpenCV releases the GIL, so threads are enough.
        with ThreadPoolExecutor() as pool:
            images = np.stack(list(pool.map(lambda record: decode_image(record.jpeg, record.image_id), records)))
        return Examples([record.image_id for record in records], labels_of(records), images)
    shard = load_shard(path)
    return Examples(shard.image_ids.tolist(), shard.labels, shard.features)


def labels_of(records: Sequence[Record]) -> npt.NDArray[np.int8]:
    """Return the labels of records, (n,)."""
    return np.array([record.label for record in records], np.int8)


def read_trunk(folder: str | Path) -> TrunkSpec:
    """Read which trunk computed the features in a folder.

    Raises:
        FacegenderError: TRUNK_FILE is missing or damaged.
    """
    try:
        spec: TrunkSpec = json.loads(Path(folder, TRUNK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FacegenderError(
            Path(folder, TRUNK_FILE), "missing or damaged", "run: dvc checkout, or: dvc repro"
        ) from error
    return spec


def check_same_trunk(specs: Mapping[str, TrunkSpec]) -> TrunkSpec:
    """Check that features and models belong to the same trunk, and return it.

    Args:
        specs: by the name of the folder or file; at least one.

    Raises:
        FacegenderError: two of them differ.
    """
    (first_name, first), *others = specs.items()
    for name, spec in others:
        for key in TrunkSpec.__annotations__:
            if spec.get(key) != first.get(key):
                raise FacegenderError(
                    name, f"{key} is {spec.get(key)}, but {first.get(key)} in {first_name}", "run: dvc repro"
                )
    return first


def write_features(images: Path, folder: Path, trunk_digest: str, engine: Engine, memo: Path) -> Iterator[bool]:
    """Write the feature shards of a split, computing only those that are not in the memo.

    Args:
        images: folder of image shards.
        folder: an empty folder for the feature shards, which get the names of the image shards.
        trunk_digest: as `digest_trunk` returns it.
        engine: computes the features.
        memo: folder of known feature shards, TRUNK/SHARD, named by digests of the trunk and the image shard; an entry
            is the SHA-256 digest of a feature shard, and the shard.

    Yields:
        For each shard, whether it was computed; those that were not come first.
    """
    entries = {}
    for shard in shard_paths(images):
        entry = memo / trunk_digest / hashlib.sha256(shard.read_bytes()).hexdigest()
        if known := _recall(entry):
            _feature_path(folder, shard).write_bytes(known)
            yield False
        else:
            entries[shard] = entry

    contents = spread(partial(feature_shards, engine=engine), read_files(entries))
    for (shard, entry), content in zip(entries.items(), contents, strict=True):
        with whole_file(entry) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
        _feature_path(folder, shard).write_bytes(content)
        yield True


def _feature_path(folder: Path, shard: Path) -> Path:
    return folder / f"{shard.stem}.npz.zst"


def _recall(entry: Path) -> bytes | None:
    """Return the memo's feature shard and mark it as used now; None if it is missing or damaged."""
    try:
        content = entry.read_bytes()
        os.utime(entry)
    except OSError:
        return None
    # zstd's own checksum does not cover its header.
    digest, features = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
    return features if hashlib.sha256(features).digest() == digest else None


def digest_trunk(
    trunk: bytes, engine_name: str, precision: Precision, engine_file: Path, packages: Sequence[str]
) -> str:
    """Compute a digest of everything that determines features: trunk, engine, precision, code and libraries.

    Args:
        trunk: as ONNX.
        engine_name: library of the engine.
        precision: of the computation.
        engine_file: the module of the engine.
        packages: those that the engine needs.
    """
    parts = [trunk, engine_name.encode(), precision.encode()]
    parts += [path.read_bytes() for path in sorted(imported_files([Path(__file__), engine_file]))]
    parts += [f"{name}=={version(name)}".encode() for name in (*packages, "zstandard")]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
