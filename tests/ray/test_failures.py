"""Nodes, tasks and runs that fail: the same bytes in the end, or one line that says where and what to do."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facegender.cluster import spread
from facegender.data.shards import ShardFile
from facegender.errors import FacegenderError
from stages import augment
from tests.paths import ROOT
from tests.ray import work
from tests.ray.conftest import Start
from tests.ray.stages_here import augment_here, features_of, put_shards, shard_files, written

pytest.importorskip("ray", reason="Ray is not installed; run: make test-ray")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", 4)


def line_of(function: Callable[..., Iterator[bytes]], items: list[ShardFile], address: str) -> str:
    """Return the error of the work on items."""
    with pytest.raises(FacegenderError) as caught:
        list(spread(function, items, address=address))
    return str(caught.value)


def test_a_cluster_without_a_node_for_tasks_is_one_line(cluster: Any) -> None:
    line = f"RAY_ADDRESS={cluster.address}: the cluster has no CPU for tasks; add a node to it"
    assert line_of(work.doubled, shard_files(b"content"), cluster.address) == line


def test_a_node_that_dies_in_the_middle_of_a_stage_changes_nothing(
    start: Start, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = augment_here(tmp_path)
    started = tmp_path / "started"
    start(**{work.STARTED: str(started)})
    doomed = start(**{work.STARTED: str(started), work.DOOMED: "1"})

    def kill() -> None:
        while not started.exists():
            time.sleep(0.1)
        cluster.remove_node(doomed, allow_graceful=False)

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setattr(augment, "copy_shards", work.copies_on_a_doomed_node)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    augment.main()
    killer.join()

    assert written(tmp_path) == here


KILLED = """
import sys
import time
from pathlib import Path
import facegender.data.shards
facegender.data.shards.SHARD_SIZE = 4
from facegender.network import features
from tests.ray.stages_here import features_of

path_of = features._feature_path
def slowly(*arguments):
    time.sleep(0.2)
    return path_of(*arguments)
features._feature_path = slowly
features_of(Path(sys.argv[1]))
"""


def test_a_killed_run_goes_on_where_it_was(
    start: Start, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    put_shards(tmp_path / "images")
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT / "src", ROOT))))
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    while not list(tmp_path.glob("memo/trunk/[!.]*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list(tmp_path.glob("memo/trunk/[!.]*")))

    assert features_of(tmp_path) == [False] * kept + [True] * (6 - kept)
    assert 0 < kept < 6


def test_a_shard_that_always_fails_is_named(start: Start, cluster: Any) -> None:
    start()
    items = shard_files(b"good", b"good", b"bad", b"good")

    assert line_of(work.refused, items, cluster.address) == "2.zip: is bad; make it good:\n  one detail"
    defect = r"2\.zip: failed on node [\d.]+ \(KeyError: b'bad'\); unset RAY_ADDRESS to see where in the code"
    assert re.fullmatch(defect, line_of(work.broken, items, cluster.address))
    crash = r"2\.zip: was given up on the cluster after 4 tries \(.*died.*\); look at the memory .*"
    assert re.fullmatch(crash, line_of(work.deadly, items, cluster.address))


def test_a_damaged_shard_leaves_nothing_half_written(
    start: Start, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.chdir(tmp_path)
    augment_here(tmp_path)
    (tmp_path / "data/preprocessed/train/00003.zip").write_bytes(b"not a zip")
    before = written(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)

    with pytest.raises(SystemExit) as caught:
        augment.main()

    assert str(caught.value.code).startswith("error: data/preprocessed/train/00003.zip: failed on node ")
    assert len(str(caught.value.code).splitlines()) == 1
    assert written(tmp_path) == before
    assert [path.name for path in (tmp_path / "data/preprocessed").iterdir()] == ["train"]


def other_code(folder: Path) -> None:
    shutil.copytree(ROOT / "src/facegender", folder / "facegender", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "facegender/preparation/augment.py").open("a", encoding="utf-8") as file:
        file.write("# Changed.\n")


def old_version(folder: Path) -> None:
    (folder / "facegender").mkdir()
    (folder / "facegender/__init__.py").touch()


def not_installed(folder: Path) -> None:
    text = "raise ModuleNotFoundError(\"No module named 'facegender'\", name='facegender')\n"
    (folder / "facegender.py").write_text(text, encoding="utf-8")


def other_library(folder: Path) -> None:
    metadata = folder / "numpy-0.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n", encoding="utf-8")


def other_processor(folder: Path) -> None:
    text = "import platform\nplatform.machine = lambda: 'riscv64'\n"
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (other_code, r"the code of facegender is \w{12}, but \w{12} on the machine that wants the results; make .*"),
        (old_version, r"facegender is missing, or is another version \(No module .*\); install .*"),
        (not_installed, r"facegender is missing, or is another version \(No module named 'facegender'\); install .*"),
        (other_library, r"numpy is 0\.1, but \d.* on the machine that wants the results; make them the same.*"),
        (other_processor, r"the kind of processor is riscv64.*, but (x86_64|aarch64|arm64).*; make them the same.*"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_node_that_would_compute_something_else_is_named(
    start: Start, cluster: Any, tmp_path: Path, change: Callable[[Path], None], line: str
) -> None:
    change(tmp_path)
    start(tmp_path)

    assert re.fullmatch(rf"node [\d.]+: {line}", line_of(work.doubled, shard_files(b"content"), cluster.address))


def test_a_task_that_cannot_start_is_named(start: Start, cluster: Any, tmp_path: Path) -> None:
    old_version(tmp_path)
    (tmp_path / "facegender/cluster.py").write_text("def run_task(batch):\n    pass\n", encoding="utf-8")
    start(tmp_path)

    line = line_of(work.doubled, shard_files(b"content"), cluster.address)

    assert re.fullmatch(r"0\.zip: failed on the cluster \(TypeError: .*\); look at Ray's logs", line)
