"""The raw images, found by their id in a folder or a zip."""

import errno
import os
import struct
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facegender.data import image_sources
from facegender.data.image_sources import open_images
from facegender.data.images import IMAGE_SUFFIXES
from facegender.data.lists import read_attributes
from facegender.errors import FacegenderError
from tests.paths import SHARED
from tests.unit.data.memory_s3 import MemoryS3


def folder_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    root = tmp_path / "Bilder, größer"
    root.mkdir()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zip_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "Bilder, größer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("pack", [folder_of, zip_of])
@pytest.mark.parametrize("nesting", ["", "img_align_celeba/", "img_align_celeba/img_align_celeba/"])
def test_images_are_found_in_a_folder_and_a_zip_however_nested(
    pack: Callable[..., Path], nesting: str, tmp_path: Path
) -> None:
    images = {"000001.jpg": b"one", "Ärger 2.PNG": b"two"}
    junk = {
        "__MACOSX/img_align_celeba/._000001.jpg": b"junk",
        "__MACOSX/000001.jpg": b"junk",
        f"{nesting}._000003.jpg": b"junk",
        f"{nesting}.DS_Store": b"junk",
        ".hidden/000001.jpg": b"junk",
        "list_attr_celeba.csv": b"image_id,Male",
        "other/readme.txt": b"hello",
        "another/readme.txt": b"hello",
    }
    path = pack(tmp_path, {**junk, **{nesting + name: content for name, content in images.items()}})

    with open_images(path) as source:
        assert {name: source.read(name) for name in images} == images
        for missing in ("000002.jpg", "._000003.jpg", "readme.txt", "", ".", "..", nesting + "/000001.jpg"):
            assert source.find(missing) is None
        assert all(source.find(name) for name in images)
        with pytest.raises(FacegenderError) as raised:
            source.read("000009.jpg")
    assert str(raised.value) == f"{path}: no image 000009.jpg; add it, or remove its row from the lists"


def test_an_id_cannot_reach_outside_the_folder(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"1.jpg": b"one"})
    (tmp_path / "secret.jpg").write_bytes(b"secret")

    with open_images(root) as source:
        assert source.find("../secret.jpg") is None
        with pytest.raises(FacegenderError, match="no image"):
            source.read("../secret.jpg")
        with pytest.raises(FacegenderError, match="no image"):
            source.read(str(tmp_path / "secret.jpg"))


def test_one_name_in_two_folders_is_an_error(tmp_path: Path) -> None:
    files = {"a/1.jpg": b"one", "b/1.jpg": b"other", "b/2.jpg": b"two"}

    path = zip_of(tmp_path, files)
    with pytest.raises(FacegenderError) as raised, open_images(path):
        pass
    assert str(raised.value) == f"{path}: image 1.jpg appears twice: a/1.jpg and b/1.jpg; remove one"
    with open_images(folder_of(tmp_path, files)) as source:
        assert source.read("2.jpg") == b"two"
        with pytest.raises(FacegenderError, match=r"image 1.jpg appears twice: .*; remove one"):
            source.read("1.jpg")


@pytest.mark.parametrize("pack", [folder_of, zip_of])
@pytest.mark.parametrize(
    ("listed", "stored"),
    [("000001.jpg", "000001.png"), ("000001.jpg", "000001.JPG"), ("a.b.png", "a.b.jpeg"), ("1.PNG", "1.png")],
)
def test_images_of_another_edition_are_found_by_their_stem(
    pack: Callable[..., Path], listed: str, stored: str, tmp_path: Path
) -> None:
    others = {"x/000001_2.jpg": b"", "x/a.png": b"", "x/000001.txt": b"", f"x/._{stored}": b""}

    with open_images(pack(tmp_path, {f"x/{stored}": b"one", **others})) as source:
        assert str(source.find(listed)).endswith(f"x/{stored}")
        assert source.read(listed) == b"one"
        # Neither another stem nor a name that is not an image's.
        assert [source.find(name) for name in ("00001.jpg", "000001", "000001.txt", "b.png")] == [None] * 4


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_a_file_with_the_whole_name_comes_before_one_with_the_same_stem(
    pack: Callable[..., Path], tmp_path: Path
) -> None:
    with open_images(pack(tmp_path, {"1.jpg": b"one", "1.png": b"other", "2.png": b"two"})) as source:
        assert [source.read(name) for name in ("1.jpg", "1.png", "2.jpg")] == [b"one", b"other", b"two"]


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_two_files_with_the_stem_of_an_image_are_an_error(pack: Callable[..., Path], tmp_path: Path) -> None:
    path = pack(tmp_path, {"a/1.png": b"one", "a/2.jpg": b"two", "b/1.JPG": b"other"})

    with open_images(path) as source:
        assert source.read("2.png") == b"two"
        for use in (source.find, source.read):
            with pytest.raises(FacegenderError) as raised:
                use("1.jpg")
            message = str(raised.value).replace(f"{path}/", "")
            assert message == f"{path}: image 1.jpg appears twice: a/1.png and b/1.JPG; remove one"


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_of_many_files_with_one_stem_two_are_named(pack: Callable[..., Path], tmp_path: Path) -> None:
    path = pack(tmp_path, {"1.bmp": b"one", "1.png": b"other", "1.webp": b"third"})

    with open_images(path) as source, pytest.raises(FacegenderError) as raised:
        source.find("1.jpg")
    message = str(raised.value).replace(f"{path}/", "")
    assert message == f"{path}: image 1.jpg appears twice: 1.bmp and 1.png; remove one"


