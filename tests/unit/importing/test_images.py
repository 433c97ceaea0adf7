"""Bad images, copies and alignment."""

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegender.data.images import MAX_FILE_BYTES, Pixels, encode_jpeg
from facegender.errors import FacegenderError
from facegender.importing import images as importing_images
from facegender.importing.images import image_bytes
from facegender.importing.layout import import_data
from facegender.importing.summary import describe
from tests.unit.importing.helpers import jpeg, read, stored, write


def test_a_gif_in_a_csv_file_becomes_a_jpeg(tmp_path: Path) -> None:
    gif = bytes(cv2.imencode(".gif", np.full((30, 30, 3), 7, np.uint8))[1])
    source = write(tmp_path / "in", {"a.gif": gif, "b.jpg": jpeg(1), "l.csv": b"path,label\na.gif,1\nb.jpg,0\n"})

    import_data(source, tmp_path / "out")

    table = read(tmp_path / "out").sort_values("source")
    assert stored(tmp_path / "out")[table.index[0]].startswith(b"\xff\xd8")


def test_a_pipe_and_a_device_are_bad_images_that_are_not_read(classes: Path, tmp_path: Path) -> None:
    # The pipe has no writer, so opening it would wait for ever; /dev/zero has no end.
    os.mkfifo(classes / "male" / "pipe.jpg")
    (classes / "female" / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(FacegenderError) as raised:
        import_data(classes, tmp_path / "out")
    lines = str(raised.value).split("\n")[1:]
    assert sorted(lines) == [
        f"  {name}: a pipe or a device, not a file" for name in ("female/zero.jpg", "male/pipe.jpg")
    ]


def test_a_file_of_too_many_bytes_is_a_bad_image(classes: Path, tmp_path: Path) -> None:
    with next(classes.rglob("*.jpg")).open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1_000_000)  # Without its zeros on the disk.

    with pytest.raises(FacegenderError, match="561 MB are more than 560 MB, the most for an image"):
        import_data(classes, tmp_path / "out")


def test_all_bad_images_are_listed_and_nothing_is_written(classes: Path, tmp_path: Path) -> None:
    write(classes, {"male/bad.jpg": jpeg(500)[:-9], "female/empty.jpg": b"", "other/x.jpg": jpeg(501)})
    write(classes, {"male/empty.jpg": b""})

    with pytest.raises(FacegenderError) as raised:
        import_data(classes, tmp_path / "out")
    lines = str(raised.value).split("\n")
    assert lines[0] == (f"{classes}: bad images: 4; fix them, or leave them out with --skip-bad:")
    assert {line.split(":")[0].strip() for line in lines[1:]} == {
        "female/empty.jpg", "male/bad.jpg", "male/empty.jpg", "other/x.jpg",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]

    imported = import_data(classes, tmp_path / "out", skip_bad=True)
    assert len(read(tmp_path / "out")) == len(stored(tmp_path / "out")) == 40
    with zipfile.ZipFile(tmp_path / "out" / "img_align_celeba.zip") as archive:
        assert len(archive.namelist()) == 40
    printed = describe(imported)
    assert "left out: 4\n" in printed
    assert "male/bad.jpg: a JPEG that is cut short" in printed


def test_a_csv_row_without_its_file_is_a_bad_image(tmp_path: Path) -> None:
    source = write(tmp_path, {"b.jpg": jpeg(1), "l.csv": b"path,label\na.jpg,1\nb.jpg,0\n"})

    with pytest.raises(FacegenderError, match=r"a\.jpg: No such file"):
        import_data(source / "l.csv", tmp_path / "out")


def test_copies_with_two_labels_are_errors_that_name_each_other(classes: Path, tmp_path: Path) -> None:
    write(classes, {"female/copy.jpg": jpeg(3), "male/again.jpg": jpeg(3)})

    lines = [
        "female/copy.jpg: the same image as male/3.jpg, which is Male",
        "male/3.jpg: the same image as female/copy.jpg, which is No male",
        "male/again.jpg: the same image as female/copy.jpg, which is No male",
    ]
    with pytest.raises(FacegenderError, match="bad images: 3;.*\n  " + "\n  ".join(lines)):
        import_data(classes, tmp_path / "out")
    imported = import_data(classes, tmp_path / "out", skip_bad=True)

    assert imported.problems == lines
    assert len(stored(tmp_path / "out")) == 39


def test_copies_with_two_identities_are_errors(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {name: jpeg(1) for name in ("a.jpg", "b.jpg", "c.jpg")})
    (source / "l.csv").write_text("path,label,identity\na.jpg,1,Bob\nb.jpg,1,\nc.jpg,1,Tom\n", encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"bad images: 3;") as raised:
        import_data(source, tmp_path / "out")
    assert str(raised.value).split("\n")[1:] == [
        "  a.jpg: the same image as c.jpg, which is 'Tom'",
        "  b.jpg: the same image as a.jpg, which is 'Bob'",
        "  c.jpg: the same image as a.jpg, which is 'Bob'",
    ]


def test_one_of_several_copies_with_one_label_is_kept_in_one_partition(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"a.jpg": jpeg(1), "b.png": jpeg(1), "c.jpg": jpeg(2)})
    (source / "l.csv").write_text(
        "path,label,split,identity\na.jpg,1,test,\nb.png,1,train,Bob\nc.jpg,0,val,Ann\n", encoding="utf-8"
    )

    imported = import_data(source, tmp_path / "out")

    table = read(tmp_path / "out")
    assert table.sort_values("Male")["partition"].tolist() == [1, 0]
    assert table["source"].tolist().count("a.jpg") == 1
    assert (tmp_path / "out" / "sources.csv").read_text(encoding="utf-8").count("Bob") == 2
    assert "copies left out: 1, each with the same bytes as an image that was kept" in describe(imported)


def stand_in(monkeypatch: pytest.MonkeyPatch, faces: int) -> list[tuple[str, int, int]]:
    """Replace the face detector; return the list of what it was asked for."""
    asked = []

    def aligned_faces(image: Pixels, mode: str, height: int, width: int) -> list[tuple[None, Pixels]]:
        asked.append((mode, height, width))
        return [(None, np.full((height, width, 3), 200, np.uint8))] * faces

    monkeypatch.setattr(importing_images, "aligned_faces", aligned_faces)
    return asked


def test_the_one_face_is_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stand_in(monkeypatch, 1)

    aligned = image_bytes(jpeg(1), "a.png", "always")

    assert aligned == encode_jpeg(np.full((218, 178, 3), 200, np.uint8))
    assert asked == [("always", 218, 178)]
    # An image that is aligned already keeps its bytes.
    already = encode_jpeg(np.full((218, 178, 3), 200, np.uint8))
    assert image_bytes(already, "a.jpg", "auto") == already


@pytest.mark.parametrize(("faces", "found"), [(0, "no face"), (2, "2 faces")])
def test_an_image_without_exactly_one_face_is_bad(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faces: int, found: str
) -> None:
    stand_in(monkeypatch, faces)

    with pytest.raises(FacegenderError, match=f"bad images: 40(.|\n)*male/0.jpg: {found} found, but the"):
        import_data(classes, tmp_path / "out", align="auto")
