"""What lies in a folder of pictures."""

import os
from pathlib import Path

from facegender.errors import FacegenderError

_NOT_TO_READ = ("__MACOSX",)


def list_files(source: Path) -> list[str]:
    """List the files of a folder and its subfolders, but hidden ones: sorted, relative, apart by `/`."""
    files = []
    seen = set()
    for folder, subfolders, names in os.walk(source, onerror=_raise_unreadable, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # Links may go in circles.
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
        prefix = Path(folder).relative_to(source).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        files += [prefix + name for name in names if not _is_hidden(name)]
    return sorted(files)


def _raise_unreadable(error: OSError) -> None:
    raise FacegenderError(error.filename, error.strerror or str(error), "give a folder that can be read") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _NOT_TO_READ
