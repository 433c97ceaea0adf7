"""Readers of CelebA's lists and images in every form that circulates."""

import csv
import io
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
import pandas as pd

from facegender.data.celeba import ATTRIBUTES, LABEL
from facegender.data.images import IMAGE_SUFFIXES
from facegender.errors import FacegenderError

IMAGE_ID = "image_id"

_RESERVED = (IMAGE_ID, "partition", "identity", "label")
_FOLDER_DEPTH = 4
# RuntimeError: encrypted. NotImplementedError: a compression that Python lacks. UnicodeDecodeError: garbled names.
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    UnicodeDecodeError,
)


def read_attributes(path: str | Path) -> pd.DataFrame:
    """Read the attribute list.

    Args:
        path: a comma-separated file whose header is `image_id` (or nothing) and attribute names, or CelebA's own text:
            an optional count line, attribute names, then rows of an id and values apart by spaces.

    Returns:
        One int8 column per attribute, 0 or 1, `Male` among them; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, no text, or has a bad row; names the file, the line and the remedy.
    """
    lines, first_line = _read_lines(path)
    names = [name.strip() for name in lines[0].split(",")]
    rows, first_row = lines[1:], first_line + 1
    if names[0] in (IMAGE_ID, ""):
        names = names[1:]
    elif names[0] not in ATTRIBUTES and rows and rows[0].count(",") == len(names) - 1 and LABEL in names:
        _raise_misnamed_id(path, first_line, names[0])
    _check_attribute_names(path, names, first_line)
    table = _parse(path, names, rows, first_row, range(-1, 2), "1 or -1 (or 1 or 0)", np.int8)
    values = table.to_numpy()
    if (values == -1).any():
        _check_one_coding(path, values, first_row)
        table[:] = (values == 1).astype(np.int8)
    return table


def read_partitions(path: str | Path) -> pd.Series:
    """Read the official partition of every image.

    Args:
        path: rows of an id and a number apart by a comma or spaces, with or without a header.

    Returns:
        int8 named `partition`: 0 train, 1 val, 2 test; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, no text, or has a bad row; names the file, the line and the remedy.
    """
    return _read_pairs(path, "partition", range(3), "0 (train), 1 (val) or 2 (test)", np.int8)


def read_identities(path: str | Path) -> pd.Series:
    """Read the number of the person on every image.

    Args:
        path: rows of an id and a number apart by a comma or spaces, with or without a header.

    Returns:
        int64 named `identity`; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, no text, or has a bad row; names the file, the line and the remedy.
    """
    return _read_pairs(path, "identity", range(2**63 - 1), "a whole number", np.int64)


def known_identities(path: str | Path) -> pd.Series | None:
    """Read the number of the person on every image as `read_identities` does; None for an empty file.

    An empty file says that the persons are not known: DVC needs a path that is always there.
    """
    return None if os.path.isfile(path) and os.path.getsize(path) == 0 else read_identities(path)


def read_annotations(
    attributes: str | Path, partitions: str | Path, identities: str | Path | None = None
) -> pd.DataFrame:
    """Read the lists and join them by image id.

    Args:
        attributes: path of the attribute list.
        partitions: path of the partition list; holds the same images.
        identities: path of the identity list; holds these images and perhaps more, as `known_identities` reads it.

    Returns:
        The attribute columns, `partition` and, where asked for, `identity`; index `image_id`; rows in the order of the
        attribute list.

    Raises:
        FacegenderError: a list cannot be read, or an image is missing from one of them.
    """
    annotations = read_attributes(attributes)
    partition = read_partitions(partitions)
    _check_same_images(attributes, annotations.index, partitions, partition.index)
    annotations["partition"] = partition.reindex(annotations.index).astype(np.int8)
    identity = None if identities is None else known_identities(identities)
    if identities is not None and identity is not None:
        # A sample of CelebA usually comes with the identity list of all its images.
        listed = identity.index[identity.index.isin(annotations.index)]
        _check_same_images(attributes, annotations.index, identities, listed)
        annotations["identity"] = identity.reindex(annotations.index).astype(np.int64)
    return annotations


class ImageSource(Protocol):
    """Images by their id, wherever they are."""

    def __contains__(self, image_id: str) -> bool:
        """Whether there is an image of this id."""

    def read(self, image_id: str) -> bytes:
        """Give the image file's content.

        Raises:
            FacegenderError: there is no such image, or it cannot be read.
        """


