"""DVC's record of a run on a cluster is that of a run on this machine."""

from pathlib import Path
from typing import Any

import pytest

from tests.functional.project import TINY, make_project, run, use_small_backbone
from tests.ray.conftest import Start

pytest.importorskip("ray", reason="Ray is not installed; run: make test-ray")
pytestmark = pytest.mark.slow

STAGES = ("augment", "baseline", "features@train", "features@train_copies", "features@val", "features@test")
CHANGES = TINY | {
    "augment.mode": "copies",
    "augment.copies": 2,
    "backbone.weights": "random",
    "backbone.trainable_from": "head",
}


def project(folder: Path) -> Path:
    """Make a project with a small network, and shards of eight images."""
    make_project(folder, CHANGES)
    use_small_backbone(folder)
    path = folder / "src/facegender/data/shards.py"
    text = path.read_text(encoding="utf-8")
    assert "SHARD_SIZE = 100" in text
    path.write_text(text.replace("SHARD_SIZE = 100", "SHARD_SIZE = 8"), encoding="utf-8")
    return folder


def test_dvc_lock_is_the_same(start: Start, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = project(tmp_path / "here"), project(tmp_path / "there")
    run(here, "dvc", "repro", *STAGES)
    for _ in range(2):
        start(here / "src")
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)

    printed = run(there, "dvc", "repro", *STAGES)

    assert "5 shards computed, 0 taken from .cache" in printed
    assert (there / "dvc.lock").read_bytes() == (here / "dvc.lock").read_bytes()
