"""The files of a folder of images."""

from pathlib import Path

import pytest

from facegender.data.folders import describe_counts, is_hidden, list_files, suffix_counts
from facegender.errors import FacegenderError


@pytest.mark.parametrize("name", ["__MACOSX", ".DS_Store", "._000001.jpg", ".hidden", "..."])
def test_hidden_names(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["000001.jpg", "img_align_celeba", "_a.jpg", "__MACOSX.jpg", "a.b.jpg", ".", "..", ""])
def test_names_that_are_not_hidden(name: str) -> None:
    assert not is_hidden(name)


def test_files_are_sorted_and_hidden_ones_left_out(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a.jpg", "b/1.jpg", "b/.1.jpg", ".c/3.jpg", "__MACOSX/4.jpg", "b/d/ü 5.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert list_files(tmp_path) == ["a.jpg", "b/1.jpg", "b/2.jpg", "b/d/ü 5.txt"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "source" / "inside").mkdir(parents=True)
    (tmp_path / "source" / "1.jpg").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2.jpg").touch()
    (tmp_path / "source" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source" / "inside" / "cycle").symlink_to(tmp_path / "source")

    assert list_files(tmp_path / "source") == ["1.jpg", "link/2.jpg"]


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FacegenderError, match=r"none: No such file or directory; use a folder that can be read$"):
        list_files(tmp_path / "none")


def test_files_are_counted_by_suffix_the_most_frequent_first() -> None:
    counts = suffix_counts(["a.HEIC", "b/c.heic", "d.zip", "e.7z", "README", "f.txt", "g.txt", "h.txt", "i.csv"])

    assert describe_counts(counts) == "3 .txt, 2 .heic, 1 .7z, 1 .csv, 1 .zip, …"
    assert describe_counts(suffix_counts(["a.1", "b.2", "c.3", "d.4", "e.5"])) == "1 .1, 1 .2, 1 .3, 1 .4, 1 .5"
    assert describe_counts(suffix_counts(["README", "b/LICENSE", "c.txt"])) == "2 without suffix, 1 .txt"
    assert describe_counts(suffix_counts([])) == "no files"