@pytest.mark.parametrize("folder", ["__MACOSX/a/", "a/__MACOSX/", "a/.hidden/b/", "a\\__MACOSX\\", "__MACOSX\\a\\"])
def test_hidden_folders_of_a_zip_are_hidden_wherever_they_are(folder: str, tmp_path: Path) -> None:
    with open_images(
        zip_of(tmp_path, {"b/1.jpg": b"one", f"{folder}1.jpg": b"junk", f"{folder}2.jpg": b"junk"})
    ) as source:
        assert source.read("1.jpg") == b"one"
        assert source.find("2.jpg") is None


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path, {"a/1.jpg": b"one"})
    scandir = os.scandir

    # Root may read every folder.
    def refuse(folder: str) -> Any:
        if folder.endswith("/a"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(FacegenderError) as raised, open_images(root):
        pass
    assert str(raised.value) == f"{root}/a: Permission denied; make the folder readable"


def test_a_zip_with_backslashes_in_its_names(tmp_path: Path) -> None:
    with open_images(zip_of(tmp_path, {"img_align_celeba\\1.jpg": b"one"})) as source:
        assert source.read("1.jpg") == source.read("1.png") == b"one"


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_no_images_at_all_is_an_error(pack: Callable[..., Path], tmp_path: Path) -> None:
    path = pack(tmp_path, {"readme.txt": b"hello", "below/1.HEIC": b"?"})

    with pytest.raises(FacegenderError) as raised, open_images(path):
        pass
    assert str(raised.value) == (
        f"{path}: has no images ({', '.join(IMAGE_SUFFIXES)}), but 1 .heic, 1 .txt; "
        "unpack archives, convert pictures to JPEG, or check dataset.images"
    )


def test_images_are_looked_for_in_folders_four_deep(tmp_path: Path) -> None:
    # With the folder itself, and no deeper: it may be the whole disk by mistake.
    with open_images(folder_of(tmp_path, {"a/b/c/1.jpg": b"one", "a/b/c/d/2.jpg": b"two"})) as source:
        assert source.read("1.jpg") == b"one"
        assert source.find("2.jpg") is None


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FacegenderError, match=r"none.zip: No such file .*; put the images there or change dataset.imag"),
        open_images(tmp_path / "none.zip"),
    ):
        pass


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_a_zip_cut_short_is_one_line(keep: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path, {f"{number}.jpg": b"x" * 100 for number in range(50)})
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(FacegenderError) as raised, open_images(path):
        pass
    assert str(raised.value).startswith(f"{path}: not a zip file, or a damaged one (")
    assert "\n" not in str(raised.value)


def test_a_zip_with_garbled_names_is_one_line(tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"é1.jpg": b"one"})
    content = path.read_bytes()
    assert content.count("é1.jpg".encode()) == 2
    path.write_bytes(content.replace("é1.jpg".encode(), b"\xff\xff1.jpg"))

    with pytest.raises(FacegenderError, match="not a zip file, or a damaged one"), open_images(path):
        pass


