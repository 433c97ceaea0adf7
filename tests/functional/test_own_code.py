"""Every stage runs the code of its own checkout, wherever the installed package comes from."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.functional.project import commit_all, environment, keep_stages, make_project, metrics, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

STAGES = ("check", "synthetic_data", "partition", "preprocess", "baseline")
BASELINE = "src/facegender/evaluation/baseline.py"
TINY = {"synthetic_data.images": 120, "partition.train": 40, "partition.val": 12, "partition.test": 12}


def without_pythonpath(folder: Path, *command: str) -> str:
    """Run a command as a user with an installed package does, and return what it printed."""
    variables = {name: text for name, text in environment(folder).items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def predict_a_half(folder: Path) -> None:
    """Edit the baseline so that it predicts P(Male) = 0.5 for every image."""
    path = folder / BASELINE
    before = path.read_text(encoding="utf-8")
    after = before.replace(".astype(np.float32)", ".astype(np.float32) * 0 + 0.5")
    assert after != before
    path.write_text(after, encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("finished") / "project", TINY)
    keep_stages(folder, STAGES)
    without_pythonpath(folder, "dvc", "repro")
    commit_all(folder, "done")
    assert metrics(folder, "baseline")["accuracy"] > 0.5
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project"))


def recorded(folder: Path) -> list[str]:
    """Return the accuracy of each experiment."""
    shown = without_pythonpath(folder, "dvc", "exp", "show", "--csv", "--hide-workspace", "--drop", "dep.*|src.*")
    header, *rows = (line.split(",") for line in shown.splitlines())
    place = header.index("accuracy")
    return [row[place] for row in rows if "baseline" not in row]


@pytest.mark.long
def test_a_queued_edit_runs_even_if_it_is_reverted_in_the_folder(project: Path) -> None:
    predict_a_half(project)
    without_pythonpath(project, "dvc", "exp", "run", "--queue", "--name", "half")
    run(project, "git", "checkout", "--quiet", BASELINE)

    without_pythonpath(project, "dvc", "queue", "start")
    limit = time.monotonic() + 120
    while "Success" not in without_pythonpath(project, "dvc", "queue", "status"):
        assert time.monotonic() < limit, run(project, "dvc", "queue", "logs", "half")
        time.sleep(0.5)

    assert float(recorded(project)[0]) == 0.5
    assert metrics(project, "baseline")["accuracy"] > 0.5


@pytest.mark.long
def test_an_edit_runs_in_a_temporary_folder(project: Path) -> None:
    predict_a_half(project)

    without_pythonpath(project, "dvc", "exp", "run", "--temp", "--name", "half")

    assert float(recorded(project)[0]) == 0.5


def test_a_worktree_runs_its_own_code(project: Path, tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    run(project, "git", "worktree", "add", "--quiet", str(worktree))
    predict_a_half(worktree)

    without_pythonpath(worktree, "dvc", "repro")

    assert metrics(worktree, "baseline")["accuracy"] == 0.5


def test_another_package_s_code_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    shutil.copy(ROOT / "stages" / "__init__.py", tmp_path / "stages")
    (tmp_path / "stages" / "thing.py").write_text("print('ran')", encoding="utf-8")

    # There is no src/ beside these stages, so the installed package is found.
    done = subprocess.run(
        [shutil.which("python") or "python", "-m", "stages.thing"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "not the code of this folder" in done.stderr
    assert done.stderr.count("\n") == 1
