"""`make lock-fresh`, the check of CI, on a clone that has no data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give a copy of all files that Git tracks, with the virtual environment that runs this test."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    return tmp_path


def check(folder: Path) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "--silent", "lock-fresh"], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_the_lock_file_of_this_commit_is_fresh(clone: Path) -> None:
    status, printed = check(clone)

    assert status == 0, printed
    assert "| lock | pass |" in printed


def test_a_surplus_key_is_told_though_nothing_is_stale(clone: Path) -> None:
    with (clone / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("trian: {epochs: 3}\n")

    status, printed = check(clone)

    assert status != 0
    assert "| lock | fail | params.yaml: trian is unknown | did you mean train? |" in printed


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("params.yaml", "dropout: 0.5", "dropout: 0.6"),
        ("params.yaml", "rotation: 10", "rotation: 11"),
        ("params.yaml", "  seed: 7", "  seed: 8"),
        ("params.yaml", "epochs: 5", "epochz: 5"),
        ("src/facegender/preparation/augment.py", '"""Random', '"""random'),
        ("src/facegender/synthetic/attribute_latent.csv", "0", "1"),
        ("stages/evaluate.py", "CHECKED = 32", "CHECKED = 33"),
        ("metrics/evaluate.json", '"accuracy": 0.', '"accuracy": 0.9'),
    ],
)
def test_a_stale_one_is_found(clone: Path, name: str, old: str, new: str) -> None:
    content = (clone / name).read_text(encoding="utf-8")
    assert old in content
    (clone / name).write_text(content.replace(old, new, 1), encoding="utf-8")

    status, printed = check(clone)

    assert status != 0
    assert "| lock | fail | dvc.lock is stale at " in printed or "| did you mean epochs? |" in printed
    assert "What to do" in printed
