"""The files of a folder of images, without hidden ones."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from facegender.errors import FacegenderError


def list_files(source: Path) -> list[str]:
    """List the files of a folder and its subfolders.

    Args:
        source: the folder; hidden files and folders in it are left out, links are followed.

    Returns:
        Paths relative to `source`, separated by `/`, sorted.

    Raises:
        FacegenderError: a folder cannot be read.
    """
    files = []
    seen = set()
    for folder, subfolders, names in os.walk(source, onerror=_raise_unreadable, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # Links may form a cycle.
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        prefix = Path(folder).relative_to(source).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        files += [prefix + name for name in names if not is_hidden(name)]
    return sorted(files)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder with this name (without its path) is hidden in a folder or zip."""
    # A zip's members may be named from "." or ".." on. macOS packs its metadata in __MACOSX.
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))


def suffix_counts(names: Iterable[str]) -> Counter[str]:
    """Count files by their suffix in lower case."""
    return Counter(Path(name).suffix.lower() or "without suffix" for name in names)


def describe_counts(counts: Counter[str], most: int = 5) -> str:
    """Return such counts as text, the most frequent first: `3 .heic, 1 .zip`."""
    ordered = sorted(counts.items(), key=lambda kind: (-kind[1], kind[0]))
    shown = ", ".join(f"{count:,} {suffix}" for suffix, count in ordered[:most]) or "no files"
    return shown + (", …" if len(ordered) > most else "")


def _raise_unreadable(error: OSError) -> None:
    raise FacegenderError(error.filename, error.strerror or str(error), "use a folder that can be read") from error
