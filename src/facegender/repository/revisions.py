"""What other revisions contain, and this folder's predictions to compare with theirs."""

import hashlib
from datetime import datetime
from pathlib import Path

import pandas as pd
from pydantic import ValidationError
from ruamel.yaml import YAML, YAMLError

from facegender.errors import FacegenderError
from facegender.params import Gate
from facegender.repository.commands import check_not_shallow, check_user, git, open_project
from facegender.repository.lock import locked_files
from facegender.repository.status import changed_places

PREDICTIONS, BASELINE = "data/predictions.csv", "data/baseline.csv"
"""The predictions of the model and of its baseline for the test images."""


def file_at(revision: str, path: str) -> str | None:
    """Read a file that Git keeps; return None if the revision does not have it.

    Args:
        revision: of Git.
        path: relative to this folder.

    Raises:
        FacegenderError: there is no such commit, or this is not a repository.
    """
    _check_commit(revision)
    shown = git("show", f"{revision}:./{path}")
    return shown.stdout if shown.returncode == 0 else None


def fork_point(revision: str) -> str:
    """Return the commit that this branch shares with a revision, from which its changes count; else the revision.

    Raises:
        FacegenderError: as `file_at`.
    """
    _check_commit(revision)
    shared = git("merge-base", revision, "HEAD")
    return shared.stdout.strip() or revision


def changed_files(revision: str) -> list[str]:
    """List the files of this folder that Git keeps and that differ from a revision's, also deleted ones.

    Raises:
        FacegenderError: as `file_at`.
    """
    _check_commit(revision)
    shown = git("diff", "--name-only", "--no-renames", "--relative", "-z", revision, "--")
    return [path for path in shown.stdout.split("\0") if path]


def has_file(revision: str, path: str) -> bool:
    """Return whether a revision's dvc.lock has a file.

    Raises:
        FacegenderError: as `file_at` and `locked_files`.
    """
    text = file_at(revision, "dvc.lock")
    return text is not None and path in locked_files(text, f"{revision}: dvc.lock")


def gate_of(revision: str) -> Gate | None:
    """Read only the group `gate` of a revision's params.yaml: the other groups may have an older form.

    Returns:
        The group; None if it is missing or not valid.

    Raises:
        FacegenderError: as `file_at`.
    """
    text = file_at(revision, "params.yaml")
    try:
        return Gate.model_validate(YAML(typ="safe").load(text or "")["gate"])
    except (YAMLError, ValidationError, KeyError, TypeError, ValueError, RecursionError):
        return None


def predictions_of(revision: str, path: str = PREDICTIONS) -> pd.DataFrame:
    """Read a revision's predictions, from DVC's cache or remote.

    Args:
        revision: of Git.
        path: PREDICTIONS or BASELINE.

    Raises:
        FacegenderError: there is no such commit, or its predictions cannot be fetched or are not valid.
    """
    import dvc.api

    from facegender.evaluation.predictions import parse_predictions

    check_user()
    _check_commit(revision)
    try:
        content = dvc.api.read(path, rev=revision, mode="rb")
    # A remote's library raises errors of its own.
    except Exception as error:
        raise FacegenderError(
            revision,
            f"its {path} is neither in DVC's cache here nor in a remote ({' '.join(str(error).split())})",
            "run dvc push where it was made, or check the revision out and run: dvc repro",
        ) from error
    recorded = locked_files(file_at(revision, "dvc.lock") or "", f"{revision}: dvc.lock").get(path)
    # DVC does not check what a remote sends. There is no dvc.lock here if facegender compare runs in a folder below.
    if recorded is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != recorded:
        raise FacegenderError(
            revision,
            f"its {path} in DVC's cache or remote is damaged: its MD5 sum is not {recorded}, as in dvc.lock",
            "replace it, as docs/remotes.md explains",
        )
    return parse_predictions(content.decode("utf-8", errors="replace"), f"{revision}: {path}")


def current_predictions(path: str = PREDICTIONS) -> pd.DataFrame:
    """Read this project's predictions, from any folder in it.

    Args:
        path: PREDICTIONS or BASELINE.

    Raises:
        FacegenderError: they are missing or not valid, or their inputs have changed since.
    """
    from facegender.evaluation.predictions import read_predictions

    with open_project() as repository:
        outs = repository.find_outs_by_path(str(Path(repository.root_dir, path)))
        predictions = read_predictions(Path(repository.root_dir, path))
        status = repository.status(targets=[out.stage.addressing for out in outs], with_deps=True)
    for place in changed_places(status):
        raise FacegenderError(path, f"{place} has changed since it was made", "run: dvc repro, or compare revisions")
    return predictions


def current_revision() -> str:
    """Return this folder's commit, and whether code or parameters differ from it; `not in Git` if there is none."""
    commit = git("describe", "--always", "--abbrev=12")
    if commit.returncode:
        return "not in Git"
    changed = git("status", "--porcelain", "--", "dvc.yaml", "params.yaml", "src", "stages").stdout
    return commit.stdout.strip() + (", with uncommitted changes" if changed else "")


def lock_date() -> str:
    """Return the date of this folder's dvc.lock: of the commit that last changed it, or of the file if it differs."""
    changed = git("status", "--porcelain", "--", "dvc.lock")
    committed = "" if changed.stdout else git("log", "-1", "--format=%cs", "--", "dvc.lock").stdout.strip()
    return committed or f"{datetime.fromtimestamp(Path('dvc.lock').stat().st_mtime):%Y-%m-%d}, not committed"


def _check_commit(revision: str) -> None:
    asked = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if asked.returncode:
        if "not a git repository" in asked.stderr:
            raise FacegenderError(Path.cwd(), "not a git repository", "run this in a clone of the project")
        check_not_shallow(revision)
        remedy = "look it up with git log or git tag, or run: git fetch --tags"
        raise FacegenderError(revision or "no revision", "unknown Git revision", remedy)
