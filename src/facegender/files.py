"""Writing files whole or not at all, with the same bytes for the same content, and reading only what has an end."""

import errno
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from facegender.errors import PARTIAL, FacegenderError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

# A page that asks to log in, or says that a download is over its quota, is often saved under the file's name.
_OFTEN_FOUND = (
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|!--)", re.IGNORECASE), "a web page"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb"\x1f\x8b"), "a gzip file"),
    (re.compile(rb"%PDF-"), "a PDF file"),
    (re.compile(rb".{4}ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", re.DOTALL), "a HEIC picture"),
)
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
"""What Python raises for a zip file that it cannot read."""

ARCHIVES = ("a 7z archive", "a RAR archive")

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Errors of the operating system: the disk is full, or what this user may use of it."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{path.name}")
    try:
        with named_if_full(path):
            yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary empty folder beside `path` that replaces `path` only if the block ends without an error."""
    path = Path(path)
    with temporary_folder(path.with_name(f"{PARTIAL}{path.name}")) as partial:
        with named_if_full(path):
            yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield `path`, an empty folder that is deleted after the block; what a killed program left in it goes first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def named_if_full(path: Path) -> Iterator[None]:
    """Name the file or folder that is being written if the disk is full: the operating system does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in NO_SPACE:
            error.filename = str(path)
        raise


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON with sorted keys.

    Raises:
        ValueError: a number is not finite, which DVC's views cannot show.
    """
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_arrays(target: str | Path | IO[bytes], arrays: Iterable[tuple[str, npt.ArrayLike]]) -> None:
    """Write named arrays as `numpy.savez` does, but with the same bytes in every version of Python.

    Args:
        target: an .npz file, or an open file.
        arrays: names and arrays; one is copied to memory at a time.
    """
    # The headers that numpy.savez asks for differ between versions of Python.
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in arrays:
            content = io.BytesIO()
            np.save(content, np.asarray(array))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def md5_of(path: str | Path) -> str:
    """Return a file's MD5 sum, by which DVC identifies it."""
    return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


def read_regular_file(path: str | Path, max_bytes: int | None = None) -> bytes:
    """Read a file, but not a pipe or device, which may have no end.

    Args:
        path: of the file.
        max_bytes: a larger file is not read; None for no limit.

    Raises:
        FacegenderError: it cannot be read, is not a file, is too large, or is a URL.
    """
    try:
        check_has_an_end(path)
        size = os.stat(path).st_size
        if max_bytes is not None and size > max_bytes:
            raise too_large(path, size, max_bytes)
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path contains a zero byte.
        if is_url(path):
            raise FacegenderError(path, "a URL, and nothing is downloaded", "download it first") from error
        reason = error.strerror if isinstance(error, OSError) else None
        if not str(path):
            raise FacegenderError("''", "an empty path", "name a file or a folder") from error
        raise FacegenderError(path, reason or str(error), "check the path") from error


def check_has_an_end(path: str | Path) -> None:
    """Check that a path is not a pipe or device, at which reading could wait or go on for ever.

    Raises:
        FacegenderError: it is one.
        OSError: it does not exist or cannot be looked up.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FacegenderError(path, "a pipe or a device, not a file", "write it to a file first")


def as_stored(path: str) -> str:
    """Return a path in the form of its accented letters (Unicode's NFC or NFD) in which it exists, or else as it is.

    macOS and some programs write "é" as two characters, "e" and an accent.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next(filter(os.path.lexists, forms), path)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Unpack a member of a zip file, but no more than the size that its headers say.

    Raises:
        Exception: one of DAMAGED_ZIP; also if the member unpacks to another size, or is neither stored nor deflated.
    """
    # Python unpacks the others in parts of unlimited size.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError("its compression method is not supported, only Deflate is")
    with archive.open(member) as file:
        return file.read(member.file_size)


def too_large(where: str | Path, size: int, max_bytes: int, kind: str = "an image") -> FacegenderError:
    """Return the error for a file, or a member of a zip file, that has too many bytes for its kind."""
    what = f"{size / 1e6:,.0f} MB are more than {max_bytes / 1e6:,.0f} MB, the most for {kind}"
    return FacegenderError(where, what, "scale it down, or remove it")


def what_it_is(start: bytes) -> str | None:
    """Name what is often found in place of an image, list, zip file or model, by its first bytes; None for the rest."""
    return next((kind for pattern, kind in _OFTEN_FOUND if pattern.match(start)), None)


def kind_of_file(path: str | Path) -> str | None:
    """Return what `what_it_is` says of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return what_it_is(file.read(500))


def is_url(path: str | Path) -> bool:
    """Return whether a path looks like a URL; pathlib leaves one of its slashes out."""
    return _URL.match(str(path)) is not None
