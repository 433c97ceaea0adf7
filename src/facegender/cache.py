"""The folder `.cache`, which keeps results between runs outside DVC's outs: its size, its limit and its locks.

Losing it only costs time. Each part holds entries. An entry's modification time is the time of its last use: the code
that reads an entry sets it with `os.utime`. Access times are not reliable: most file systems update them once a day or
never.
"""

import functools
import inspect
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from filelock import FileLock, Timeout

from facegender.errors import FacegenderError

Function = TypeVar("Function", bound=Callable[..., Any])
"""A function that a decorator leaves as it is for its callers."""

CACHE = Path(".cache")
FEATURES = "features"
"""Feature shards that were computed before, in a folder for each trunk."""
TRAINING = "training"
"""States of interrupted training, each in its own folder."""
_LOCKS = "locks"


class Entry(NamedTuple):
    """A file or folder that is dropped as a whole, its size in bytes, and its last use in seconds since 1970."""

    path: Path
    size: int
    used: float


def list_entries(cache: Path) -> dict[str, list[Entry]]:
    """List the entries of each part; a missing part has none."""
    patterns = {FEATURES: "*/*", TRAINING: "*"}
    return {part: list(_entries((cache / part).glob(pattern))) for part, pattern in patterns.items()}


def _entries(paths: Iterable[Path]) -> Iterator[Entry]:
    for path in paths:
        # Another run may rename or drop what was just listed.
        with suppress(FileNotFoundError):
            files = [path] if path.is_file() else [Path(top, name) for top, _, names in os.walk(path) for name in names]
            yield Entry(path, sum(file.stat().st_size for file in files), path.stat().st_mtime)


def prune(cache: Path, limit: float) -> list[Entry]:
    """Drop the least recently used entries of all parts until the others fit.

    Args:
        cache: the folder of all parts.
        limit: in bytes.

    Returns:
        The entries that were dropped.

    Raises:
        FacegenderError: an entry cannot be deleted.
    """
    entries = [entry for part in list_entries(cache).values() for entry in part]
    excess = sum(entry.size for entry in entries) - limit
    dropped = []
    for entry in sorted(entries, key=lambda entry: entry.used):
        if excess <= 0:
            break
        _delete(entry.path)
        dropped.append(entry)
        excess -= entry.size
    return dropped


def clear(cache: Path) -> None:
    """Delete all entries and nothing else: other programs also use folders named .cache.

    Raises:
        FacegenderError: an entry cannot be deleted.
    """
    for part in (FEATURES, TRAINING):
        for path in (cache / part).glob("*"):
            _delete(path)


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        pass  # Another process deleted it first.
    except OSError as error:
        raise FacegenderError(path, f"cannot be deleted: {error.strerror}", "delete it by hand") from error


@contextmanager
def sole_run(cache: Path, stage: str) -> Iterator[None]:
    """Let only one process at a time run a stage in this folder: if only `dvc repro` is killed, its stage continues.

    Raises:
        FacegenderError: another process is running the stage.
    """
    lock = _lock(cache, stage)
    try:
        # The operating system releases the lock when the process ends, even if it is killed.
        lock.acquire(blocking=False)
    except Timeout as error:
        raise FacegenderError(
            f"stage {stage}",
            "an earlier run is still active in this folder",
            "wait for it or stop it, then run: dvc repro",
        ) from error
    try:
        yield
    finally:
        lock.release()


def alone(function: Function) -> Function:
    """Let only one process at a time run a stage's main function, as `sole_run`: two would write the same outs."""

    @functools.wraps(function)
    def inner(*arguments: Any) -> Any:
        with sole_run(CACHE, stage_name(function, *arguments)):
            return function(*arguments)

    return inner  # type: ignore[return-value]


def stage_name(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the name of a stage: its script, then `@` and its first argument if there is one.

    That is mostly DVC's name, but `evaluate@NAME` for `evaluate_dataset@NAME`.

    Args:
        function: its main function, which may be decorated.
        arguments: with which it is called.
    """
    return "@".join([Path(inspect.unwrap(function).__code__.co_filename).stem, *map(str, arguments[:1])])


def _lock(cache: Path, name: str) -> FileLock:
    path = cache / _LOCKS / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def describe(entries: Iterable[Entry]) -> str:
    """Return the number of entries and their size in gigabytes (10^9 bytes) as text."""
    sizes = [entry.size for entry in entries]
    return f"{len(sizes)} entries, {sum(sizes) / 1e9:.3f} GB"
