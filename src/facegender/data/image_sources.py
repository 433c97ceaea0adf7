"""The raw images by their id, from a folder or a zip."""

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from facegender.data.folders import is_hidden
from facegender.data.images import IMAGE_SUFFIXES
from facegender.errors import FacegenderError

_FOLDER_DEPTH = 4
# RuntimeError: encrypted. NotImplementedError: unsupported compression. UnicodeDecodeError: garbled names.
DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    UnicodeDecodeError,
)


class ImageSource(Protocol):
    """Images by their id, wherever they are stored."""

    def __contains__(self, image_id: str) -> bool:
        """Return whether there is an image with this id."""

    def read(self, image_id: str) -> bytes:
        """Return the image file's content.

        Raises:
            FacegenderError: there is no such image, or it cannot be read.
        """


@contextmanager
def open_images(path: str | Path) -> Iterator[ImageSource]:
    """Open a folder or a .zip of images, which may be in subfolders of any name.

    Args:
        path: the folder or the zip; hidden files and `__MACOSX` in it are ignored.

    Raises:
        FacegenderError: `path` is missing, is a damaged zip or has no images, or a zip has two images with the same id.
    """
    if os.path.isdir(path):
        yield _Folder(path)
    else:
        with _open_zip(path) as archive:
            yield _Zip(path, archive)


class _Folder:
    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._folders = _image_folders(str(path), _FOLDER_DEPTH)
        if not self._folders:
            raise _no_images(path)

    def _find(self, image_id: str) -> list[str]:
        if os.path.basename(image_id) != image_id or not _is_image(image_id):
            return []
        places = [os.path.join(folder, image_id) for folder in self._folders]
        return [place for place in places if os.path.isfile(place)]

    def __contains__(self, image_id: str) -> bool:
        return bool(self._find(image_id))

    def read(self, image_id: str) -> bytes:
        places = self._find(image_id)
        if not places:
            raise _missing(self._path, image_id)
        if len(places) > 1:
            raise _duplicate(self._path, image_id, *places[:2])
        try:
            return Path(places[0]).read_bytes()
        except OSError as error:
            raise FacegenderError(places[0], error.strerror or str(error), "make the file readable") from error


def _image_folders(folder: str, depth: int) -> list[str]:
    """List the folders that directly hold images, sorted."""
    subfolders = []
    holds_images = False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    subfolders.append(entry.path)
                elif _is_image(entry.name):
                    holds_images = True
    except OSError as error:
        raise FacegenderError(folder, error.strerror or str(error), "make the folder readable") from error
    deeper = sorted(subfolders) if depth > 1 else []
    return [folder] * holds_images + [found for subfolder in deeper for found in _image_folders(subfolder, depth - 1)]


class _Zip:
    def __init__(self, path: str | Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._members = _index_members(path, archive)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._members

    def read(self, image_id: str) -> bytes:
        member = self._members.get(image_id)
        if member is None:
            raise _missing(self._path, image_id)
        try:
            return self._archive.read(member)
        except (OSError, *DAMAGED_ZIP) as error:
            what = f"image {image_id} cannot be unpacked ({error})"
            raise FacegenderError(self._path, what, "download it again, or zip the images again") from error


def _open_zip(path: str | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        remedy = "put the images there or change dataset.images"
        raise FacegenderError(path, error.strerror or str(error), remedy) from error
    except DAMAGED_ZIP as error:
        what = f"not a zip file, or a damaged one ({error})"
        raise FacegenderError(path, what, "download it again, or zip the images again") from error


def _index_members(path: str | Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    hidden_folders: dict[str, bool] = {}
    for member in archive.infolist():
        # Some programs on Windows write backslashes.
        folder, _, name = member.filename.replace("\\", "/").rpartition("/")
        if folder not in hidden_folders:
            hidden_folders[folder] = any(map(is_hidden, folder.split("/")))
        if hidden_folders[folder] or not _is_image(name):
            continue
        if name in members:
            raise _duplicate(path, name, members[name].filename, member.filename)
        members[name] = member
    if not members:
        raise _no_images(path)
    return members


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def _no_images(path: str | Path) -> FacegenderError:
    return FacegenderError(path, f"has no images ({', '.join(IMAGE_SUFFIXES)})", "check dataset.images")


def _missing(path: str | Path, image_id: str) -> FacegenderError:
    return FacegenderError(path, f"no image {image_id}", "add it, or remove its row from the lists")


def _duplicate(path: str | Path, image_id: str, first: str, second: str) -> FacegenderError:
    return FacegenderError(path, f"image {image_id} appears twice: {first} and {second}", "remove one")
