"""A list of experiments that is run in this folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.functional.project import commit_all, environment, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

STAGE = {"cmd": "cp params.yaml seen.txt", "params": ["train.seed", "train.dropout"], "outs": ["seen.txt"]}


def trials(folder: Path, lines: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from facegender.cli import main; main()", "trials"]
    return subprocess.run(command, cwd=folder, env=environment(folder), input=lines, capture_output=True, text=True)


def test_each_trial_changes_only_what_its_line_says(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "git", "config", "user.name", "test")
    run(tmp_path, "git", "config", "user.email", "test@localhost")
    run(tmp_path, "dvc", "init", "--quiet")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"show": STAGE}}), encoding="utf-8")
    commit_all(tmp_path, "start")
    before = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))["train"]
    lines = "a train.dropout=0.25\nb train.seed=7\n"

    done = trials(tmp_path, lines)

    assert done.returncode == 0, done.stderr
    [_, commit] = json.loads(run(tmp_path, "dvc", "exp", "show", "--json"))
    train: dict[str, Any] = {
        experiment["name"]: experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"]
        for experiment in commit["experiments"]
    }
    assert train == {"a": before | {"dropout": 0.25}, "b": before | {"seed": 7}}
    again = trials(tmp_path, lines)
    assert (again.returncode, again.stdout) == (0, "a: already run on this commit\nb: already run on this commit\n")
