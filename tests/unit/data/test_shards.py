"""Shards of images."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.data import shards
from facegender.data.shards import (
    SHARD_SIZE,
    Record,
    count_labels,
    read_files,
    read_records,
    read_shard,
    shard_paths,
    write_shard,
    write_shards,
)

# Letters of all scripts, spaces and signs; lists.py refuses ids with a slash or backslash.
NAMES = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="/\\"), min_size=1, max_size=20
).map(lambda stem: f"{stem}.jpg")
RECORDS = st.lists(
    st.builds(Record, image_id=NAMES, label=st.integers(0, 1), jpeg=st.binary(max_size=50)),
    max_size=8,
    unique_by=lambda record: record.image_id,
)


def numbered(count: int) -> list[Record]:
    return [Record(f"{number:06}.jpg", number % 2, bytes([number % 256]) * 5) for number in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(records=RECORDS)
def test_a_shard_gives_back_its_records_in_order(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("Ünï codé") / "shard.zip"

    write_shard(path, records)
    first = path.read_bytes()
    assert read_shard(path) == records

    write_shard(path, iter(records))
    assert path.read_bytes() == first


@given(records=RECORDS, size=st.integers(1, 4), extra=RECORDS)
def test_a_longer_split_starts_with_the_same_shards(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], size: int, extra: list[Record]
) -> None:
    short, long = tmp_path_factory.mktemp("short"), tmp_path_factory.mktemp("long")
    known = {record.image_id for record in records}
    longer = records + [record for record in extra if record.image_id not in known]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_SIZE", size)
        write_shards(short, records)
        write_shards(long, longer)

    assert list(read_records(short)) == records
    assert list(read_records(long)) == longer
    whole = [f"{number:05}.zip" for number in range(len(records) // size)]
    assert [contents(short)[name] for name in whole] == [contents(long)[name] for name in whole]
    assert [len(read_shard(path)) for path in shard_paths(short)[: len(whole)]] == [size] * len(whole)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (SHARD_SIZE, [SHARD_SIZE]),
        (SHARD_SIZE + 1, [SHARD_SIZE, 1]),
        (2 * SHARD_SIZE + 7, [SHARD_SIZE, SHARD_SIZE, 7]),
    ],
)
def test_shards_are_full_except_the_last(tmp_path: Path, count: int, sizes: list[int]) -> None:
    write_shards(tmp_path, numbered(count))

    paths = shard_paths(tmp_path)
    assert [path.name for path in paths] == [f"{number:05}.zip" for number in range(len(sizes))]
    assert [len(read_shard(path)) for path in paths] == sizes
    assert list(read_records(tmp_path)) == numbered(count)


def test_the_images_of_each_class_are_counted_over_all_shards(tmp_path: Path) -> None:
    # Every third image is Male, in shards of 100, 100 and 7: numbers 0, 3 … 204.
    records = [record._replace(label=int(number % 3 == 0)) for number, record in enumerate(numbered(207))]
    write_shards(tmp_path, records)

    assert count_labels(shard_paths(tmp_path)) == (138, 69)
    assert count_labels(shard_paths(tmp_path)[2:]) == (5, 2)
    assert count_labels([]) == (0, 0)


@given(records=RECORDS)
def test_the_classes_are_counted_whatever_the_images_are_called(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("count") / "shard.zip"
    write_shard(path, [record._replace(image_id=f"Male {record.image_id}") for record in records])

    males = sum(record.label for record in records)
    assert count_labels([path]) == (len(records) - males, males)


def test_the_images_are_not_read_to_count_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path / "shard.zip", numbered(5))
    monkeypatch.delattr(zipfile.ZipFile, "open")

    assert count_labels([tmp_path / "shard.zip"]) == (3, 2)


def test_bytes_do_not_depend_on_the_date_or_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, zone in (("here", "UTC-14"), ("there", "UTC+12")):
        monkeypatch.setenv("TZ", zone)
        monkeypatch.setattr("time.time", lambda zone=zone: 1e9 if zone == "UTC-14" else 2e9)
        (tmp_path / place).mkdir()
        write_shards(tmp_path / place, numbered(3))

    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_bytes_do_not_depend_on_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for platform in ("linux", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        files.append(io.BytesIO())
        write_shard(files[-1], [Record("a.jpg", 0, b"one")])

    assert files[0].getvalue() == files[1].getvalue()


def test_any_zip_program_shows_a_folder_per_class(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.zip", [Record("b ü.jpg", 1, b"one"), Record("a.jpg", 0, b"two")])

    with zipfile.ZipFile(tmp_path / "shard.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "Male/b ü.jpg": b"one",
            "No male/a.jpg": b"two",
        }
        # Not compressed, as JPEGs are already, and with Unix permissions that let everyone read them when unpacked.
        for member in archive.infolist():
            assert member.create_system == 3
            assert member.compress_type == zipfile.ZIP_STORED
            assert member.external_attr >> 16 == 0o644


def test_files_come_with_their_path_which_names_them_in_errors(tmp_path: Path) -> None:
    write_shards(tmp_path, numbered(SHARD_SIZE + 1))

    found = list(read_files(shard_paths(tmp_path)))

    assert [name for name, _ in found] == [f"{tmp_path}/00000.zip", f"{tmp_path}/00001.zip"]
    assert [len(read_shard(io.BytesIO(content))) for _, content in found] == [SHARD_SIZE, 1]


def test_other_files_are_not_shards(tmp_path: Path) -> None:
    write_shards(tmp_path, numbered(2))
    (tmp_path / ".DS_Store").write_bytes(b"")

    assert [path.name for path in shard_paths(str(tmp_path))] == ["00000.zip"]
