"""`make lock-fresh`, as CI runs it, on a clone that has no data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from facegender.repository.status import missing_files, stale_stages
from tests.functional.project import TINY, change_params, commit_all, make_project, put_stand_ins, repro, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a copy of all files that Git tracks, with the virtual environment that runs this test."""
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


def test_an_unknown_key_fails_even_if_nothing_is_stale(clone: Path) -> None:
    with (clone / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("trian: {epochs: 3}\n")

    status, printed = check(clone)

    assert status != 0
    assert "| lock | fail | params.yaml: trian is unknown | did you mean train? |" in printed


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("params.yaml", "dropout: 0.5", "dropout: 0.6"),
        pytest.param("params.yaml", "rotation: 10", "rotation: 11", marks=pytest.mark.long),
        pytest.param("params.yaml", "  seed: 7", "  seed: 8", marks=pytest.mark.long),
        ("params.yaml", "epochs: 5", "epochz: 5"),
        ("src/facegender/preparation/augment.py", '"""Random', '"""random'),
        pytest.param("src/facegender/synthetic/attribute_latent.csv", "0", "1", marks=pytest.mark.long),
        ("stages/evaluate.py", "CHECKED = 32", "CHECKED = 33"),
        ("metrics/evaluate.json", '"accuracy": 0.', '"accuracy": 0.9'),
    ],
)
def test_a_stale_lock_file_fails(clone: Path, name: str, old: str, new: str) -> None:
    content = (clone / name).read_text(encoding="utf-8")
    assert old in content
    (clone / name).write_text(content.replace(old, new, 1), encoding="utf-8")

    status, printed = check(clone)

    assert status != 0
    assert "| lock | fail | dvc.lock is stale at " in printed or "| did you mean epochs? |" in printed
    assert "What to do" in printed


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project in which stand-ins ran for the whole pipeline."""
    folder = make_project(tmp_path_factory.mktemp("recorded") / "project", TINY)
    stages = set(yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    put_stand_ins(folder, stages - {"processor"})
    repro(folder)
    commit_all(folder, "finished")
    return folder


def gate_lock(folder: Path, status: int) -> str:
    return next(
        line for line in run(folder, "facegender", "gate", "lock", status=status).splitlines() if "lock" in line
    )


@pytest.mark.long
def test_each_metric_and_plot_that_git_keeps_must_be_there(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    files = set(run(recorded, "git", "ls-files", "metrics").split()) - {
        "metrics/.gitignore",
        "metrics/datasets/README.md",
    }
    assert {"metrics/eda.json", "metrics/slices.json", "metrics/plots/roc.csv"} < files
    assert not missing_files()

    for name in sorted(files):
        (recorded / name).rename(recorded / "kept")
        # A missing file in a folder counts as a change of the folder.
        named = missing_files() or [place for places in stale_stages().values() for place in places]
        (recorded / "kept").rename(recorded / name)
        assert any(name == place or name.startswith(f"{place}/") for place in named), (name, named)


def test_a_missing_metric_fails_and_a_clone_without_data_passes(recorded: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(recorded), str(clone))
    assert "| lock | pass |" in gate_lock(clone, status=0)

    run(clone, "git", "rm", "--quiet", "metrics/eda.json", "metrics/preprocess/val.json")
    commit_all(clone, "no metrics")

    row = gate_lock(clone, status=1)
    assert "| lock | fail | dvc.lock has files that are missing here: " in row
    assert "metrics/eda.json, metrics/preprocess/val.json |" in row


def test_results_of_another_kind_of_processor_are_told_apart_from_a_stale_lock_file(
    recorded: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(recorded, folder)
    (folder / "metrics" / "processor.json").write_text('{"processor": "another"}', encoding="utf-8")
    for split in ("train", "val"):
        path = folder / "data" / "features" / split / "content"
        path.unlink()
        path.write_text("the last digits differ", encoding="utf-8")

    row = gate_lock(folder, status=1)
    assert "| lock | fail | computed on another kind of processor (" in row
    assert (
        "from the same code, parameters and raw data: data/features/train, data/features/val, metrics/processor.json |"
        in row
    )

    change_params(folder, {"train.dropout": 0.4})
    assert "| lock | fail | dvc.lock is stale at " in gate_lock(folder, status=1)


@pytest.mark.long
def test_pictures_that_git_ignores_may_be_missing(recorded: Path, tmp_path: Path) -> None:
    # As facegender use celeba does it.
    pictures = ("augment.png", "mistakes.png", "eda/examples.png")
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(recorded), str(clone))
    with (clone / ".gitignore").open("a", encoding="utf-8") as file:
        file.writelines(f"/metrics/plots/{name}\n" for name in pictures)
    run(clone, "git", "rm", "--quiet", *(f"metrics/plots/{name}" for name in pictures))
    commit_all(clone, "faces stay here")
    assert "| lock | pass |" in gate_lock(clone, status=0)

    (clone / "metrics/plots/slices.png").unlink()
    assert "missing here: metrics/plots/slices.png |" in gate_lock(clone, status=1)
