"""`facegender use celeba`, and what of CelebA the pipeline then leaves to Git: nothing that shows a face."""

from pathlib import Path

import pytest
import yaml

from facegender.repository.worktree import PICTURES_OF_FACES
from facegender.synthetic.dataset import write_sample
from tests.functional.project import TINY, commit_all, make_project, put_stand_ins, repro, run

pytestmark = pytest.mark.slow

REAL = {"check", "eda", "partition", "preprocess", "augment"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project in which the pipeline ran with the default data; faces are in the folder Downloads."""
    folder = make_project(tmp_path_factory.mktemp("celeba") / "project", TINY)
    stages = set(yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    put_stand_ins(folder, stages - REAL - {"synthetic_data"})
    repro(folder)
    commit_all(folder, "default data")
    assert set(PICTURES_OF_FACES) <= set(run(folder, "git", "ls-files").split())
    write_sample(folder / "Downloads", 120, 1)
    (folder / "own.h5").touch()
    return folder


USE = ("facegender", "use", "celeba", "Downloads", "--weights", "own.h5")


def state(folder: Path) -> tuple[str, bytes, bytes]:
    status = run(folder, "git", "status", "--short")
    return status, (folder / "params.yaml").read_bytes(), (folder / ".gitignore").read_bytes()


def test_one_command_and_nothing_that_shows_a_face_is_left_to_git(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text + "# changed\n", encoding="utf-8")
    before = state(project)
    printed = run(project, *USE, status=1)
    assert printed.startswith("error: params.yaml: has changes that are not committed and would be lost; commit them, ")
    assert printed.count("\n") == 1
    assert state(project) == before
    run(project, "git", "restore", "params.yaml")

    printed = run(project, *USE)
    for words in ("CelebA: all 120 listed images are there", "licence: for non-commercial", " minutes on two cores, "):
        assert words in printed
    after = state(project)
    assert "Downloads" not in after[0]
    assert all((project / path).is_file() for path in PICTURES_OF_FACES)
    assert run(project, *USE)
    assert state(project) == after

    [advice] = [line for line in printed.splitlines() if line.startswith("next: ")]
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    for _ in range(2):
        run(project, "bash", "-c", f"make() {{ test $* = repro; }}; {advice.removeprefix('next: ')}")
    assert run(project, "git", "log", "-2", "--format=%s") == "Use CelebA\ndefault data\n"
    assert run(project, "facegender", "check") == "params.yaml: valid, and its paths exist\n"
    assert {"check", "partition", "preprocess@train", "eda"} <= repro(project)

    (project / "own.h5").unlink()
    commit_all(project, "results")
    files = set(run(project, "git", "ls-files").split("\n"))
    charts = {f"metrics/plots/{name}.png" for name in ("slices", "eda/balance", "eda/rates", "eda/correlation")}
    pictures = {name for name in files if name.startswith("metrics/") and name.endswith((".png", ".html"))}
    assert pictures == charts
    assert not [name for name in files if name.startswith(("Downloads/", "models/")) and name != "models/.gitignore"]
    assert "metrics/evaluate.json" in files
