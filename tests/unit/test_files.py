"""Files and folders that are written as a whole or not at all."""

import errno
import json
import math
import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facegender.data.tables import read_table, write_csv
from facegender.errors import FacegenderError
from facegender.files import as_stored, md5_of, read_regular_file, whole_file, whole_folder, write_arrays, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, error: type[BaseException]) -> None:
    with whole_file(path) as partial:
        partial.write_text("half", encoding="utf-8")
        raise error


def fill_half(path: Path, error: type[BaseException]) -> None:
    with whole_folder(path) as partial:
        (partial / "new.txt").write_bytes(b"half")
        raise error


def test_a_whole_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"

    with whole_file(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert not path.exists()

    assert path.read_text(encoding="utf-8") == "new"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")

    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)

    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_block_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        write_half(tmp_path / "a.txt", ValueError)

    assert names(tmp_path) == []


def test_a_whole_folder_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "old.txt").write_bytes(b"old")
    # What a killed process leaves behind.
    (tmp_path / ".partial-out").mkdir()
    (tmp_path / ".partial-out" / "stale.txt").write_bytes(b"stale")

    with whole_folder(tmp_path / "out") as partial:
        assert names(partial) == []
        (partial / "new.txt").write_bytes(b"new")
        assert (tmp_path / "out" / "deep" / "old.txt").exists()

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["new.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_bytes(b"old")

    with pytest.raises(error):
        fill_half(tmp_path / "out", error)

    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "old.txt").read_bytes() == b"old"
    assert names(tmp_path / "out") == ["old.txt"]


def test_a_whole_folder_makes_the_folders_above_it(tmp_path: Path) -> None:
    with whole_folder(str(tmp_path / "a" / "b")):
        pass

    assert names(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_full_disk_is_told_with_what_was_being_written(tmp_path: Path, whole: Any) -> None:
    # As the operating system and HDF5 say it, without a name.
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(OSError, match=r"out'$") as caught, whole(tmp_path / "out"):
            raise OSError(number, "No space left on device")
        assert caught.value.filename == str(tmp_path / "out")
    # Reading another file may fail in the block, too.
    with pytest.raises(OSError, match="error") as caught, whole(tmp_path / "out"):
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.filename is None
    with pytest.raises(OSError, match=r"other'$"), whole(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device", "other")


def test_json_is_sorted_and_ends_with_a_line_feed(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": {"d": 0.1, "c": [1, 2]}})

    assert (tmp_path / "a.json").read_bytes() == (
        b'{\n  "a": {\n    "c": [\n      1,\n      2\n    ],\n    "d": 0.1\n  },\n  "b": 1\n}\n'
    )


def test_json_does_not_depend_on_the_order_of_insertion(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1, "y": 2})
    write_json(tmp_path / "b.json", {"y": 2, "x": 1})

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"x": 1, "y": 2}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: [number], lambda number: {"deep": number}])
def test_json_rejects_numbers_that_are_not_finite(tmp_path: Path, number: float, wrap: Any) -> None:
    write_json(tmp_path / "a.json", {"accuracy": 0.5})

    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"accuracy": wrap(number)})

    assert json.loads((tmp_path / "a.json").read_bytes()) == {"accuracy": 0.5}
    assert names(tmp_path) == ["a.json"]


def test_csv_bytes(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", pd.DataFrame({"image_id": ["ü, 1.jpg", "2.jpg"], "label": [1, 0]}, index=[7, 3]))

    assert (tmp_path / "a.csv").read_bytes() == 'image_id,label\n"ü, 1.jpg",1\n2.jpg,0\n'.encode()
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("image_id", ["NA", "007", "nan", "1e5", ""])
def test_image_ids_are_text_when_a_table_is_read_again(tmp_path: Path, image_id: str) -> None:
    table = pd.DataFrame({"image_id": [image_id, "b.jpg"], "label": [1, 0], "identity": [5, 6]})
    write_csv(tmp_path / "table.csv", table)

    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), table)


def test_an_md5_sum_is_that_of_md5sum(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")

    # RFC 1321, A.5.
    assert md5_of(tmp_path / "file") == "900150983cd24fb0d6963f7d28e17f72"


def test_only_files_with_an_end_and_of_the_right_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    # It takes up no space on the disk, and more memory than there is.
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**42)

    assert read_regular_file(tmp_path / "file", max_bytes=5) == b"12345"
    for place, words in {
        "pipe": "pipe: a pipe or a device, not a file; write it to a file first",
        "none": "none: No such file or directory; check the path",
        ".": "Is a directory; check the path",
        "huge": "huge: 4,398,047 MB are more than 600 MB, the most for an image; scale it down, or remove it",
    }.items():
        with pytest.raises(FacegenderError) as raised:
            read_regular_file(tmp_path / place, max_bytes=600_000_000)
        assert str(raised.value).endswith(words)
    for path, message in {
        "": "'': an empty path; name a file or a folder",
        "https://example.org/a.jpg": "https://example.org/a.jpg: a URL, and nothing is downloaded; download it first",
    }.items():
        with pytest.raises(FacegenderError) as raised:
            read_regular_file(path)
        assert str(raised.value) == message
    # Python's words for this differ by version.
    with pytest.raises(FacegenderError, match=r"^a\\x00b: .*embedded null .*; check the path$"):
        read_regular_file("a\0b")


def test_a_path_is_found_in_either_form_of_its_accents(tmp_path: Path) -> None:
    composed, separate = (unicodedata.normalize(form, f"{tmp_path}/\u00fc") for form in ("NFC", "NFD"))
    assert as_stored(composed) == composed

    Path(separate).touch()
    assert as_stored(composed) == as_stored(separate) == separate
    Path(composed).touch()
    assert (as_stored(composed), as_stored(separate)) == (composed, separate)


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3),
        "b": np.array(0.5, np.float32),
        "c": np.zeros((0, 2)),
    }
    write_arrays(tmp_path / "arrays.npz", iter(arrays.items()))

    with np.load(tmp_path / "arrays.npz") as found:
        assert found.files == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_arrays_on_a_full_disk_are_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        write_arrays("/dev/full", [("a", np.zeros(1_000_000))])
