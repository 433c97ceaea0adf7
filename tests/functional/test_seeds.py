"""`make seeds` and `facegender seeds`, with one stage in place of the pipeline."""

import shutil
from pathlib import Path

import pytest
import yaml

from facegender.params import load_params
from tests.functional.project import change_params, commit_all, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

STAGE = """\
import json, pathlib, yaml
params = yaml.safe_load(open("params.yaml"))
accuracy = params["train"]["seed"] / 1000 + params["augment"]["seed"] / 500
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/evaluate.json").write_text(json.dumps({"accuracy": accuracy}))
pathlib.Path("metrics/slices.json").write_text(json.dumps({"worst_recall": accuracy / 2}))
"""


@pytest.mark.long
def test_each_seed_is_run_once_and_all_are_summarised(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    # make first checks that the data is there.
    for path in load_params(ROOT / "params.yaml").dataset.model_dump().values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    (tmp_path / ".gitignore").write_text(".venv\n", encoding="utf-8")
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    metrics = [{f"metrics/{name}.json": {"cache": False}} for name in ("evaluate", "slices")]
    stage = {"cmd": "python stage.py", "params": ["train.seed", "augment.seed"], "metrics": metrics}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}), encoding="utf-8")
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "dvc", "init", "--quiet")
    run(tmp_path, "dvc", "repro")
    commit_all(tmp_path, "start")
    assert "error: HEAD: this commit has no experiment with a name such as seed-120" in run(
        tmp_path, "facegender", "seeds", status=1
    )

    for number in ("0", "x", "", "2 3"):
        printed = run(tmp_path, "make", "seeds", f"N={number}", status=2)
        assert f"error: N: must be a number of seeds, at least 1, not '{number}'" in printed
        assert "Experiments:" not in printed

    printed = run(tmp_path, "make", "seeds", "N=2")
    # Seeds 120 and 121 give 0.36 and 0.363; what differs by 0.003 has a standard deviation of 0.003 / sqrt(2).
    assert "| test | accuracy | 0.3615 | 0.0021 | 0.3600 | 0.3630 |" in printed
    assert "| test | worst_recall | 0.1807 | 0.0011 | 0.1800 | 0.1815 |" in printed
    assert yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))["partition"]["seed"] == 120

    printed = run(tmp_path, "make", "seeds", "N=3")
    assert printed.count("already run on this commit") == 2
    assert printed.count("Running stage 'evaluate'") == 1
    assert "Experiments: seed-120, seed-121, seed-122\n" in printed

    change_params(tmp_path, {"train.epochs": 77})
    assert "error: seed-120: train.epochs is 5, but 77 in params.yaml" in run(tmp_path, "facegender", "seeds", status=1)
