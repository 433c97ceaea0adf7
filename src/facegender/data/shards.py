"""Shards of images: zip files with a fixed number of JPEGs, each in a folder named after its class.

A split's shards hold its records in order, so a longer split starts with the same shards, byte for byte. Costly results
are cached per shard, so growing a split costs only the new shards. Any zip program opens them.
"""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from facegender.data.celeba import CLASSES

SHARD_SIZE = 100


class Record(NamedTuple):
    """One image of a split."""

    image_id: str
    label: int
    jpeg: bytes


class ShardFile(NamedTuple):
    """A shard as it is stored: its path, which names it in errors, and its bytes."""

    name: str
    content: bytes


def write_shards(folder: Path, records: Iterable[Record]) -> None:
    """Write records, in order, as `00000.zip`, `00001.zip` … of SHARD_SIZE images each; the last may have fewer."""
    batch: list[Record] = []
    number = 0
    for record in records:
        batch.append(record)
        if len(batch) == SHARD_SIZE:
            write_shard(folder / f"{number:05}.zip", batch)
            batch, number = [], number + 1
    if batch:
        write_shard(folder / f"{number:05}.zip", batch)


def write_shard(file: Path | BinaryIO, records: Iterable[Record]) -> None:
    """Write one shard. The same records give the same bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for record in records:
            member = zipfile.ZipInfo(f"{CLASSES[record.label]}/{record.image_id}")
            member.create_system = 3  # Unix, even on Windows, for the same bytes.
            member.external_attr = 0o644 << 16
            archive.writestr(member, record.jpeg)


def read_shard(file: Path | BinaryIO) -> list[Record]:
    """Read one shard's records in order."""
    with zipfile.ZipFile(file) as archive:
        return [_record(name, archive.read(name)) for name in archive.namelist()]


def read_files(paths: Iterable[Path]) -> Iterator[ShardFile]:
    """Yield shards with their bytes, one in memory at a time."""
    for path in paths:
        yield ShardFile(str(path), path.read_bytes())


def _record(name: str, jpeg: bytes) -> Record:
    return Record(name.split("/", 1)[1], _label(name), jpeg)


def _label(name: str) -> int:
    return CLASSES.index(name.split("/", 1)[0])


def count_labels(paths: Iterable[Path]) -> tuple[int, int]:
    """Count the No male and the Male images of shards by the names of their members, without reading the images."""
    counts = [0] * len(CLASSES)
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                counts[_label(name)] += 1
    return counts[0], counts[1]


def shard_paths(folder: str | Path) -> list[Path]:
    """List a split's shards in order."""
    return sorted(Path(folder).glob("*.zip"))


def read_records(folder: str | Path) -> Iterator[Record]:
    """Yield all records of a split in order, with one shard in memory at a time."""
    for path in shard_paths(folder):
        yield from read_shard(path)
