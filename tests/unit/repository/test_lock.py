from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.repository.lock import OUTS, locked_files, read_lock
from stages.report import hashes

LOCK = """schema: '2.0'
stages:
  train:
    deps:
    - {path: data.csv, hash: md5, md5: of an earlier run}
    - {path: raw.zip, hash: md5, md5: aa}
    - {path: s3://bucket/raw.zip, size: 9, etag: 1-2}
    outs:
    - {path: model, hash: md5, md5: bb.dir}
  prepare:
    outs:
    - {path: data.csv, hash: md5, md5: cc}
  nothing: {}
"""


def test_a_lock_file_has_the_sum_of_each_file_as_it_was_written() -> None:
    assert locked_files(LOCK, "dvc.lock") == {
        "raw.zip": "aa",
        "s3://bucket/raw.zip": "1-2",
        "model": "bb.dir",
        "data.csv": "cc",
    }
    assert locked_files(LOCK, "dvc.lock", [OUTS]) == {"model": "bb.dir", "data.csv": "cc"}
    assert locked_files(LOCK, "dvc.lock", without="train") == {"data.csv": "cc"}
    assert locked_files("", "dvc.lock") == {}


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD\nstages:\n=======\nstages:\n>>>>>>> other\n",
        "- a",
        "stages: 1",
        "stages: {a: 1}",
        "stages: {a: {outs: 1}}",
    ],
)
def test_anything_else_is_a_one_line_error(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(
        FacegenderError, match=r"^dvc\.lock: not valid, perhaps because a merge is unfinished; .* dvc repro$"
    ):
        read_lock()


def test_missing_files_are_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacegenderError, match=r"^dvc\.lock: No such file or directory; run: dvc repro, and commit it$"):
        read_lock()

    (tmp_path / "dvc.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(FacegenderError, match=r"^dvc\.lock: not UTF-8 text; "):
        read_lock()


def test_the_report_shows_the_sums_of_this_run_and_not_of_its_own_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(
        "stages:\n"
        "  partition: {deps: [{path: identities.txt, md5: new}, {path: src, md5: code}]}\n"
        "  calibrate: {outs: [{path: models/gender.keras, md5: new}]}\n"
        "  report: {deps: [{path: identities.txt, md5: old}, {path: models/gender.keras, md5: old}]}\n"
    )

    assert hashes({"identities.txt"}) == {"identities.txt": "new", "models/gender.keras": "new"}
