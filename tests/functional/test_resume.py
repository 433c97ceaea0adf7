"""`kill -9` in the midst of work, then `dvc repro`: work done is kept, and the outs are those of an undisturbed run."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.functional.project import TINY, change_params, environment, make_project, repro, run

pytestmark = pytest.mark.slow

CHANGES = TINY | {
    "sample_data.images": 900,
    "partition.train": 400,
    "train.epochs": 4,
    "train.learning_rate": 0.001,
    "train.dropout": 0.5,
}
"""Four shards of images and four of copies, and four epochs."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project that ran undisturbed."""
    folder = make_project(tmp_path_factory.mktemp("resume") / "project", CHANGES)
    repro(folder)
    return folder


@pytest.fixture(scope="module")
def lock(project: Path) -> bytes:
    return (project / "dvc.lock").read_bytes()


def forget(project: Path, stage: str, cache: str) -> None:
    """Make DVC and our cache forget that a stage ever ran."""
    run(project, "python", "-c", f"import shutil; shutil.rmtree({cache!r}, ignore_errors=True)")
    for known in (project / ".dvc" / "cache" / "runs", project / ".dvc" / "tmp"):
        run(project, "python", "-c", f"import shutil; shutil.rmtree({str(known)!r}, ignore_errors=True)")
    (project / "dvc.lock").write_text(without_stage((project / "dvc.lock").read_text(encoding="utf-8"), stage))


def without_stage(lock: str, stage: str) -> str:
    """Take a stage's entry out of the text of dvc.lock."""
    return re.sub(rf"^  {re.escape(stage)}:\n(?:    .*\n|  - .*\n)*", "", lock, flags=re.MULTILINE)


def kill_when(project: Path, stage: str, ready: Any, whom: str) -> None:
    """Run a stage by `dvc repro` until `ready()` says so, then kill the stage alone or DVC and all its children."""
    process = subprocess.Popen(
        ["dvc", "repro", stage],
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < limit, "it never came so far"
        time.sleep(0.02)
    if whom == "all":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.wait(60)


@pytest.mark.parametrize("whom", ["all", "stage"])
def test_features_that_were_computed_are_kept(project: Path, lock: bytes, whom: str) -> None:
    cache = project / ".cache" / "features"
    forget(project, "features@train", str(cache))

    kill_when(project, "features@train", lambda: len(list(cache.glob("*/[0-9a-f]*"))) >= 2, whom)
    known = len(list(cache.glob("*/[0-9a-f]*")))
    assert 2 <= known < 8

    printed = run(project, "dvc", "repro")
    (computed,) = re.findall(r"features train: (\d+) shards computed", printed)
    assert int(computed) == 8 - known
    assert (project / "dvc.lock").read_bytes() == lock
    assert not list((project / "data").rglob(".partial*"))


@pytest.mark.parametrize("whom", ["all", "stage"])
def test_epochs_that_were_trained_are_kept(project: Path, lock: bytes, whom: str) -> None:
    cache = project / ".cache" / "training"
    forget(project, "train", str(cache))

    kill_when(project, "train", lambda: list(cache.glob("*/epoch-*")), whom)
    done = max(int(folder.name[-4:]) for folder in cache.glob("*/epoch-*"))

    printed = run(project, "dvc", "repro")
    assert re.findall(r"^Epoch (\d)/4", printed, flags=re.MULTILINE) == [str(epoch) for epoch in range(done + 1, 5)]
    assert (project / "dvc.lock").read_bytes() == lock
    assert not list(cache.glob("*"))


def test_the_state_of_other_settings_is_not_taken(project: Path, lock: bytes) -> None:
    cache = project / ".cache" / "training"
    forget(project, "train", str(cache))
    kill_when(project, "train", lambda: list(cache.glob("*/epoch-*")), "all")

    change_params(project, {"train.seed": 121})
    printed = run(project, "dvc", "repro")

    assert re.findall(r"^Epoch (\d)/4", printed, flags=re.MULTILINE) == ["1", "2", "3", "4"]
    change_params(project, {"train.seed": 120})
