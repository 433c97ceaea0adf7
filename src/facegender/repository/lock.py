"""The MD5 sums that dvc.lock records."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from facegender.errors import FacegenderError

DEPENDENCIES, OUTS = "deps", "outs"
"""Dvc.lock's names for what a stage reads and writes."""


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
        The MD5 sum of each file and folder that a stage reads or writes, by path; a folder's ends in `.dir`.

    Raises:
        FacegenderError: it is not a valid lock file.
    """
    try:
        stages = {**(yaml.safe_load(text) or {}).get("stages", {})}
        stages.pop(without, None)
        entries = [entry for kind in kinds for stage in stages.values() for entry in stage.get(kind, [])]
        return {entry["path"]: entry["md5"] for entry in entries if "md5" in entry}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise FacegenderError(
            name, "not valid, perhaps because a merge is unfinished", "take either side and run: dvc repro"
        ) from error


def read_lock(kinds: Sequence[str] = (DEPENDENCIES, OUTS), without: str | None = None) -> dict[str, str]:
    """Read this folder's dvc.lock, as `locked_files`.

    Raises:
        FacegenderError: it is missing or not valid.
    """
    try:
        text = Path("dvc.lock").read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError("dvc.lock", error.strerror or str(error), "run: dvc repro, and commit it") from error
    except UnicodeDecodeError as error:
        raise FacegenderError("dvc.lock", "not UTF-8 text", "run: git restore dvc.lock") from error
    return locked_files(text, "dvc.lock", kinds, without)


def locked_param(stage: str, key: str) -> object:
    """Return the value of a key of params.yaml with which a stage last ran, according to dvc.lock; None if unknown."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        return stages[stage]["params"]["params.yaml"][key]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
