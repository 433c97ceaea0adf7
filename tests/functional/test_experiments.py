"""Experiments as in docs/experiments.md: a sweep in the folder, a queue with two workers, showing and applying."""

import csv
import io
import shutil
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.functional.project import commit_all, run
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long]


def experiments(project: Path) -> list[dict[str, str]]:
    """Return name, parameters and metrics of each experiment."""
    rows = csv.DictReader(io.StringIO(run(project, "dvc", "exp", "show", "--csv", "--hide-workspace")))
    return [row for row in rows if row["typ"] != "baseline"]


def workers(project: Path) -> list[psutil.Process]:
    """List the processes that run in a project or in its copies."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        folder = process.info["cwd"]
        if folder and Path(folder).is_relative_to(project):
            found.append(process)
    return found


def test_a_sweep_a_queue_and_the_best_applied(finished: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished, project)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, project)
    (project / ".venv").mkdir()
    (project / ".venv" / "installed").touch()
    commit_all(project, "make")

    printed = run(project, "make", "sweep", "CUTS=head", "COPIES=1", "RATES=0.001 0.002")
    assert printed.count("Running stage 'features@train'") == 1
    assert printed.count("Running stage 'train'") == 2
    table = run(project, "make", "experiments").splitlines()
    assert table[0].startswith("Experiment  ")
    assert max(map(len, table)) <= 120
    assert sorted(line.split()[-1] for line in table if "learning_rate" in line) == [
        "train.learning_rate=0.001",
        "train.learning_rate=0.002",
    ]
    assert "\n".join(table) in printed

    run(project, "dvc", "exp", "run", "--queue", "-S", "train.learning_rate=0.003,0.004")
    run(project, "dvc", "queue", "start", "--jobs", "2")
    limit = time.monotonic() + 300
    while workers(project):
        assert time.monotonic() < limit, run(project, "dvc", "queue", "status")
        time.sleep(0.2)

    shown = experiments(project)
    assert sorted(row["train.learning_rate"] for row in shown) == ["0.001", "0.002", "0.003", "0.004"]
    assert {row["backbone.trainable_from"] for row in shown} == {"head"}
    digests = {row["metrics/evaluate.json:digest"] for row in shown}
    assert len(digests) == 4

    best = next(row for row in shown if row["train.learning_rate"] == "0.003")
    run(project, "dvc", "exp", "apply", best["Experiment"])
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    assert params["train"]["learning_rate"] == 0.003
    assert best["metrics/evaluate.json:digest"] in (project / "metrics" / "evaluate.json").read_text(encoding="utf-8")
    assert "Data and pipelines are up to date." in run(project, "dvc", "status")
