"""Where this folder differs from its dvc.lock, and from the remote."""

import json
import re
from collections.abc import Iterator
from typing import Any

from facegender.errors import FacegenderError
from facegender.repository.commands import dvc, git, open_project, output_of


def stale_stages() -> dict[str, list[str]]:
    """Return the stages that `dvc repro` would run if all data were here, each with what differs, if DVC reports it.

    Raises:
        FacegenderError: DVC fails.
    """
    planned = dvc("repro", "--dry", "--allow-missing")
    # It exits with 0 even if a stage is stale, and may fail without the data, so only its output shows the stages.
    stages = re.findall(r"^Running stage '(.+)':", planned.stdout, flags=re.MULTILINE)
    # It stops at a stage with a missing input.
    stages += re.findall(r"failed to reproduce '(.+?)'", planned.stderr)
    if not stages and not planned.returncode:
        return {}
    status = json.loads(output_of(dvc("status", "--json")))
    differing = {stage: list(changed_places({stage: findings})) for stage, findings in status.items()}
    stages += [stage for stage, places in differing.items() if places and stage not in stages]
    if not stages:
        output_of(planned)
    return {stage: differing.get(stage, []) for stage in stages}


def changed_places(status: dict[str, Any]) -> Iterator[str]:
    """Yield what has changed according to DVC's status, but not what is only missing, such as data in a clone."""
    for stage, findings in status.items():
        for finding in findings:
            if isinstance(finding, str):  # Its command.
                yield f"the stage {stage}"
                continue
            for paths in finding.values():
                for path, state in paths.items():
                    if isinstance(state, dict):  # Parameters, by key.
                        yield from (f"{path}: {key}" for key, value in state.items() if value != "deleted")
                    elif state not in ("deleted", "not in cache"):
                        yield str(path)


def changed_params() -> list[str]:
    """List the parameters that differ from those with which the stages last ran, as `FILE: KEY`.

    Raises:
        FacegenderError: dvc.yaml, dvc.lock or params.yaml is not valid.
    """
    with open_project() as repository:
        status = {
            stage.addressing: [{"changed params": used.status()} for used in stage.params]
            for stage in repository.index.stages
        }
    return sorted(set(changed_places(status)))


def missing_files() -> list[str]:
    """List the outs that Git keeps (`cache: false`) and that are missing here, unless Git ignores them.

    Raises:
        FacegenderError: dvc.yaml or dvc.lock is not valid.
    """
    with open_project() as repository:
        missing = [str(out) for out in repository.index.outs if not out.use_cache and not out.exists]
    return sorted(path for path in missing if git("check-ignore", "--quiet", path).returncode)


def not_in_remote() -> list[str]:
    """List this folder's outs that are not in the remote, except those that are never pushed.

    Raises:
        FacegenderError: no remote is set, or it cannot be reached.
    """
    if not output_of(dvc("config", "core.remote")).strip():
        raise FacegenderError(
            ".dvc/config",
            "no remote is set, so nobody else can get this revision's data",
            "run dvc remote add --default NAME URL, then dvc push; if you do not want one, use --no-remote",
        )
    # Without --granular, a folder counts as present as soon as its list of files is.
    status = json.loads(output_of(dvc("data", "status", "--not-in-remote", "--granular", "--json")))
    missing: list[str] = status.get("not_in_remote", [])
    return missing