def test_a_damaged_member_is_one_line_and_spares_the_others(tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"1.jpg": os.urandom(500), "2.jpg": b"two"})
    content = bytearray(path.read_bytes())
    content[200:210] = bytes(10)
    path.write_bytes(content)

    with open_images(path) as source:
        assert source.read("2.jpg") == b"two"
        with pytest.raises(FacegenderError) as raised:
            source.read("1.jpg")
    assert str(raised.value).startswith(f"{path}: image 1.jpg cannot be unpacked (")
    assert str(raised.value).endswith("); download it again, or zip the images again")
    assert "\n" not in str(raised.value)


def test_a_folder_is_listed_once_and_not_for_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path, {f"img_align_celeba/{number}.jpg": b"x" for number in range(100)})
    seen: list[str] = []
    scandir = os.scandir

    class Counting:
        def __init__(self, folder: str) -> None:
            self.entries = scandir(folder)

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self.entries.close()

        def __iter__(self) -> "Counting":
            return self

        def __next__(self) -> os.DirEntry[str]:
            entry = next(self.entries)
            seen.append(entry.name)
            return entry

    monkeypatch.setattr(os, "scandir", Counting)
    with open_images(root) as source:
        assert source.find("99.jpg")
        assert source.read("42.jpg") == b"x"
    # The folder of images, and the hundred images in it.
    assert len(seen) == 101


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_a_loose_picture_hides_no_folder_beside_it(
    pack: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    files = {"cover.jpg": b"cover", "img_align_celeba/000001.jpg": b"one", "album.jpg/000002.jpg": b"two"}

    with open_images(pack(tmp_path, files)) as source:
        assert [source.read(name) for name in ("cover.jpg", "000001.jpg", "000002.jpg")] == [b"cover", b"one", b"two"]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs {SHARED}")
@pytest.mark.parametrize("name", ["congress_aligned", "faker_portraits_aligned"])
def test_real_faces_in_celebas_format(name: str) -> None:
    folder = SHARED / "data" / name
    image_ids = read_attributes(folder / "list_attr_celeba.csv").index

    with open_images(folder / "img_align_celeba") as source:
        assert all(source.find(image_id) for image_id in image_ids)
        assert source.read(image_ids[0])[:2] == b"\xff\xd8"


@pytest.mark.parametrize("name", ["/etc/1.jpg", "../../1.jpg", "./1.jpg", "a/../1.jpg", "C:\\x\\1.jpg", "//host/1.jpg"])
def test_the_folders_of_a_member_are_ignored_and_never_written_to(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of(tmp_path, {name: b"one"})
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    with open_images(path) as source:
        assert source.read("1.jpg") == b"one"
    assert sorted(tmp_path.rglob("*")) == before


def changed(path: Path, offset_local: int, offset_central: int, value: int) -> Path:
    """Change a byte of a zip file with one member in both of its headers (APPNOTE.TXT, 4.3.7 and 4.3.12)."""
    data = bytearray(path.read_bytes())
    data[offset_local] = data[data.index(b"PK\x01\x02") + offset_central] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offsets", "value", "reason"),
    [
        ((6, 8), 1, "is encrypted, password required"),
        ((8, 10), 9, "compression method is not supported"),  # Deflate64, which Explorer writes for large files.
        ((8, 10), 99, "compression method is not supported"),
    ],
)
def test_a_member_that_cannot_be_unpacked_is_one_line(
    offsets: tuple[int, int], value: int, reason: str, tmp_path: Path
) -> None:
    path = changed(zip_of(tmp_path, {"1.jpg": b"one"}), *offsets, value)

    with open_images(path) as source, pytest.raises(FacegenderError) as raised:
        source.read("1.jpg")
    assert str(raised.value).startswith(f"{path}: image 1.jpg cannot be unpacked (")
    assert reason in str(raised.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("says", [100, 50_000_000])
def test_a_bomb_takes_no_memory_even_if_it_denies_its_size(method: int, says: int, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("1.jpg", bytes(50_000_000))
    # The uncompressed size in both headers (APPNOTE.TXT, 4.3.7 and 4.3.12).
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 50_000_000), struct.pack("<I", says)))
    is_honest = method == zipfile.ZIP_DEFLATED and says == 50_000_000

    tracemalloc.start()
    try:
        with open_images(path) as source:
            if is_honest:
                assert source.read("1.jpg") == bytes(50_000_000)
            else:
                with pytest.raises(FacegenderError, match=r"images\.zip: image 1\.jpg cannot be unpacked \("):
                    source.read("1.jpg")
        assert tracemalloc.get_traced_memory()[1] < (200_000_000 if is_honest else 2_000_000)
    finally:
        tracemalloc.stop()


