"""The raw images by their id, from a folder or a zip, on this machine or in an S3 bucket."""

import os
import unicodedata
import zipfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

from facegender.data import buckets
from facegender.data.folders import describe_counts, is_hidden, list_files, suffix_counts
from facegender.data.images import IMAGE_SUFFIXES, MAX_FILE_BYTES
from facegender.errors import FacegenderError
from facegender.files import (
    ARCHIVES,
    DAMAGED_ZIP,
    check_has_an_end,
    kind_of_file,
    read_member,
    read_regular_file,
    too_large,
)

_FOLDER_DEPTH = 4


class ImageSource(Protocol):
    """Images by their id, wherever they are stored."""

    def find(self, image_id: str) -> str | None:
        """Return where the image is in the folder or zip; None if it is not there.

        It is the file whose name is the id. If there is none, the lists may belong to another edition of the images:
        then it is the only file that has another suffix, such as `1.png` or `1.JPG` for `1.jpg`. Accented letters may
        be composed or not (Unicode's NFC and NFD).

        Raises:
            FacegenderError: there are several such files.
        """

    def read(self, image_id: str) -> bytes:
        """Return the content of the file that `find` finds.

        Raises:
            FacegenderError: there is no such image, there are several, or it cannot be read.
        """


@contextmanager
def open_images(path: str | Path) -> Iterator[ImageSource]:
    """Open a folder or a .zip of images, which may be in subfolders of any name.

    Args:
        path: the folder or the zip; hidden files and `__MACOSX` in it are ignored, and so are the folders of a zip's
            members, which are never unpacked to a disk. If it starts with s3://, only the images that are asked for
            are read, and of a zip also what lies between them in the same MiB.

    Raises:
        FacegenderError: `path` is missing, is a pipe, a device or a damaged zip, cannot be read, or has no images, or a
            zip has two images with the same id.
    """
    if str(path).startswith(buckets.S3):
        if buckets.is_folder(str(path)):
            yield _BucketFolder(str(path))
        else:
            with buckets.open_file(str(path)) as file:
                with buckets.s3_errors(str(path)):
                    source = _BucketZip(path, _zip_in(path, file))
                yield source
    elif os.path.isdir(path):
        yield _Folder(path)
    else:
        with _open_zip(path) as archive:
            yield _Zip(path, archive)


class _Source(ABC):
    def __init__(self, path: str | Path) -> None:
        self._path = path

    @abstractmethod
    def _named(self, image_id: str) -> list[str]:
        """List the files with this name."""

    @abstractmethod
    def _files(self) -> Iterator[str]:
        """Yield all image files."""

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        files: dict[str, list[str]] = defaultdict(list)
        for file in self._files():
            files[_stem(_name(file))].append(file)
        return dict(files)

    def find(self, image_id: str) -> str | None:
        if _name(image_id) != image_id or not _is_image(image_id):
            return None
        files = self._named(image_id) or self._by_stem.get(_stem(image_id), [])
        if len(files) > 1:
            raise _duplicate(self._path, image_id, *files[:2])
        return files[0] if files else None

    def _found(self, image_id: str) -> str:
        file = self.find(image_id)
        if file is None:
            raise FacegenderError(self._path, f"no image {image_id}", "add it, or remove its row from the lists")
        return file


class _Folder(_Source):
    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._folders = _image_folders(str(path), _FOLDER_DEPTH, set())
        if not self._folders:
            raise _no_images(path, list_files(Path(path)))

    def _named(self, image_id: str) -> list[str]:
        places = [os.path.join(folder, image_id) for folder in self._folders]
        return [place for place in places if os.path.isfile(place)]

    def _files(self) -> Iterator[str]:
        for folder in self._folders:
            with os.scandir(folder) as entries:
                yield from sorted(
                    entry.path for entry in entries if _is_image(entry.name) and os.path.isfile(entry.path)
                )

    def read(self, image_id: str) -> bytes:
        return read_regular_file(self._found(image_id), MAX_FILE_BYTES)


class _BucketFolder(_Source):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        sizes = buckets.list_sizes(path)
        below = {file: file.removeprefix(f"{path.rstrip('/')}/") for file in sizes}
        self._sizes = {
            file: sizes[file]
            for file, name in below.items()
            if _is_image(_name(name)) and not any(map(is_hidden, name.split("/")[:-1]))
        }
        if not self._sizes:
            raise _no_images(path, below.values())
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for file in self._sizes:
            self._by_name[_composed(_name(file))].append(file)

    def _named(self, image_id: str) -> list[str]:
        return self._by_name.get(_composed(image_id), [])

    def _files(self) -> Iterator[str]:
        yield from self._sizes

    def read(self, image_id: str) -> bytes:
        file = self._found(image_id)
        if self._sizes[file] > MAX_FILE_BYTES:
            raise too_large(file, self._sizes[file], MAX_FILE_BYTES)
        return buckets.read_file(file)


