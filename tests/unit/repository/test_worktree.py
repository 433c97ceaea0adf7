"""Files that Git keeps are changed only where nothing is lost."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.repository.worktree import (
    PICTURES_OF_FACES,
    check_committed,
    keep_out_of_git,
    replace_committed,
    seen_by_git,
)
from tests.paths import ROOT

PARAMS = Path("params.yaml")


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a new repository with a committed params.yaml."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    PARAMS.write_text("a: 1\n", encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "-m", "start")
    return tmp_path


CHANGED = (
    "{0}: has changes that are not committed and would be lost; commit them, or discard them: git checkout HEAD -- {0}"
)
NOT_COMMITTED = "{0}: exists, and would be lost, as no commit has it; move it away, or add it to Git and commit it"
OUTSIDE = (
    "{0}: exists, and would be lost, as this folder is not a Git repository; move the file away, or run this in the "
    "project's folder"
)


def refused(line: str, path: Path = PARAMS) -> None:
    before = path.read_bytes()
    with pytest.raises(FacegenderError) as raised:
        replace_committed(path, "b: 2\n")
    assert str(raised.value) == line.format(path)
    assert path.read_bytes() == before


def test_a_committed_file_is_replaced_once() -> None:
    assert replace_committed(PARAMS, "b: 2\n")
    assert PARAMS.read_text(encoding="utf-8") == "b: 2\n"
    # Nothing would be lost, although Git does not have it yet.
    assert not replace_committed(PARAMS, "b: 2\n")


def test_changes_that_git_does_not_have_are_not_replaced() -> None:
    PARAMS.write_text("a: 3\n", encoding="utf-8")
    refused(CHANGED)
    git("add", "params.yaml")
    refused(CHANGED)
    git("commit", "--quiet", "-m", "changed")
    assert replace_committed(PARAMS, "b: 2\n")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("folder", "folder: a folder, not a file; name a file, such as params.yaml"),
        ("params.yaml/new.yaml", "params.yaml: not a folder; name a file in a folder"),
        ("folder/read-only/deep/new.yaml", "read-only: may not be written to; use another folder, or change its perm"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_done(
    path: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("folder/read-only").mkdir(parents=True)
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "read-only")

    with pytest.raises(FacegenderError) as raised:
        check_committed(Path(path))
    assert words in str(raised.value)
    Path("folder/read-only/params.yaml").touch()
    with pytest.raises(FacegenderError, match="may not be written to"):
        check_committed(Path("folder/read-only/params.yaml"))
    check_committed(Path("folder/new/params.yaml"))
    assert not Path("folder/new").exists()


def test_files_that_git_would_add_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".gitignore").write_text("/data/*/\n", encoding="utf-8")
    paths = [Path("faces.zip"), Path("data/ours/faces.zip"), tmp_path.parent / "elsewhere.zip"]

    assert seen_by_git(paths) == ["faces.zip"]
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    assert seen_by_git(paths) == []


@pytest.mark.parametrize("staged", [False, True])
def test_changes_can_be_discarded_as_the_line_says(staged: bool) -> None:
    path = Path("my params.yaml")
    path.write_text("a: 1\n", encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "-m", "another")
    path.write_text("a: 3\n", encoding="utf-8")
    if staged:
        git("add", "--all")
    with pytest.raises(FacegenderError) as raised:
        check_committed(path)

    subprocess.run(raised.value.remedy.partition(": ")[2], shell=True, check=True)

    check_committed(path)
    assert path.read_text(encoding="utf-8") == "a: 1\n"


def test_a_file_that_no_commit_has_is_not_replaced(tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Path("other.yaml")
    other.write_text("a: 3\n", encoding="utf-8")
    refused(NOT_COMMITTED, other)
    git("add", "other.yaml")
    refused(NOT_COMMITTED, other)
    git("rm", "--quiet", "--cached", "other.yaml")
    Path(".gitignore").write_text("other.yaml\n", encoding="utf-8")
    refused(NOT_COMMITTED, other)

    outside = tmp_path_factory.mktemp("outside") / "params.yaml"
    outside.write_text("a: 3\n", encoding="utf-8")
    refused(NOT_COMMITTED, outside)


def test_nothing_is_replaced_before_the_first_commit(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("new"))
    git("init", "--quiet")
    PARAMS.write_text("a: 3\n", encoding="utf-8")
    git("add", "--all")
    refused(NOT_COMMITTED)


def test_a_file_that_does_not_exist_is_written_even_outside_git(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replace_committed(Path("new.yaml"), "b: 2\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("outside"))
    check_committed(PARAMS)
    assert replace_committed(PARAMS, "b: 2\n")
    PARAMS.write_text("a: 3\n", encoding="utf-8")
    refused(OUTSIDE)


PATHS = ["plots/a.png", "data/my [1] faces", "data/ignored.csv", "later.png"]


def test_files_and_folders_leave_git_but_stay_on_the_disk() -> None:
    for path in ("plots/a.png", "plots/b.png", "data/my [1] faces/1.jpg", "data/my 1 faces/1.jpg", "data/ignored.csv"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path, encoding="utf-8")
    Path(".gitignore").write_text("ignored.csv", encoding="utf-8")
    git("add", "--all")
    git("add", "--force", "data/ignored.csv")
    git("commit", "--quiet", "-m", "all")

    # Added to the index, and changed again.
    Path("plots/a.png").write_text("changed", encoding="utf-8")
    git("add", "--all")
    Path("plots/a.png").write_text("plots/a.png", encoding="utf-8")
    added, removed = keep_out_of_git(PATHS)

    assert added == ["plots/a.png", "data/my [1] faces", "later.png"]
    assert removed == ["data/ignored.csv", "data/my [1] faces/1.jpg", "plots/a.png"]
    assert Path("plots/a.png").read_text(encoding="utf-8") == "plots/a.png"
    git("add", ".gitignore")
    git("commit", "--quiet", "-m", "out")
    Path("later.png").touch()
    git("add", "--all")
    assert git("status", "--short") == ""
    assert git("ls-files").splitlines() == [".gitignore", "data/my 1 faces/1.jpg", "params.yaml", "plots/b.png"]

    before = Path(".gitignore").read_bytes()
    assert before.startswith(b"ignored.csv\n#")
    assert keep_out_of_git(PATHS) == ([], [])
    assert Path(".gitignore").read_bytes() == before


def test_data_behind_a_link_needs_no_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    Path("data").symlink_to(tmp_path_factory.mktemp("disk"))
    (Path("data") / "a.zip").touch()

    assert keep_out_of_git(["data/a.zip"]) == ([], [])
    assert not Path(".gitignore").exists()


def test_a_repository_that_is_in_use_is_one_line() -> None:
    Path("a.png").touch()
    git("add", "a.png")
    Path(".git/index.lock").touch()

    with pytest.raises(FacegenderError, match=r"^git rm --cached: fatal: .*index\.lock.*; fix that and try again$"):
        keep_out_of_git(["a.png"])


def test_outside_git_is_one_line(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(folder)

    with pytest.raises(FacegenderError) as raised:
        keep_out_of_git(["a.png"])
    assert str(raised.value) == f"{folder}: not a Git repository; run this in the project's folder"
    assert not Path(".gitignore").exists()


def undo_of_use_celeba(when: str) -> str:
    """Return the commands of docs/resume-and-undo.md that undo `facegender use celeba`, without DVC's."""
    page = (ROOT / "docs" / "resume-and-undo.md").read_text(encoding="utf-8")
    [commands] = re.findall(rf"^\| `facegender use celeba`, {when} \| `(.+?)`", page, flags=re.M)
    return str(commands).removesuffix(" && dvc checkout --allow-missing")


