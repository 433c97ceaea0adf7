"""Which kind a source is, and the readers of folders per class and of UTKFace."""

import os
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.importing.layout import import_data
from facegender.importing.sources import find_kind, read_classes, read_utkface
from tests.unit.importing.helpers import labels, pack, touch


@pytest.mark.parametrize(
    ("male", "other"),
    [("male", "female"), ("Man", "Woman"), ("men", "women"), ("Male", "No male"), ("MALE", "No_Male"), ("m", "f")],
)
def test_a_folder_per_class_at_any_depth(tmp_path: Path, male: str, other: str) -> None:
    touch(tmp_path, [f"{male}/1.jpg", f"{other}/1.jpg", f"{other}/deep/2.PNG", f"{male}/.hidden.jpg", "notes.txt"])

    found = read_classes(tmp_path)

    assert labels(found) == {f"{male}/1.jpg": 1, f"{other}/1.jpg": 0, f"{other}/deep/2.PNG": 0}
    assert found.problems == []
    assert found.description.endswith("other files ignored: 1 (.txt)")
    assert find_kind(tmp_path) == "classes"
    assert "partition" not in found.images


def test_a_workbook_is_told_from_a_zip_file(tmp_path: Path) -> None:
    pack(tmp_path / "faces.xlsx", {"xl/workbook.xml": b"<workbook/>", "[Content_Types].xml": b"<Types/>"})

    with pytest.raises(
        FacegenderError, match=r"faces\.xlsx: an Excel workbook; save its table as a CSV file, and import"
    ):
        find_kind(tmp_path / "faces.xlsx")


def test_folders_per_partition_hold_folders_per_class(tmp_path: Path) -> None:
    touch(tmp_path, ["Training/male/1.jpg", "Validation/female/2.jpg", "test/female/3.jpg", "male/4.jpg"])

    found = read_classes(tmp_path)

    partitions = dict(zip(found.images["source"], found.images["partition"], strict=True))
    assert partitions == {"Training/male/1.jpg": 0, "Validation/female/2.jpg": 1, "test/female/3.jpg": 2}
    assert found.problems == ["male/4.jpg: not in a folder of one partition, as others are"]


def test_other_folder_names_need_the_option_male(tmp_path: Path) -> None:
    touch(tmp_path, ["train/Herren/1.jpg", "train/Damen/2.jpg", "test/Herren/3.jpg", "test/Damen/4.jpg"])

    with pytest.raises(FacegenderError, match="name the folder that is Male with --male"):
        find_kind(tmp_path)
    assert find_kind(tmp_path, "herren") == "classes"
    found = read_classes(tmp_path, "herren")

    assert list(labels(found).values()) == [0, 1, 0, 1]
    assert [found.images["source"][1], found.images["partition"][1]] == ["test/Herren/3.jpg", 2]


def test_a_third_folder_beside_the_one_that_is_male_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, ["a/1.jpg", "b/2.jpg", "c/3.jpg"])

    with pytest.raises(FacegenderError, match="--male a: b, c beside it, but exactly one"):
        read_classes(tmp_path, "a")


def test_images_outside_the_classes_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg", "unsure/3.jpg", "male/female/4.jpg"])

    found = read_classes(tmp_path)

    assert len(found.images) == 2
    assert found.problems == [
        "male/female/4.jpg: in folders of both classes",
        "unsure/3.jpg: not in a folder of a class (female, male)",
    ]


def test_circular_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg"])
    (tmp_path / "male" / "again").symlink_to(tmp_path)

    assert len(read_classes(tmp_path).images) == 2


def test_utkface_codes_male_as_0(tmp_path: Path) -> None:
    # The third name has no race, like three files of UTKFace itself.
    touch(
        tmp_path,
        [
            "26_0_2_20170104023102422.jpg",
            "part2/1_1_0_20161219140623097.jpg.chip.jpg",
            "61_1_20170109142408075.jpg",
            "30_2_1_20170104023102422.jpg",
            "9_1_4_20170104023102422 (2).jpg",
        ],
    )

    found = read_utkface(tmp_path)

    assert labels(found) == {
        "26_0_2_20170104023102422.jpg": 1,
        "part2/1_1_0_20161219140623097.jpg.chip.jpg": 0,
        "9_1_4_20170104023102422 (2).jpg": 0,
    }
    assert [problem.split(":")[0] for problem in found.problems] == [
        "30_2_1_20170104023102422.jpg",
        "61_1_20170109142408075.jpg",
    ]
    assert find_kind(tmp_path) == "utkface"


def test_an_ambiguous_source_needs_the_option_kind(tmp_path: Path) -> None:
    touch(tmp_path, ["male/1.jpg", "female/2.jpg", "list.csv"])

    with pytest.raises(FacegenderError, match=r"a folder per class or a CSV file .*; say which with --kind"):
        find_kind(tmp_path)


@pytest.mark.parametrize("name", ["archive.zip", "notes.txt"])
def test_a_file_that_is_neither_csv_nor_zip(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not a zip file")

    with pytest.raises(FacegenderError, match=f"{name}: not a folder, a CSV file or a complete zip file"):
        find_kind(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, and import the folder"),
        (b"Rar!\x1a\x07\x01", "a RAR archive; unpack it, and import the folder"),
        (b"<!DOCTYPE html>", "a web page; name a folder, a CSV file or CelebA's zip file"),
        (b"\x1f\x8b", "a gzip file; name a folder, a CSV file or CelebA's zip file"),
    ],
)
def test_what_a_file_is_instead_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "faces.bin").write_bytes(content)

    with pytest.raises(FacegenderError) as raised:
        find_kind(tmp_path / "faces.bin")
    assert str(raised.value) == f"{tmp_path}/faces.bin: {words}"


def test_a_zip_of_folders_of_classes_is_told(tmp_path: Path) -> None:
    pack(tmp_path / "own.zip", {"male/1.jpg": b"1", "male/2.jpg": b"2", "female/3.png": b"3"})

    with pytest.raises(
        FacegenderError, match=r"attribute list, but 2 \.jpg, 1 \.png; unpack it, and import the folder"
    ):
        find_kind(tmp_path / "own.zip")


def test_what_a_folder_of_no_known_kind_holds_is_told(tmp_path: Path) -> None:
    touch(tmp_path, ["1.jfif", "2.jfif", "x/3.heic"])

    with pytest.raises(FacegenderError, match=r"2 \.jfif, 1 \.heic, but no CelebA lists, no folders of both classes"):
        find_kind(tmp_path)


def test_a_csv_file_in_capitals_counts_and_a_pipe_does_not(tmp_path: Path) -> None:
    touch(tmp_path, ["FACES.CSV"])
    os.mkfifo(tmp_path / "pipe.csv")

    assert find_kind(tmp_path) == "csv"


@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_a_pipe_cannot_be_imported_and_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)

    with pytest.raises(FacegenderError, match=f"{name}: a pipe or a device, not a file"):
        import_data(tmp_path / name, tmp_path / "out")
