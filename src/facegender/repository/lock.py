"""What dvc.lock records: the MD5 sums of files, and what each stage ran on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from facegender.errors import FacegenderError

DEPENDENCIES, OUTS = "deps", "outs"
"""Dvc.lock's names for what a stage reads and writes."""


class LockedStage(NamedTuple):
    """An entry of dvc.lock: what a stage ran on, in a form that can be compared, and the checksum of each out."""

    inputs: Any
    outs: dict[str, str]


def locked_files(
    text: str, name: str, kinds: Sequence[str] = (DEPENDENCIES, OUTS), without: str | None = None
) -> dict[str, str]:
    """Parse a dvc.lock.

    Args:
        text: its content.
        name: its name in errors.
        kinds: which files. Outs come last by default: a dependency may be recorded as it was in an earlier run.
        without: a stage to leave out: a stage that reads dvc.lock finds what it read itself in its last run.

    Returns:
        The MD5 sum of each file and folder that a stage reads or writes, by path; a folder's ends in `.dir`. What is in
        a bucket has an ETag instead.

    Raises:
        FacegenderError: it is not a valid lock file.
    """
    with _valid(name):
        stages = {**(yaml.safe_load(text) or {}).get("stages", {})}
        stages.pop(without, None)
        return {
            path: checksum
            for kind in kinds
            for stage in stages.values()
            for path, checksum in _sums(stage, kind).items()
        }


def locked_stages(text: str, name: str) -> dict[str, LockedStage]:
    """Parse the stages of a dvc.lock, by their names.

    Args:
        text: its content.
        name: its name in errors.

    Raises:
        FacegenderError: it is not a valid lock file.
    """
    with _valid(name):
        return {
            stage: LockedStage(
                (entry.get("cmd"), _sums(entry, DEPENDENCIES), entry.get("params", {})), _sums(entry, OUTS)
            )
            for stage, entry in (yaml.safe_load(text) or {}).get("stages", {}).items()
        }


def _sums(entry: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {file["path"]: file.get("md5") or file.get("etag", "") for file in entry.get(kind, [])}


@contextmanager
def _valid(name: str) -> Iterator[None]:
    try:
        yield
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise FacegenderError(
            name, "not valid, perhaps because a merge is unfinished", "take either side and run: dvc repro"
        ) from error


def read_lock(kinds: Sequence[str] = (DEPENDENCIES, OUTS), without: str | None = None) -> dict[str, str]:
    """Read this folder's dvc.lock, as `locked_files`.

    Raises:
        FacegenderError: it is missing or not valid.
    """
    return locked_files(_text(), "dvc.lock", kinds, without)


def read_stages() -> dict[str, LockedStage]:
    """Read this folder's dvc.lock, as `locked_stages`.

    Raises:
        FacegenderError: it is missing or not valid.
    """
    return locked_stages(_text(), "dvc.lock")


def _text() -> str:
    try:
        return Path("dvc.lock").read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError("dvc.lock", error.strerror or str(error), "run: dvc repro, and commit it") from error
    except UnicodeDecodeError as error:
        raise FacegenderError("dvc.lock", "not UTF-8 text", "run: git restore dvc.lock") from error


def locked_param(stage: str, key: str) -> object:
    """Return the value of a key of params.yaml with which a stage last ran, according to dvc.lock; None if unknown."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        return stages[stage]["params"]["params.yaml"][key]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
