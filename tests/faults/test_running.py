"""A part of the faults of `make faults` on one stage, and that what must not happen is noticed."""

import hashlib
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.faults import running
from tests.faults.running import CRASHED, FINISHED, REFUSED, STOPPED, WRONG, Counts, Score, Stage, full, judge, told
from tests.functional.project import TINY, make_project, run

VAL = Stage("preprocess@val", ("python", "-m", "stages.preprocess", "val"), ("data/preprocessed/val",))


@pytest.mark.slow
@pytest.mark.long
def test_a_stage_that_is_disturbed_says_so_in_a_line_and_leaves_whole_outs_or_none(tmp_path: Path) -> None:
    undisturbed = make_project(tmp_path / "undisturbed", TINY)
    for command in (("synthetic_data",), ("partition",), ("preprocess", "val")):
        run(undisturbed, "python", "-m", f"stages.{command[0]}", *command[1:])
    score = Score()
    counts = Counts(kills=1, interruptions=1, memory=0, disk=1, folders=1, clocks=0, jumps=0, workers=0)

    with running.small_disk(tmp_path / "disk", 60) as mounted:
        project = tmp_path / "disk" / "project"
        shutil.copytree(undisturbed, project, symlinks=True)
        disk = tmp_path / "disk" if mounted else None
        running.faults_of_stage(project, undisturbed, disk, VAL, counts, random.Random(1), score)
        run(project, *VAL.command)
        assert judge(project, undisturbed, VAL, FINISHED, "") == (FINISHED, "")

    assert score.reports == []
    # One that comes too late, when the stage has finished, is tried again, three times in all.
    assert score.counts["kill -9"].total() == 1
    assert score.counts["Ctrl-C"].total() == 1
    assert score.counts["kill -9"].keys() | score.counts["Ctrl-C"].keys() <= {STOPPED, REFUSED, FINISHED}
    if mounted or os.geteuid():
        assert score.counts["read-only folder"] == {REFUSED: 1}
    if not mounted:
        pytest.skip("a disk cannot be mounted here, so none can be full")
    assert score.counts["full disk"] == {REFUSED: 1}


@pytest.mark.parametrize(
    ("status", "errors", "verdict"),
    [
        (0, "", FINISHED),
        (0, "Exception ignored in: <function>\n", CRASHED),
        (1, "error: data/x.csv: No space left on device; free space on its disk and try again\n", REFUSED),
        (1, "error: something is wrong\n", CRASHED),
        (1, "error: a: is bad; fix it\nerror: a: is bad; fix it\n", CRASHED),
        (1, "Traceback (most recent call last):\n  File\nValueError: 1\n", CRASHED),
        (1, "", CRASHED),
        (-signal.SIGINT, "error: interrupted; to go on, start it again\n", REFUSED),
        (-signal.SIGKILL, "", STOPPED),
        (-signal.SIGSEGV, "", CRASHED),
        (0, None, CRASHED),
    ],
)
def test_how_a_stage_ends_is_judged(status: int, errors: str | None, verdict: str) -> None:
    assert told(status, errors, stopped_by=signal.SIGKILL)[0] == verdict


def test_an_out_with_other_bytes_is_wrong_and_a_missing_one_only_at_the_end(tmp_path: Path) -> None:
    stage = Stage("one", ("true",), ("data/table.csv", "data/folder"))
    undisturbed, project = tmp_path / "undisturbed", tmp_path / "project"
    for folder in (undisturbed, project):
        (folder / "data" / "folder").mkdir(parents=True)
        (folder / "data" / "table.csv").write_text("1\n")
        (folder / "data" / "folder" / "a").write_text("a")
    assert judge(project, undisturbed, stage, STOPPED, "") == (STOPPED, "")
    assert judge(project, undisturbed, stage, FINISHED, "") == (FINISHED, "")

    (project / "data" / "table.csv").unlink()
    assert judge(project, undisturbed, stage, STOPPED, "") == (STOPPED, "")
    assert judge(project, undisturbed, stage, FINISHED, "")[0] == WRONG

    (project / "data" / "table.csv").write_text("1\n")
    (project / "data" / "folder" / "b").write_text("b")
    assert judge(project, undisturbed, stage, STOPPED, "")[0] == WRONG
    (project / "data" / "folder" / "b").unlink()
    (project / "data" / "folder" / "a").write_text("")
    assert judge(project, undisturbed, stage, STOPPED, "")[0] == WRONG


def test_damaged_objects_are_found(tmp_path: Path) -> None:
    cache = tmp_path / ".dvc" / "cache" / "files" / "md5"
    for content, name in (
        (b"whole", hashlib.md5(b"whole").hexdigest()),
        (b"[]", hashlib.md5(b"[]").hexdigest() + ".dir"),
    ):
        (cache / name[:2]).mkdir(parents=True)
        (cache / name[:2] / name[2:]).write_bytes(content)
    assert running.damaged_objects(tmp_path) == []

    for path in cache.glob("*/*"):
        path.write_bytes(path.read_bytes() + b" ")
        assert running.damaged_objects(tmp_path) == [path]
        path.write_bytes(path.read_bytes()[:-1])


def test_every_kind_of_damage_changes_the_bytes() -> None:
    data = os.urandom(100)

    damaged = {running.damage(data, random.Random(seed)) for seed in range(200)}

    assert data not in damaged
    assert b"" in damaged
    assert bytes(100) in damaged
    assert {len(one) for one in damaged} > {0, 100}


def test_a_disk_is_full_but_for_what_was_asked(tmp_path: Path) -> None:
    with running.small_disk(tmp_path / "disk", 1) as mounted:
        if not mounted:
            pytest.skip("a disk cannot be mounted here")
        with full(tmp_path / "disk", 8192):
            (tmp_path / "disk" / "small").write_bytes(bytes(8192))
            with pytest.raises(OSError, match="No space left"):
                (tmp_path / "disk" / "small").write_bytes(bytes(20000))
