"""A list of experiments that is run in this folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.functional.project import commit_all, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

STAGE = {"cmd": "cp params.yaml seen.txt", "params": ["train.seed", "train.dropout"], "outs": ["seen.txt"]}


def test_each_trial_changes_only_what_its_line_says(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "dvc", "init", "--quiet")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"show": STAGE}}), encoding="utf-8")
    (tmp_path / "trials.txt").write_text("a train.dropout=0.25\nb train.seed=7\n", encoding="utf-8")
    commit_all(tmp_path, "start")
    before = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))["train"]

    run(tmp_path, "sh", "-c", "facegender trials < trials.txt")

    [_, commit] = json.loads(run(tmp_path, "dvc", "exp", "show", "--json"))
    train: dict[str, Any] = {
        experiment["name"]: experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"]
        for experiment in commit["experiments"]
    }
    assert train == {"a": before | {"dropout": 0.25}, "b": before | {"seed": 7}}
    again = run(tmp_path, "sh", "-c", "facegender trials < trials.txt")
    assert again == "a: already run on this commit\nb: already run on this commit\n"
