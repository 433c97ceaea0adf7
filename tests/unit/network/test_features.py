"""Feature shards and their memo; the engine is a plain function of the pixels."""

import io
import itertools
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import zstandard

from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.shards import Record, read_records, shard_paths, write_shard, write_shards
from facegender.errors import FacegenderError
from facegender.imports import PACKAGE
from facegender.network.engines.choice import engine_packages
from facegender.network.features import (
    FeatureShard,
    compute_shard,
    digest_trunk,
    feature_paths,
    load_shard,
    pack_shard,
    write_features,
)
from tests.paths import ROOT

ENGINE = PACKAGE / "network" / "engines" / "openvino.py"


class CountingEngine:
    """Returns the mean of each image's channels, halved, as features (images, 1, 3), and counts the images."""

    def __init__(self) -> None:
        """Start at 0 images."""
        self.images = 0

    def __call__(self, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        """Compute."""
        stack = np.stack(list(images))
        self.images += len(stack)
        return np.asarray(stack.mean(axis=(1, 2), dtype=np.float32)[:, None] / 2, np.float32)


def grey_record(number: int) -> Record:
    return Record(f"ü {number}.jpg", number % 2, encode_jpeg(np.full((8, 8, 3), number, np.uint8)))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", 4)


@pytest.fixture
def features_of(tmp_path: Path, small_shards: None) -> Callable[..., tuple[Path, list[bool], int]]:
    """Return a function that writes features to a new folder each time, with the same memo."""
    folders = iter(range(100))

    def features(count: int, trunk_digest: str = "trunk") -> tuple[Path, list[bool], int]:
        number = next(folders)
        images, folder = tmp_path / f"images {number}", tmp_path / f"features {number}"
        images.mkdir()
        folder.mkdir()
        write_shards(images, map(grey_record, range(count)))
        engine = CountingEngine()
        return folder, list(write_features(images, folder, trunk_digest, engine, tmp_path / "memo")), engine.images

    return features


Features = Callable[..., tuple[Path, list[bool], int]]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_ids_labels_and_features_are_written(features_of: Features) -> None:
    folder, _, _ = features_of(10)

    shards = [load_shard(path) for path in feature_paths(folder)]
    assert [path.name for path in feature_paths(folder)] == ["00000.npz.zst", "00001.npz.zst", "00002.npz.zst"]
    assert [len(shard.labels) for shard in shards] == [4, 4, 2]
    assert np.concatenate([shard.image_ids for shard in shards]).tolist() == [f"ü {number}.jpg" for number in range(10)]
    assert np.concatenate([shard.labels for shard in shards]).tolist() == [number % 2 for number in range(10)]
    features = np.concatenate([shard.features for shard in shards])
    assert features.dtype == np.float16
    assert shards[0].labels.dtype == np.int8
    # Half of grey value n is exact in float16.
    assert features[:, 0].tolist() == [[number / 2] * 3 for number in range(10)]


def test_the_second_time_computes_nothing(features_of: Features) -> None:
    first, computed, images = features_of(10)
    assert (computed, images) == ([True, True, True], 10)

    second, computed, images = features_of(10)
    assert (computed, images) == ([False, False, False], 0)
    assert contents(first) == contents(second)


def test_growth_computes_only_the_new_shards(features_of: Features) -> None:
    first, _, _ = features_of(8)

    second, computed, images = features_of(13)

    assert computed == [False, False, True, True]
    assert images == 5
    assert contents(first).items() <= contents(second).items()


def test_growth_computes_a_filled_up_shard_again(features_of: Features) -> None:
    features_of(10)

    _, computed, images = features_of(12)

    assert computed == [False, False, True]
    assert images == 4


def test_shrinking_computes_only_the_shortened_shard(features_of: Features) -> None:
    features_of(12)

    assert features_of(8)[1:] == ([False, False], 0)
    assert features_of(6)[1:] == ([False, True], 2)


def test_another_trunk_computes_everything_and_keeps_the_memo(features_of: Features) -> None:
    features_of(10, "trunk")

    assert features_of(10, "other trunk")[1:] == ([True, True, True], 10)
    assert features_of(10, "trunk")[1:] == ([False, False, False], 0)


def test_a_killed_run_resumes(features_of: Features, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "features").mkdir()
    write_shards(tmp_path / "images", map(grey_record, range(10)))
    memo = tmp_path / "memo"
    killed = write_features(tmp_path / "images", tmp_path / "features", "trunk", CountingEngine(), memo)
    assert next(killed)
    del killed

    assert features_of(10)[1:] == ([False, True, True], 6)


def test_the_next_shard_is_computed_while_one_is_packed(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features").mkdir()
    write_shards(tmp_path, map(grey_record, range(8)))
    second = threading.Event()
    shards = itertools.count(1)

    def engine(images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        if next(shards) == 2:
            second.set()
        return np.zeros((sum(1 for _ in images), 1), np.float32)

    def pack(shard: FeatureShard, name: Path) -> bytes:
        assert second.wait(timeout=10)
        return pack_shard(shard, name)

    monkeypatch.setattr("facegender.network.features.pack_shard", pack)
    assert list(write_features(tmp_path, tmp_path / "features", "trunk", engine, tmp_path / "memo")) == [True, True]


def test_another_engine_object_for_the_same_trunk_computes_nothing(features_of: Features, tmp_path: Path) -> None:
    features_of(4)
    (tmp_path / "images").mkdir()
    (tmp_path / "features").mkdir()
    write_shards(tmp_path / "images", map(grey_record, range(4)))

    def refuse(images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        raise AssertionError("computed")

    memo = tmp_path / "memo"
    assert list(write_features(tmp_path / "images", tmp_path / "features", "trunk", refuse, memo)) == [False]


def test_the_round_trip_is_exact(tmp_path: Path) -> None:
    # The largest and smallest float16, zeros as after a ReLU, and numbers that must be rounded.
    values = np.array([[0, 65504], [6e-8, 1 / 3], [1.0, 2049.0]], np.float32)
    write_shard(tmp_path / "shard.zip", map(grey_record, range(3)))

    data = pack_shard(compute_shard(tmp_path / "shard.zip", lambda images: values), "shard.zip")

    (tmp_path / "shard.npz.zst").write_bytes(data)
    features = load_shard(tmp_path / "shard.npz.zst").features
    # IEEE 754 binary16 by hand: 2^-24 is the smallest; 1/3 is 1365 * 2^-12; 2049 lies between 2048 and 2050.
    assert features.tolist() == [[0, 65504], [2.0**-24, 1365 / 4096], [1, 2048]]
    assert pack_shard(compute_shard(tmp_path / "shard.zip", lambda images: values), "shard.zip") == data


def test_the_bytes_do_not_depend_on_the_version_of_python() -> None:
    shard = FeatureShard(np.array(["1.jpg"]), np.array([1], np.int8), np.zeros((1, 2), np.float32))

    content = zstandard.decompress(pack_shard(shard, "shard.zip"))

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == ["image_ids.npy", "labels.npy", "features.npy"]
    # Fields of a local file header (APPNOTE.TXT 4.3.7): the version that is needed, and the length of the extra field.
    # 45, and an extra field, are those of ZIP64, which Python 3.11.2 and 3.11.7 write in different ways.
    for member in members:
        version, length = struct.unpack_from("<4xH22xH", content, member.header_offset)
        assert (version, length) == (20, 0)


def test_the_engine_sees_the_decoded_images_in_order(tmp_path: Path) -> None:
    write_shards(tmp_path, map(grey_record, (3, 250, 90)))
    seen: list[Pixels] = []

    def engine(images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        seen.extend(images)
        return np.zeros((3, 1), np.float32)

    compute_shard(tmp_path / "00000.zip", engine)

    for image, record in zip(seen, read_records(tmp_path), strict=True):
        assert np.array_equal(image, decode_image(record.jpeg, ""))
    assert [image[0, 0, 0] for image in seen] == [3, 250, 90]


@pytest.mark.parametrize("value", [65520, -65520, np.inf, -np.inf, np.nan])
def test_features_beyond_float16_are_one_line(tmp_path: Path, value: float) -> None:
    # 65520 is the smallest number that float16 rounds to infinity.
    write_shard(tmp_path / "shard.zip", [grey_record(1)])

    shard = compute_shard(tmp_path / "shard.zip", lambda images: np.array([[value]], np.float32))

    with pytest.raises(FacegenderError, match=r"shard\.zip: .*backbone\.weights") as caught:
        pack_shard(shard, tmp_path / "shard.zip")

    assert len(str(caught.value).splitlines()) == 1


def test_a_failed_shard_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_shard(tmp_path / "images" / "00000.zip", [grey_record(1)])
    memo = tmp_path / "memo"

    for _ in range(2):
        with pytest.raises(FacegenderError):
            list(
                write_features(
                    tmp_path / "images", tmp_path, "trunk", lambda images: np.array([[np.inf]], np.float32), memo
                )
            )

    assert list(write_features(tmp_path / "images", tmp_path, "trunk", CountingEngine(), memo)) == [True]


def test_zeros_take_little_space(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.zip", [grey_record(1)])

    data = pack_shard(
        compute_shard(tmp_path / "shard.zip", lambda images: np.zeros((1, 10_000), np.float32)), "shard.zip"
    )

    assert len(data) < 1_000
    assert io.BytesIO(data).read(4) == b"\x28\xb5\x2f\xfd"  # Zstandard's magic number, RFC 8878, 3.1.1.


PACKAGES = engine_packages("OpenVINO")


def test_the_trunk_s_digest_depends_on_trunk_engine_and_precision() -> None:
    digest = digest_trunk(b"trunk", "OpenVINO", "float32", ENGINE, PACKAGES)

    assert digest == digest_trunk(b"trunk", "OpenVINO", "float32", ENGINE, PACKAGES)
    assert digest != digest_trunk(b"other", "OpenVINO", "float32", ENGINE, PACKAGES)
    assert digest != digest_trunk(b"trunk", "TensorFlow", "float32", ENGINE, PACKAGES)
    assert digest != digest_trunk(b"trunk", "OpenVINO", "bfloat16", ENGINE, PACKAGES)


def test_the_trunk_s_digest_depends_on_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()

    for library in ("opencv-python-headless", "openvino", "zstandard", "tensorflow", "keras"):
        monkeypatch.setattr(
            "facegender.network.features.version", lambda name, new=library: "9.9" if name == new else "1.0"
        )
        digests.add(digest_trunk(b"trunk", "OpenVINO", "float32", ENGINE, PACKAGES))

    # Three, and one for all others: OpenVINO does not need TensorFlow.
    assert len(digests) == 4


READS_IMAGES = {
    "data/celeba.py",
    "data/decoder_warnings.py",
    "data/image_headers.py",
    "data/images.py",
    "data/shards.py",
    "data/streams.py",
    "files.py",
}
COMPUTES_FEATURES = READS_IMAGES | {
    *("network/features.py", "network/sidecar.py"),
    "network/engines/openvino.py",
}
TRAINS = READS_IMAGES | {
    *("data/tables.py", "preparation/augment.py"),
    *("network/backbone.py", "network/batches.py", "network/devices.py", "network/features.py"),
    *("network/engines/openvino.py", "network/model_file.py", "network/onnx_file.py", "network/sidecar.py"),
    "network/training.py",
}
DIGESTS = r"""
import sys
from pathlib import Path
import facegender
from facegender.network.engines.choice import engine_file
from facegender.network.features import digest_trunk
from facegender.network.training import digest_training

package = Path(facegender.__file__).parent
def digests():
    trunk = digest_trunk(b"trunk", "OpenVINO", "float32", engine_file("OpenVINO"), [])
    return trunk, digest_training(Path("stages/train.py"), [], {})

before = digests()
for path in sorted(package.rglob("*.py")):
    text = path.read_bytes()
    path.write_bytes(text + b"# another comment\n")
    print(path.relative_to(package).as_posix(), *(one != other for one, other in zip(before, digests())))
    path.write_bytes(text)
"""


@pytest.mark.slow
def test_the_keys_in_the_cache_depend_on_exactly_the_code_that_computes_the_results(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "facegender", tmp_path / "facegender")
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    (tmp_path / "weights").touch()
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", DIGESTS]

    printed = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    rows = [line.split() for line in printed.splitlines()]
    assert {path for path, trunk, _ in rows if trunk == "True"} == COMPUTES_FEATURES
    assert {path for path, _, training in rows if training == "True"} == TRAINS


def test_shards_without_images_give_no_features(tmp_path: Path) -> None:
    memo = tmp_path / "memo"

    assert list(write_features(tmp_path, tmp_path, "trunk", CountingEngine(), memo)) == []
    assert shard_paths(tmp_path) == feature_paths(tmp_path) == []