@contextmanager
def open_images(path: str | Path) -> Iterator[ImageSource]:
    """Open a folder or a .zip of images, which may lie in folders of any name inside it.

    Args:
        path: the folder or the zip; hidden files and `__MACOSX` in it are passed over.

    Raises:
        FacegenderError: `path` is missing, a damaged zip or holds no image, or a zip holds two images of one id.
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
            raise FacegenderError(f"{path}: holds no images ({', '.join(IMAGE_SUFFIXES)}); check dataset.images")

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
            raise FacegenderError(f"{self._path}: no image {image_id}; add it, or remove its row from the lists")
        if len(places) > 1:
            raise FacegenderError(
                f"{self._path}: image {image_id} is there twice: {places[0]} and {places[1]}; remove one"
            )
        try:
            return Path(places[0]).read_bytes()
        except OSError as error:
            raise FacegenderError(f"{places[0]}: {error.strerror}; make it readable") from error


def _image_folders(folder: str, depth: int) -> list[str]:
    """Folders that directly hold images, sorted."""
    subfolders = []
    holds_images = False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_junk(entry.name):
                    continue
                if entry.is_dir():
                    subfolders.append(entry.path)
                elif _is_image(entry.name):
                    holds_images = True
    except OSError as error:
        raise FacegenderError(f"{folder}: {error.strerror}; make the folder readable") from error
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
            raise FacegenderError(f"{self._path}: no image {image_id}; add it, or remove its row from the lists")
        try:
            return self._archive.read(member)
        except (OSError, *_DAMAGED_ZIP) as error:
            raise FacegenderError(
                f"{self._path}: image {image_id} cannot be unpacked ({error}); download or pack the zip again"
            ) from error


def _open_zip(path: str | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; put the images there or change dataset.images") from error
    except _DAMAGED_ZIP as error:
        raise FacegenderError(f"{path}: no zip, or a damaged one ({error}); download or pack it again") from error


def _index_members(path: str | Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    junk_folders: dict[str, bool] = {}
    for member in archive.infolist():
        # Some packers on Windows write backslashes.
        folder, _, name = member.filename.replace("\\", "/").rpartition("/")
        if folder not in junk_folders:
            junk_folders[folder] = any(map(_is_junk, folder.split("/")))
        if junk_folders[folder] or not _is_image(name):
            continue
        if name in members:
            raise FacegenderError(
                f"{path}: image {name} is there twice: {members[name].filename} and {member.filename}; remove one"
            )
        members[name] = member
    if not members:
        raise FacegenderError(f"{path}: holds no images ({', '.join(IMAGE_SUFFIXES)}); check dataset.images")
    return members


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not _is_junk(name)


def _is_junk(name: str) -> bool:
    # A zip's members may be named from "." on.
    return name == "__MACOSX" or (name.startswith(".") and name != ".")


def _read_lines(path: str | Path) -> tuple[list[str], int]:
    """Lines with their fields apart by one comma, without the count line; and the first one's number."""
    text = _read_text(path)
    lines = text.split("\n", 2)
    has_count = lines[0].strip().isdecimal()
    head = lines[1] if has_count and len(lines) > 1 else lines[0]
    number = 2 if has_count else 1
    if not head.strip():
        raise FacegenderError(f"{path}: line {number} is blank; remove it")
    if "," not in head:
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if separator in head:
                raise FacegenderError(f"{path}: line {number}: columns are apart by {name}; save it with commas")
        text = _spaces_to_commas(text)
    elif " " in text:
        text = re.sub(" *, *", ",", text)
    rows = text.split("\n")[has_count:]
    if not rows:
        raise FacegenderError(f"{path}: holds a count line and no rows; get the whole file")
    return rows, number