def test_a_zip_in_a_zip_is_named(tmp_path: Path) -> None:
    path = zip_of(tmp_path, {"archive/img_align_celeba.zip": b"PK"})

    with pytest.raises(FacegenderError, match=r"but 1 \.zip; unpack archives"), open_images(path):
        pass


@pytest.mark.parametrize("pack", [folder_of, zip_of])
def test_an_image_of_too_many_bytes_is_refused_before_it_is_unpacked(
    pack: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sources, "MAX_FILE_BYTES", 2_000_000)
    path = pack(tmp_path, {"1.jpg": bytes(2_000_000), "2.jpg": bytes(3_000_000)})

    with open_images(path) as source:
        assert len(source.read("1.jpg")) == 2_000_000
        with pytest.raises(FacegenderError, match=r"2\.jpg: 3 MB are more than 2 MB, the most for an image; scale it"):
            source.read("2.jpg")


@pytest.mark.parametrize("content", ["7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07\x01"])
def test_another_archive_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(content.encode("latin-1"))

    with (
        pytest.raises(FacegenderError, match=r"a (7z|RAR) archive, not a zip file; unpack it, and use the folder$"),
        open_images(tmp_path / "images.zip"),
    ):
        pass


def test_a_web_page_in_place_of_a_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"<html>quota exceeded</html>")

    with (
        pytest.raises(FacegenderError, match="a web page, not a zip file; download it again"),
        open_images(tmp_path / "images.zip"),
    ):
        pass


def test_a_pipe_or_device_in_place_of_the_images_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "images.zip")

    for place in (tmp_path / "images.zip", "/dev/zero"):
        with pytest.raises(FacegenderError, match="a pipe or a device, not a file"), open_images(place):
            pass


def test_in_a_folder_pipes_devices_and_links_that_lead_nowhere_are_no_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"1.jpg": b"one", "below/2.jpg": b"two"})
    os.mkfifo(folder / "pipe.jpg")
    for name, target in (("device.jpg", "/dev/zero"), ("loop.jpg", "loop.jpg"), ("broken.jpg", "nowhere"), ("up", ".")):
        (folder / name).symlink_to(target)

    with open_images(folder) as source:
        assert (source.read("1.jpg"), source.read("2.jpg")) == (b"one", b"two")
        assert source.read("2.png") == b"two"
        for name in ("pipe.jpg", "device.jpg", "loop.jpg", "broken.jpg", "pipe.png"):
            assert source.find(name) is None


NAME = "Jos\u00e9 \u00fc.jpg"


@pytest.mark.parametrize("pack", [folder_of, zip_of])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_accents_may_be_composed_or_not(pack: Callable[..., Path], stored: str, listed: str, tmp_path: Path) -> None:
    path = pack(tmp_path, {unicodedata.normalize(stored, NAME): b"one"})  # type: ignore[arg-type]

    with open_images(path) as source:
        assert source.read(unicodedata.normalize(listed, NAME)) == b"one"  # type: ignore[arg-type]


def test_utf_8_names_without_the_flag_that_says_so(tmp_path: Path) -> None:
    # Bit 11 of the flags, in the second of their bytes. macOS writes such zip files.
    path = changed(zip_of(tmp_path, {NAME: b"one"}), 7, 9, 0)

    with open_images(path) as source:
        assert source.read(NAME) == b"one"


def test_names_that_are_said_to_be_utf_8_stay_as_they_are(tmp_path: Path) -> None:
    # In code page 437, the bytes of these two signs are an accented letter in UTF-8.
    name = "\u251c\u2310.jpg"
    assert name.encode("cp437").decode() == "\u00e9.jpg"

    with open_images(zip_of(tmp_path, {name: b"one"})) as source:
        assert source.read(name) == b"one"


def test_names_of_an_old_code_page_stay_as_they_are(tmp_path: Path) -> None:
    path = changed(zip_of(tmp_path, {NAME: b"one"}), 7, 9, 0)
    # In code page 437 both letters take one byte: the name is two bytes shorter, so a space fills it up.
    path.write_bytes(path.read_bytes().replace(NAME.encode(), f"{NAME[:-4]}  .jpg".encode("cp437")))

    with open_images(path) as source:
        assert source.read(f"{NAME[:-4]}  .jpg") == b"one"


