import hashlib
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.params import Gate
from facegender.repository.commands import output_of
from facegender.repository.registry import fetch_model
from facegender.repository.revisions import (
    PREDICTIONS,
    current_revision,
    file_at,
    gate_of,
    has_file,
    lock_date,
    predictions_of,
)
from facegender.repository.worktree import check_committed, keep_out_of_git
from tests.predictions import GOOD

GATE = "gate: {floors: {accuracy: 6e-1}, ceilings: {}, margins: {}, baseline: waived, tolerance: 0.02}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty Git repository, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return tmp_path


def commit(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    subprocess.run(["git", "add", "--all"], check=True)
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *user, "commit", "--quiet", "--allow-empty", "-m", "commit"], check=True)


def test_a_file_of_a_revision(repository: Path) -> None:
    commit(repository, {"a.txt": "old\n"})
    commit(repository, {"a.txt": "new\n"})

    assert (file_at("HEAD~1", "a.txt"), file_at("HEAD", "a.txt")) == ("old\n", "new\n")
    assert file_at("HEAD", "b.txt") is None


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~5", "HEAD:a.txt", "HEAD^{tree}", "--all"])
def test_an_unknown_revision_is_an_error(repository: Path, revision: str) -> None:
    commit(repository, {"a.txt": ""})
    for read in (lambda: file_at(revision, "a.txt"), lambda: has_file(revision, "a"), lambda: gate_of(revision)):
        with pytest.raises(FacegenderError) as caught:
            read()
        assert (caught.value.where, caught.value.what) == (revision, "unknown Git revision")


def test_outside_a_repository_there_are_no_revisions(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(folder)

    with pytest.raises(FacegenderError) as raised:
        file_at("main", "a.txt")
    assert str(raised.value) == f"{folder}: not a git repository; run this in a clone of the project"


def test_a_lock_file_of_a_revision(repository: Path) -> None:
    commit(repository, {})
    commit(repository, {"dvc.lock": "stages: {a: {outs: [{path: b, md5: c}]}}"})
    commit(repository, {"dvc.lock": "<<<<<<< HEAD"})

    assert not has_file("HEAD~2", "b")
    assert has_file("HEAD~1", "b")
    assert not has_file("HEAD~1", "c")
    with pytest.raises(FacegenderError, match=r"^HEAD: dvc\.lock: not valid, perhaps because a merge"):
        has_file("HEAD", "b")


def test_predictions_of_a_revision_must_be_those_of_its_lock_file(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = GOOD.to_csv(index=False).encode()
    md5 = hashlib.md5(content).hexdigest()
    commit(repository, {"dvc.lock": f"stages: {{a: {{outs: [{{path: {PREDICTIONS}, md5: {md5}}}]}}}}"})
    monkeypatch.setattr("dvc.api.read", lambda *_, **__: content)
    assert predictions_of("HEAD").equals(GOOD)

    # A remote may send anything.
    monkeypatch.setattr("dvc.api.read", lambda *_, **__: content.replace(b"0.8", b"0.9"))
    with pytest.raises(FacegenderError) as caught:
        predictions_of("HEAD")
    assert caught.value.what.endswith(f"is damaged: its MD5 sum is not {md5}, as in dvc.lock")


def test_limits_of_a_revision_are_read_regardless_of_its_other_parameters(repository: Path) -> None:
    commit(repository, {"params.yaml": f"an_old_group: 1\n{GATE}"})

    assert gate_of("HEAD") == Gate(floors={"accuracy": 0.6}, ceilings={}, margins={}, baseline="waived", tolerance=0.02)


@pytest.mark.parametrize(
    "content", ["", "[]", "train: {}", "gate: 1", "gate: {floors: {}}", GATE.replace("0.02", "-1"), "gate: {", GATE * 2]
)
def test_without_valid_limits_a_revision_has_none(repository: Path, content: str) -> None:
    commit(repository, {"params.yaml": content})

    assert gate_of("HEAD") is None


def test_without_parameters_a_revision_has_no_limits(repository: Path) -> None:
    commit(repository, {})

    assert gate_of("HEAD") is None


def test_the_date_of_the_lock_is_that_of_its_last_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2024-02-29T12:00:00")
    commit(repository, {"dvc.lock": "stages: {}\n"})
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2024-03-01T12:00:00")
    commit(repository, {"other": ""})

    assert lock_date() == "2024-02-29"


def test_the_date_of_a_lock_that_was_not_committed_is_that_of_the_file(repository: Path) -> None:
    commit(repository, {"dvc.lock": "stages: {}\n"})
    (repository / "dvc.lock").write_text("stages: {a: {}}\n", encoding="utf-8")
    noon = datetime(2025, 7, 1, 12).timestamp()
    os.utime(repository / "dvc.lock", (noon, noon))

    assert lock_date() == "2025-07-01, not committed"


def test_a_revision_that_a_shallow_clone_lacks_is_told(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, {"a.txt": "old"})
    commit(repository, {"a.txt": "new"})
    clone = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", repository.as_uri(), str(clone)], check=True)
    monkeypatch.chdir(clone)

    assert file_at("HEAD", "a.txt") == "new"
    for read in (lambda: file_at("HEAD~1", "a.txt"), lambda: fetch_model("HEAD~1")):
        with pytest.raises(FacegenderError) as caught:
            read()
        assert str(caught.value) == "HEAD~1: not in this shallow clone; get all revisions: git fetch --unshallow --tags"


@pytest.mark.parametrize("language", ["C", "de_DE.UTF-8"])
@pytest.mark.parametrize(
    "use",
    [
        lambda: file_at("HEAD", "a.txt"),
        lambda: check_committed(Path("a.txt")),
        lambda: keep_out_of_git(["a.txt"]),
        lambda: current_revision(),
        lambda: fetch_model("HEAD"),
        lambda: fetch_model("gender@latest"),
    ],
    ids=["show", "committed", "ignore", "describe", "model", "release"],
)
def test_a_repository_that_another_user_owns_is_told(
    use: Callable[[], object], language: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, {"a.txt": ""})
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("LANGUAGE", language)

    with pytest.raises(FacegenderError) as caught:
        use()
    assert str(caught.value) == (
        f"{repository}: another user owns this repository, so Git does not read it; if you trust it, run: "
        f"git config --global --add safe.directory {repository}"
    )


def test_what_dvc_says_of_such_a_repository_is_understood(tmp_path: Path) -> None:
    error = f"ERROR: unexpected error - {tmp_path}/.git/: repository path '{tmp_path}' is not owned by current user\n"

    with pytest.raises(FacegenderError, match=f"^{tmp_path}: another user owns this repository"):
        output_of(subprocess.CompletedProcess(["python", "-m", "dvc", "exp", "show"], 255, "", error))