def _read_text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
    except IsADirectoryError as error:
        raise FacegenderError(f"{path}: a folder; give the list's file") from error
    except PermissionError as error:
        what = "a folder; give the list's file" if os.path.isdir(path) else f"{error.strerror}; make it readable"
        raise FacegenderError(f"{path}: {what}") from error
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; put the list there or change params.yaml") from error
    if b"\0" in content:
        raise FacegenderError(f"{path}: no text; give the unpacked list, saved as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FacegenderError(f"{path}: line {line}: no UTF-8 text; give the unpacked list, saved as UTF-8") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace('"', "").rstrip()
    if not text:
        raise FacegenderError(f"{path}: empty; get the file again")
    return text


def _spaces_to_commas(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text.replace(" \n", "\n").replace("\n ", "\n").strip(" ").replace(" ", ",")


def _check_attribute_names(path: str | Path, names: list[str], line: int) -> None:
    where = f"{path}: line {line}"
    if LABEL not in names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise FacegenderError(f"{where}: no column {LABEL} among {shown}; give the list with the header of attributes")
    for name in names:
        if not name:
            raise FacegenderError(f"{where}: column {names.index(name) + 2} has no name; name or remove it")
        if name in _RESERVED:
            raise FacegenderError(f"{where}: column {name} after the first is no attribute; remove or rename it")
        if names.count(name) > 1:
            raise FacegenderError(f"{where}: column {name} is there twice; remove one")


def _raise_misnamed_id(path: str | Path, line: int, name: str) -> NoReturn:
    raise FacegenderError(f"{path}: line {line}: the first column is {name!r}; rename it to {IMAGE_ID}")


def _check_one_coding(path: str | Path, values: np.ndarray, first_row: int) -> None:
    zero_rows = (values == 0).any(axis=1)
    if zero_rows.any():
        zero, minus = (int(np.argmax(rows)) + first_row for rows in (zero_rows, (values == -1).any(axis=1)))
        raise FacegenderError(f"{path}: 0 in line {zero} but -1 in line {minus}; use one of them for `no` throughout")


def _read_pairs(path: str | Path, name: str, allowed: range, expected: str, dtype: type) -> pd.Series:
    rows, first_row = _read_lines(path)
    header = [field.strip() for field in rows[0].split(",")]
    if header[-1] == name:
        if len(header) == 2 and header[0] not in (IMAGE_ID, ""):
            _raise_misnamed_id(path, first_row, header[0])
        rows, first_row = rows[1:], first_row + 1
    elif header[0] == IMAGE_ID:
        raise FacegenderError(f"{path}: line {first_row}: no column {name} but {header[-1]!r}; give the {name} list")
    return _parse(path, [name], rows, first_row, allowed, expected, dtype)[name]


def _parse(
    path: str | Path, names: list[str], rows: list[str], first_row: int, allowed: range, expected: str, dtype: type
) -> pd.DataFrame:
    """Turn rows of `id,value,…` into a table of integers in `allowed`; `first_row` is the first one's line."""
    if not rows:
        raise FacegenderError(f"{path}: holds a header and no rows; get the whole file")
    commas = len(names)
    if any(row.count(",") != commas for row in rows):
        _raise_ragged(path, rows, first_row, commas)
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(rows)),
            header=None,
            names=[IMAGE_ID, *names],
            index_col=False,
            # int64, as pandas lets 257 wrap round to 1 in int8.
            dtype={IMAGE_ID: str, **dict.fromkeys(names, np.int64)},
            na_filter=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
        )
    except (ValueError, OverflowError):
        _raise_bad_value(path, names, rows, first_row, allowed, expected)
    table = table.set_index(IMAGE_ID)
    values = table.to_numpy()
    if values.min() < allowed.start or values.max() >= allowed.stop:
        _raise_bad_value(path, names, rows, first_row, allowed, expected)
    _check_ids(path, table.index, first_row)
    return table.astype(dtype)


def _raise_ragged(path: str | Path, rows: list[str], first_row: int, commas: int) -> NoReturn:
    position = next(position for position, row in enumerate(rows) if row.count(",") != commas)
    where = f"{path}: line {first_row + position}"
    if not rows[position].strip():
        raise FacegenderError(f"{where} is blank; remove it")
    found = rows[position].count(",") + 1
    raise FacegenderError(f"{where} has {found} columns in place of {commas + 1}; correct or remove it")


def _raise_bad_value(
    path: str | Path, names: list[str], rows: list[str], first_row: int, allowed: range, expected: str
) -> NoReturn:
    for line, row in enumerate(rows, first_row):
        for name, value in zip(names, row.split(",")[1:], strict=True):
            if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", value.strip()) or int(value.split(".")[0]) not in allowed:
                shown = repr(value) if value.strip() else "blank"
                raise FacegenderError(
                    f"{path}: line {line}: {name} is {shown}, must be {expected}; correct or remove the row"
                )
    raise FacegenderError(f"{path}: holds a value that is not {expected}; correct it")


def _check_ids(path: str | Path, ids: pd.Index, first_row: int) -> None:
    duplicated = ids.duplicated()
    if duplicated.any():
        second = int(np.argmax(duplicated))
        first = int(np.argmax(ids == ids[second]))
        raise FacegenderError(
            f"{path}: line {first_row + second}: {ids[second]!r} is already in line {first_row + first}; remove one"
        )
    for line, image_id in enumerate(ids, first_row):
        if not image_id or "/" in image_id or "\\" in image_id:
            raise FacegenderError(
                f"{path}: line {line}: image id {image_id!r} must be a file name without folders; correct the row"
            )


def _check_same_images(path: str | Path, ids: pd.Index, other_path: str | Path, other_ids: pd.Index) -> None:
    surplus = [
        f"{len(only)} only in {place} (first: {only[0]}, line {_line_of(place, only[0])})"
        for place, only in (
            (path, ids.difference(other_ids, sort=False)),
            (other_path, other_ids.difference(ids, sort=False)),
        )
        if len(only)
    ]
    if surplus:
        raise FacegenderError(
            f"{path} and {other_path} do not list the same images: {' and '.join(surplus)}; "
            "take both from one copy of the data set, or remove these rows"
        )


def _line_of(path: str | Path, image_id: str) -> int:
    rows, first_line = _read_lines(path)
    return next(line for line, row in enumerate(rows, first_line) if row.split(",")[0].strip() == image_id)