@pytest.mark.parametrize("path", ["s3://bucket/.faces/PIX", "s3://bucket/.faces/PIX/"])
def test_images_of_a_folder_in_a_bucket(path: str, s3: Callable[..., MemoryS3]) -> None:
    # The folder that is asked for may be hidden, and one below it is passed over.
    folder = "bucket/.faces/PIX"
    images = {"1.jpg": b"one", "a/1.png": b"other", "a/b/\u00e4.JPG": b"accent", "2.png": b"two"}
    junk = {".3.jpg": b"junk", ".hidden/3.jpg": b"junk", "a/__MACOSX/3.jpg": b"junk", "a/readme.txt": b"hello"}
    s3({f"{folder}/{name}": content for name, content in {**images, **junk}.items()})

    with open_images(path) as source:
        # The whole name, then the only one with the same stem, and accents in either form.
        asked = {"1.jpg": b"one", "1.png": b"other", "2.jpg": b"two", "a\u0308.JPG": b"accent"}
        assert {name: source.read(name) for name in asked} == asked
        assert source.find("2.png") == f"s3://{folder}/2.png"
        assert source.find("3.jpg") is source.find("readme.txt") is None
        with pytest.raises(FacegenderError) as raised:
            source.read("3.jpg")
    assert str(raised.value) == f"{path}: no image 3.jpg; add it, or remove its row from the lists"


def test_one_name_in_two_folders_of_a_bucket_is_an_error(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/raw/a/1.jpg": b"one", "bucket/raw/b/1.jpg": b"other", "bucket/raw/b/2.jpg": b"two"})

    with open_images("s3://bucket/raw") as source:
        assert source.read("2.jpg") == b"two"
        with pytest.raises(FacegenderError) as raised:
            source.read("1.jpg")
    assert str(raised.value) == (
        "s3://bucket/raw: image 1.jpg appears twice: s3://bucket/raw/a/1.jpg and s3://bucket/raw/b/1.jpg; remove one"
    )


def test_a_folder_of_a_bucket_without_images_is_an_error(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/raw/readme.txt": b"hello", "bucket/raw/below/1.HEIC": b"?", "bucket/raw/.hidden/1.jpg": b"junk"})

    with pytest.raises(FacegenderError) as raised, open_images("s3://bucket/raw"):
        pass
    assert str(raised.value) == (
        f"s3://bucket/raw: has no images ({', '.join(IMAGE_SUFFIXES)}), but 1 .heic, 1 .jpg, 1 .txt; "
        "unpack archives, convert pictures to JPEG, or check dataset.images"
    )


def test_what_is_no_zip_in_a_bucket_is_one_line(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/images.zip": b"<html>quota exceeded</html>"})

    with pytest.raises(FacegenderError) as raised, open_images("s3://bucket/images.zip"):
        pass
    assert str(raised.value).startswith("s3://bucket/images.zip: not a zip file, or a damaged one (")
    assert str(raised.value).endswith("); download it again, or zip the images again")


def test_an_image_of_too_many_bytes_in_a_bucket_is_not_downloaded(
    s3: Callable[..., MemoryS3],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image_sources, "MAX_FILE_BYTES", 2_000_000)
    bucket = s3({"bucket/raw/1.jpg": bytes(2_000_000), "bucket/raw/2.jpg": bytes(3_000_000)})

    with open_images("s3://bucket/raw") as source:
        with pytest.raises(FacegenderError) as raised:
            source.read("2.jpg")
        assert bucket.fetched == []
        assert len(source.read("1.jpg")) == 2_000_000
    assert str(raised.value).startswith("s3://bucket/raw/2.jpg: 3 MB are more than 2 MB, the most for an image; ")


def test_a_zip_in_a_bucket_is_read_and_named_if_the_network_fails(
    s3: Callable[..., MemoryS3],
    tmp_path: Path,
) -> None:
    content = zip_of(tmp_path, {"a/1.jpg": b"one", "a/2.jpg": b"two"}).read_bytes()
    bucket = s3({"bucket/images.zip": content})

    with open_images("s3://bucket/images.zip") as source:
        assert source.read("2.jpg") == b"two"
    with open_images("s3://bucket/images.zip") as source:
        bucket.error = OSError("Connection lost")
        with pytest.raises(
            FacegenderError, match=r"^s3://bucket/images\.zip: cannot be read \(Connection lost\); check"
        ):
            source.read("1.jpg")
