"""Writing files whole or not at all, with the same bytes for the same content, and reading only what has an end."""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facegender.errors import FacegenderError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary empty folder beside `path` that replaces `path` only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON with sorted keys.

    Raises:
        ValueError: a number is not finite, which DVC's views cannot show.
    """
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", newline="\n")


def md5_of(path: str | Path) -> str:
    """Return a file's MD5 sum, by which DVC identifies it."""
    return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


def read_regular_file(path: str | Path) -> bytes:
    """Read a file, but not a pipe or device, which may have no end.

    Raises:
        FacegenderError: it cannot be read, is not a file, or is a URL.
    """
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise FacegenderError(path, "a pipe or a device, not a file", "write it to a file first")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path contains a zero byte.
        if is_url(path):
            raise FacegenderError(path, "a URL, and nothing is downloaded", "download it first") from error
        reason = error.strerror if isinstance(error, OSError) else None
        raise FacegenderError(path, reason or str(error), "check the path") from error


def is_url(path: str | Path) -> bool:
    """Return whether a path looks like a URL; pathlib leaves one of its slashes out."""
    return _URL.match(str(path)) is not None
