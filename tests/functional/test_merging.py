"""Merging two branches with different parameters, as docs/experiments.md says."""

import shutil
from pathlib import Path

import pytest

from tests.functional.project import GIT, change_params, commit_all, repro, run

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_two_branches_with_different_parameters(finished: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished, project)
    for branch, changes, expected in (
        ("rate", {"train.learning_rate": 0.001}, {"train", "calibrate", "evaluate"}),
        ("threshold", {"calibrate.threshold": "equal_error"}, {"calibrate", "evaluate"}),
    ):
        run(project, "git", "checkout", "--quiet", "-b", branch, "master")
        change_params(project, changes)
        assert repro(project) == expected
        commit_all(project, branch)

    assert "Merge conflict in dvc.lock" in run(project, *GIT, "merge", "rate", status=1)
    params = (project / "params.yaml").read_text(encoding="utf-8")
    assert "learning_rate: 0.001" in params
    assert "threshold: equal_error" in params

    locks = []
    for side, ran in (("--ours", {"calibrate", "evaluate"}), ("--theirs", set())):
        run(project, "git", "checkout", side, "dvc.lock", "metrics")
        # What the other branch trained is restored from DVC's run cache, and the second time everything is.
        assert repro(project) == ran
        locks.append((project / "dvc.lock").read_text(encoding="utf-8"))
    assert locks[0] == locks[1]

    commit_all(project, "merged")
    assert "Running stage" not in run(project, "dvc", "repro", "--dry", "--allow-missing")


def test_the_merge_driver_of_dvc_rejects_dvc_lock(finished: Path, tmp_path: Path) -> None:
    sides = [tmp_path / name for name in ("ancestor", "our", "their")]
    for side in sides:
        shutil.copy(finished / "dvc.lock", side)
    options = [option for side in sides for option in (f"--{side.name}", str(side))]

    assert "validation failed" in run(finished, "dvc", "git-hook", "merge-driver", *options, status=255)
