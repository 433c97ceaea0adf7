"""Fixtures that several test files share."""

from pathlib import Path

import pytest

from tests.functional.project import commit_all, keep_stages, make_project, put_stand_ins, repro

STAGES = (
    *("check", "synthetic_data", "partition", "preprocess", "augment", "pretrained"),
    *("features", "train", "calibrate", "baseline", "evaluate"),
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project in which stand-ins ran up to the stage evaluate. Copy or clone it to change it."""
    folder = make_project(tmp_path_factory.mktemp("finished") / "project", {})
    keep_stages(folder, STAGES)
    put_stand_ins(folder, set(STAGES) - {"check"})
    assert len(repro(folder)) == 16
    commit_all(folder, "finished")
    return folder