def _image_folders(folder: str, depth: int, seen: set[tuple[int, int]]) -> list[str]:
    """List the folders that directly hold images, sorted; each once, as links may form a cycle."""
    subfolders = []
    holds_images = False
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                # Unlike the entry's own method, it takes a link to itself for no folder.
                if os.path.isdir(entry.path):
                    subfolders.append(entry.path)
                elif _is_image(entry.name):
                    holds_images = True
    except OSError as error:
        raise FacegenderError(folder, error.strerror or str(error), "make the folder readable") from error
    found = [folder] * holds_images
    for subfolder in sorted(subfolders) if depth > 1 else []:
        found += _image_folders(subfolder, depth - 1, seen)
    return found


class _Zip(_Source):
    _errors: tuple[type[Exception], ...] = (OSError, *DAMAGED_ZIP)

    def __init__(self, path: str | Path, archive: zipfile.ZipFile) -> None:
        super().__init__(path)
        self._archive = archive
        self._members = _index_members(path, archive)
        self._infos = {_member_name(info): info for info in archive.infolist()}

    def _named(self, image_id: str) -> list[str]:
        member = self._members.get(_composed(image_id))
        return [] if member is None else [member]

    def _files(self) -> Iterator[str]:
        yield from self._members.values()

    def read(self, image_id: str) -> bytes:
        info = self._infos[self._found(image_id)]
        if info.file_size > MAX_FILE_BYTES:
            raise too_large(f"{self._path}: image {image_id}", info.file_size, MAX_FILE_BYTES)
        try:
            return read_member(self._archive, info)
        except self._errors as error:
            what = f"image {image_id} cannot be unpacked ({error})"
            raise FacegenderError(self._path, what, "download it again, or zip the images again") from error


class _BucketZip(_Zip):
    _errors = DAMAGED_ZIP

    def read(self, image_id: str) -> bytes:
        with buckets.s3_errors(str(self._path)):
            return super().read(image_id)


def _open_zip(path: str | Path) -> zipfile.ZipFile:
    try:
        check_has_an_end(path)
        return _zip_in(path, path)
    except OSError as error:
        remedy = "put the images there or change dataset.images"
        raise FacegenderError(path, error.strerror or str(error), remedy) from error


def _zip_in(path: str | Path, file: str | Path | IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    # s3fs raises a ValueError where a file on this machine raises an OSError: at a place before the file's beginning.
    except (ValueError, *DAMAGED_ZIP) as error:
        kind = kind_of_file(file) if isinstance(file, str | Path) else None
        what = f"{kind}, not a zip file" if kind else f"not a zip file, or a damaged one ({error})"
        remedy = "unpack it, and use the folder" if kind in ARCHIVES else "download it again, or zip the images again"
        raise FacegenderError(path, what, remedy) from error


def _index_members(path: str | Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the member of each image by its name without folders."""
    members: dict[str, str] = {}
    hidden_folders: dict[str, bool] = {}
    for info in archive.infolist():
        member = _member_name(info)
        name = _composed(_name(member))
        folder = member.replace("\\", "/").rpartition("/")[0]
        if folder not in hidden_folders:
            hidden_folders[folder] = any(map(is_hidden, folder.split("/")))
        if hidden_folders[folder] or not _is_image(name):
            continue
        if name in members:
            raise _duplicate(path, name, members[name], member)
        members[name] = member
    if not members:
        raise _no_images(path, [info.filename for info in archive.infolist() if not info.is_dir()])
    return members


def _member_name(info: zipfile.ZipInfo) -> str:
    """Return a member's name: programs on macOS and Linux write UTF-8 without the flag that says so."""
    is_utf8 = bool(info.flag_bits & 0x800)  # APPNOTE.TXT, 4.4.4, bit 11.
    if is_utf8 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _name(path: str) -> str:
    """Return a file's name without folders; some programs on Windows write backslashes into zip files."""
    return path.replace("\\", "/").rpartition("/")[2]


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _stem(name: str) -> str:
    return _composed(name).rpartition(".")[0]


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def _no_images(path: str | Path, files: Iterable[str]) -> FacegenderError:
    what = f"has no images ({', '.join(IMAGE_SUFFIXES)}), but {describe_counts(suffix_counts(files))}"
    return FacegenderError(path, what, "unpack archives, convert pictures to JPEG, or check dataset.images")


def _duplicate(path: str | Path, image_id: str, first: str, second: str) -> FacegenderError:
    return FacegenderError(path, f"image {image_id} appears twice: {first} and {second}", "remove one")
