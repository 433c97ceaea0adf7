"""Experiments on a cluster: recorded as if they had been run here."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.functional.project import commit_all, environment, run
from tests.paths import ROOT
from tests.ray.conftest import Start

pytest.importorskip("ray", reason="Ray is not installed; run: make test-ray")
pytestmark = pytest.mark.slow

STAGE = """\
import json, os, pathlib, sys, time, yaml
if "FACEGENDER_TEST_WAITS" in os.environ:
    path = pathlib.Path(os.environ["FACEGENDER_TEST_WAITS"])
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)
    time.sleep(3600)
assert "RAY_ADDRESS" not in os.environ
seed = yaml.safe_load(open("params.yaml"))["train"]["seed"]
if seed == 13:
    sys.exit("error: 13: brings bad luck; use another seed")
pathlib.Path("model.txt").write_text(open("features.txt").read() + str(seed))
pathlib.Path("metrics.json").write_text(json.dumps({"accuracy": seed / 1000}))
pathlib.Path(os.environ["FACEGENDER_TEST_RAN"]).open("a").write(os.environ.get("CUDA_VISIBLE_DEVICES", "") + "\\n")
"""
STAGES = {
    # As in the project itself, what is large and can be computed again is not pushed.
    "features": {
        "cmd": "cp raw.txt features.txt && grep '^  seed: ' params.yaml >> features.txt",
        "deps": ["raw.txt"],
        "params": ["train.seed"],
        "outs": [{"features.txt": {"push": False}}],
    },
    "train": {
        "cmd": "python stage.py",
        "deps": ["stage.py", "features.txt"],
        "params": ["train.seed"],
        "outs": ["model.txt"],
        "metrics": [{"metrics.json": {"cache": False}}],
    },
}
COMMAND = "from facegender.cli import main; main()"
TRIALS = "seed-7 train.seed=7\nseed-8 train.seed=8\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a committed and pushed project, whose nodes could not take anything from this folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@localhost")
    run(folder, "dvc", "init", "--quiet")
    (folder / "raw.txt").write_text("raw", encoding="utf-8")
    (folder / "stage.py").write_text(STAGE, encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}), encoding="utf-8")
    monkeypatch.setenv("FACEGENDER_TEST_RAN", str(tmp_path / "ran_here"))
    run(folder, "dvc", "add", "--quiet", "raw.txt")
    run(folder, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    run(folder, "dvc", "repro")
    commit_all(folder, "start")
    run(folder, "dvc", "push")
    return folder


def trials(folder: Path, lines: str, address: str, status: int = 0) -> str:
    command = [sys.executable, "-c", COMMAND, "trials", "--ray", address]
    done = subprocess.run(command, cwd=folder, env=environment(folder), input=lines, capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    return printed


def test_trials_are_recorded_as_if_they_had_been_run_here(
    start: Start, cluster: Any, project: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    for _ in range(2):
        start(FACEGENDER_TEST_RAN=str(ran), RAY_ADDRESS="elsewhere:1")

    printed = trials(project, f"{TRIALS}unlucky train.seed=13\n", cluster.address, status=1)

    assert sorted(line for line in printed.splitlines() if line.endswith("done")) == ["seed-7: done", "seed-8: done"]
    assert "unlucky on " in printed
    assert "error: 13: brings bad luck; use another seed" in printed
    assert printed.endswith(
        "error: facegender trials: 1 of 3 failed; the lines above give the reasons; those that are done are kept\n"
    )
    assert run(project, "git", "status", "--porcelain") == ""
    assert ran.read_text(encoding="utf-8") == "\n\n"
    shown = run(project, "dvc", "exp", "show", "--csv", "--only-changed").splitlines()
    assert sorted(line.split(",")[0] for line in shown if "seed-" in line) == ["seed-7", "seed-8"]
    # Its outs are here, and nothing is fetched; only features, which are not pushed, are missing.
    run(project, "dvc", "remote", "remove", "store")
    applied = run(project, "dvc", "exp", "apply", "seed-8", status=255)
    assert "Checkout failed for following targets:\nfeatures.txt" in applied
    there = (project / "dvc.lock").read_bytes()
    model = (project / "model.txt").read_text(encoding="utf-8")
    assert model.endswith("8")
    run(project, "dvc", "repro")
    assert (project / "dvc.lock").read_bytes() == there
    assert (project / "model.txt").read_text(encoding="utf-8") == model

    run(project, "git", "checkout", "--quiet", "--force", "HEAD")
    run(project, "dvc", "exp", "remove", "seed-8")
    run(project, "dvc", "exp", "run", "--force", "--name", "seed-8", "--set-param", "train.seed=8")
    assert (project / "dvc.lock").read_bytes() == there


def test_a_node_that_would_compute_something_else_stops_all(
    start: Start, cluster: Any, project: Path, tmp_path: Path
) -> None:
    metadata = tmp_path / "other" / "pandas-0.1.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 0.1\n", encoding="utf-8")
    start(tmp_path / "other")

    printed = trials(project, TRIALS, cluster.address, status=1)

    assert printed.count("error: ") == 1
    assert ": pandas is 0.1, but " in printed


def test_what_was_run_is_not_run_again(start: Start, cluster: Any, project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    start(FACEGENDER_TEST_RAN=str(ran))
    trials(project, TRIALS, cluster.address)

    printed = trials(project, f"{TRIALS}seed-9 train.seed=9\n", cluster.address)

    assert printed.count("already run on this commit") == 2
    assert ran.read_text(encoding="utf-8").count("\n") == 3


def test_on_a_cluster_with_gpus_each_trial_has_its_own(
    start: Start, cluster: Any, project: Path, tmp_path: Path
) -> None:
    start(FACEGENDER_TEST_RAN=str(tmp_path / "without"))
    start(num_gpus=2, FACEGENDER_TEST_RAN=str(tmp_path / "with"))

    trials(project, TRIALS, cluster.address)

    assert not (tmp_path / "without").exists()
    assert sorted((tmp_path / "with").read_text(encoding="utf-8").split()) == ["0", "1"]


def test_a_trial_whose_node_dies_is_run_on_another(start: Start, cluster: Any, project: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    doomed = start(FACEGENDER_TEST_WAITS=str(started))
    start(FACEGENDER_TEST_RAN=str(tmp_path / "ran"))

    def kill() -> None:
        while not started.exists():
            time.sleep(0.1)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    printed = trials(project, TRIALS, cluster.address)
    killer.join()

    assert printed.count("done") == 2
    assert not waiting(started)


def test_interrupted_trials_do_not_go_on(start: Start, cluster: Any, project: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    start(FACEGENDER_TEST_WAITS=str(started))
    driver = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "trials", "--ray", cluster.address],
        cwd=project,
        env=environment(project),
        stdin=subprocess.PIPE,
        text=True,
    )
    assert driver.stdin
    driver.stdin.write(TRIALS)
    driver.stdin.close()
    while not started.exists():
        assert driver.poll() is None
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    assert driver.wait()

    assert not waiting(started)


def waiting(started: Path) -> list[psutil.Process]:
    """Return the processes of a stage that waits on a node, if any is left after some seconds."""
    number = int(started.read_text(encoding="utf-8"))
    _, left = psutil.wait_procs([psutil.Process(number)] if psutil.pid_exists(number) else [], timeout=20)
    return left


def test_what_the_nodes_would_not_get_is_one_line(project: Path, start: Start, cluster: Any) -> None:
    start()
    (project / "stage.py").write_text(STAGE + "# changed\n", encoding="utf-8")
    assert trials(project, TRIALS, cluster.address, status=1).endswith(
        "error: HEAD: this folder has changes, which the nodes would not get; "
        "commit them, or put them aside: git stash\n"
    )
    run(project, "git", "checkout", "--quiet", "--force", "HEAD")
    run(project, "dvc", "remote", "remove", "store")
    commit_all(project, "no remote")
    assert trials(project, TRIALS, cluster.address, status=1).endswith(
        "error: .dvc/config: names no default remote, through which nodes get data and give back models; "
        "set one up (docs/remotes.md), commit it, and run: dvc push\n"
    )
