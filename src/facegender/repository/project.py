"""What Git and DVC know of this folder and of other revisions, for the command line; the pipeline does not use it."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from facegender.errors import FacegenderError

PREDICTIONS = Path("data/predictions.csv")


def predictions_here(folder: Path = Path()) -> pd.DataFrame:
    """Read a project's predictions.

    Raises:
        FacegenderError: there are none, or they are something else.
    """
    from facegender.evaluation.predictions import parse_predictions

    try:
        content = (folder / PREDICTIONS).read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError(f"{PREDICTIONS}: {error.strerror}; run: dvc repro, or: dvc pull") from error
    return parse_predictions(content, f"this folder: {PREDICTIONS}")


def check_commit(revision: str, folder: str = ".") -> None:
    """Ask Git for a commit.

    Raises:
        FacegenderError: there is none of this name, or this is no repository.
    """
    command = ["git", "-C", folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode:
        found = "not a git repository" if "not a git repository" in asked.stderr else "unknown Git revision"
        raise FacegenderError(f"{revision or 'no revision'}: {found}; see: git log, git tag, git fetch --tags")


def predictions_of(revision: str | None) -> pd.DataFrame:
    """Read a revision's predictions, from DVC's cache or remote; those of this folder, if still true, for None.

    Raises:
        FacegenderError: they are not to be had, or are something else.
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from facegender.evaluation.predictions import parse_predictions

    if revision is None:
        try:
            repository = Repo()
            outs = repository.find_outs_by_path(str(Path(repository.root_dir, PREDICTIONS)))
        except DvcException as error:
            raise FacegenderError(f"{Path.cwd()}: {error}; run it in the project's folder") from error
        predictions = predictions_here(Path(repository.root_dir))
        for place in _changed(repository.status(targets=[out.stage.addressing for out in outs], with_deps=True)):
            raise FacegenderError(
                f"{PREDICTIONS}: {place} has changed since it was made; run: dvc repro, or compare revisions"
            )
        return predictions
    check_commit(revision)
    try:
        content = dvc.api.read(str(PREDICTIONS), rev=revision)
    # A remote's library raises errors of its own.
    except Exception as error:
        raise FacegenderError(
            f"{revision}: its {PREDICTIONS} is neither in DVC's cache here nor in a remote; where it was made, "
            f"run: dvc push; or check it out and run: dvc repro ({' '.join(str(error).split())})"
        ) from error
    return parse_predictions(content, f"{revision}: {PREDICTIONS}")


def _changed(status: dict[str, Any]) -> Iterator[str]:
    """Name what DVC's status finds changed; what is merely not here, as in a clone, is passed over."""
    for stage, findings in status.items():
        for finding in findings:
            if isinstance(finding, str):  # Its command.
                yield f"the stage {stage}"
                continue
            for paths in finding.values():
                for path, state in paths.items():
                    if isinstance(state, dict):  # Of parameters, by key.
                        yield from (f"{path}: {key}" for key, value in state.items() if value != "deleted")
                    elif state not in ("deleted", "not in cache"):
                        yield str(path)


def stale_stages() -> dict[str, list[str]]:
    """Name the stages that `dvc repro` would run were all data here, each with what differs as far as DVC says.

    Raises:
        FacegenderError: DVC cannot tell.
    """
    command = ("repro", "--dry", "--allow-missing")
    planned = _run_dvc(*command)
    # It ends with 0 even when a stage is stale, and without the data perhaps with an error, so its words decide.
    stages = re.findall(r"^Running stage '(.+)':", planned.stdout, flags=re.MULTILINE)
    # Where an input is not here, it stops there.
    stages += re.findall(r"failed to reproduce '(.+?)'", planned.stderr)
    if not stages and not planned.returncode:
        return {}
    status = json.loads(_dvc("status", "--json"))
    differing = {stage: list(_changed({stage: findings})) for stage, findings in status.items()}
    stages += [stage for stage, names in differing.items() if names and stage not in stages]
    if not stages:
        _checked(planned, command)
    return {stage: differing.get(stage, []) for stage in stages}


def recorded_md5(path: str) -> str | None:
    """Look up which MD5 sum dvc.lock has of an out; None where it has no such out."""
    try:
        return _md5_in(Path("dvc.lock").read_text(encoding="utf-8"), path, "dvc.lock")
    except OSError as error:
        raise FacegenderError(f"dvc.lock: {error.strerror}; run: dvc repro, and commit it") from error


def md5_of(path: str | Path) -> str:
    """Give a file's MD5 sum."""
    try:
        return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; run: dvc pull {path}") from error


def has_out(revision: str, path: str) -> bool:
    """Say whether a revision's dvc.lock has an out.

    Raises:
        FacegenderError: as `check_commit`.
    """
    check_commit(revision)
    lock = subprocess.run(["git", "show", f"{revision}:./dvc.lock"], capture_output=True, text=True)
    return lock.returncode == 0 and _md5_in(lock.stdout, path, f"{revision}: dvc.lock") is not None


def _md5_in(lock: str, path: str, name: str) -> str | None:
    try:
        stages = (yaml.safe_load(lock) or {}).get("stages", {}).values()
    except (yaml.YAMLError, AttributeError) as error:
        raise FacegenderError(
            f"{name}: no valid YAML, perhaps half merged; take either side and run: dvc repro"
        ) from error
    return next((out["md5"] for stage in stages for out in stage.get("outs", []) if out["path"] == path), None)


def not_in_remote() -> list[str]:
    """Name this folder's outs that are not in the remote, but for those that are not to be pushed.

    Raises:
        FacegenderError: no remote is set, or it cannot be asked.
    """
    if not _dvc("config", "core.remote").strip():
        raise FacegenderError(
            "no remote is set, so nobody else can get this revision's data; run: dvc remote add --default NAME URL, "
            "and: dvc push; where none is wanted, give --no-remote"
        )
    # Without --granular, a folder counts as there when its list of files is.
    status = json.loads(_dvc("data", "status", "--not-in-remote", "--granular", "--json"))
    missing: list[str] = status.get("not_in_remote", [])
    return missing


def _dvc(*arguments: str) -> str:
    """Run a command of DVC in this folder and give what it printed."""
    return _checked(_run_dvc(*arguments), arguments)


def _run_dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)


def _checked(done: subprocess.CompletedProcess[str], arguments: Iterable[str]) -> str:
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR: ")]
        message = " ".join(said or ["it ended with an error"]).removeprefix("ERROR: ")
        raise FacegenderError(f"dvc {' '.join(arguments)}: {message}; run it by itself to see more")
    return done.stdout