@pytest.mark.parametrize("when", ["not committed", "committed"])
@pytest.mark.parametrize("results", ["none", "in the folder", "in a commit"])
def test_use_celeba_is_undone_as_the_documentation_says(
    when: str, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    kept = [*PICTURES_OF_FACES, "metrics/evaluate.json", "dvc.lock", ".gitignore", "other.txt"]
    for path in kept:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("before\n", encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "-m", "before")
    before = git("rev-parse", "HEAD^{tree}")

    replace_committed(PARAMS, "a: 2\n")
    keep_out_of_git(PICTURES_OF_FACES)
    if when == "committed":
        git("commit", "--quiet", "--all", "-m", "Use CelebA")
    commit = git("rev-parse", "HEAD").strip()
    if results != "none":
        for path in (*PICTURES_OF_FACES, "metrics/evaluate.json", "dvc.lock"):
            Path(path).write_text("of CelebA\n", encoding="utf-8")
    if results == "in a commit" and when == "committed":
        git("commit", "--quiet", "--all", "-m", "results")

    subprocess.run(undo_of_use_celeba(when).replace("COMMIT", commit), shell=True, check=True, capture_output=True)

    assert git("status", "--short") == ""
    assert git("rev-parse", "HEAD^{tree}") == before
    assert {Path(path).read_text(encoding="utf-8") for path in kept} == {"before\n"}
    assert PARAMS.read_text(encoding="utf-8") == "a: 1\n"


def test_every_picture_of_the_pipeline_shows_faces_or_is_a_chart() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    plots = [plot for stage in stages for plot in stage.get("do", stage).get("plots", [])]
    pictures = {path for plot in plots for path in plot if path.endswith(".png")}
    charts = {f"metrics/plots/{name}.png" for name in ("slices", "eda/balance", "eda/rates", "eda/correlation")}

    assert pictures == charts | set(PICTURES_OF_FACES)
