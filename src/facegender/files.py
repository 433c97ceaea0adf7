"""Writing files whole or not at all, with the same bytes for the same content."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
