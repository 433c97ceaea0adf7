"""The table of `facegender experiments`, from what `dvc exp show --json` prints."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from facegender.cli import experiments_command
from facegender.errors import FacegenderError
from facegender.repository.experiments import COLUMNS, experiments_table, shown_experiments

PARAMS: dict[str, Any] = {"train": {"learning_rate": 0.0001, "seed": 120}, "evaluate": {"datasets": {}}}


def row(name: str | None, val_log_loss: float, accuracy: float, **train: Any) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "metrics/calibrate.json": {"after": {"accuracy": 0.8, "log_loss": val_log_loss}, "threshold": 0.4},
        "metrics/evaluate.json": {
            "accuracy": accuracy, "roc_auc": 0.9, "log_loss": 0.3, "expected_calibration_error": 0.0123, "f1": 0.5
        },
    }  # fmt: skip
    params = PARAMS | {"train": PARAMS["train"] | train}
    files = {
        "params": {"params.yaml": {"data": params}},
        "metrics": {path: {"data": content} for path, content in metrics.items()},
    }
    return {"rev": "0123456789abcdef", "name": name, "data": files, "error": None}


def shown(*experiments: dict[str, Any], state: str | None = None) -> list[dict[str, Any]]:
    ranges = [
        {"revs": [experiment], "executor": {"state": state}, "name": experiment["name"]} for experiment in experiments
    ]
    commit = row("main", 0.5, 0.7)
    return [commit | {"name": "workspace", "experiments": None}, commit | {"experiments": ranges}]


def test_the_best_on_validation_images_comes_first_with_what_it_changed() -> None:
    experiments = [row("worse", 0.6, 0.9, learning_rate=0.1), row("best", 0.4, 0.6, learning_rate=0.001, seed=7)]

    lines = experiments_table(shown(*experiments), "val_log_loss").splitlines()

    assert [line.split()[0] for line in lines] == ["Experiment", "best", "this", "worse"]
    assert lines[1].split() == [
        *("best", "0.4000", "0.8000", "0.6000", "0.9000", "0.3000", "0.0123"),
        *("train.learning_rate=0.001", "train.seed=7"),
    ]
    assert lines[2].split() == ["this", "commit", "0.5000", "0.8000", "0.7000", "0.9000", "0.3000", "0.0123"]
    titles = ["val. log loss", "val. accuracy", "accuracy", "ROC AUC", "log loss", "ECE", "changed parameters"]
    assert re.split("  +", lines[0]) == ["Experiment", *titles]
    # The last digit of a number is below the last letter of its title.
    assert lines[1].index("0.4000") + len("0.4000") == lines[0].index("val. log loss") + len("val. log loss")

    by_accuracy = experiments_table(shown(*experiments), "accuracy").splitlines()
    assert [line.split()[0] for line in by_accuracy] == ["Experiment", "worse", "this", "best"]


def test_every_line_fits_and_nothing_is_lost() -> None:
    many = {f"parameter_number_{number:04}": number for number in range(12)}
    name = "an-experiment-with-a-rather-long-name"

    table = experiments_table(shown(row(name, 0.4, 0.6, **many)), "accuracy")

    assert max(map(len, table.splitlines())) <= 120
    assert name in table
    for key, value in many.items():
        assert f"train.{key}={value}" in table
    heading, first = table.splitlines()[0], next(line for line in table.splitlines() if "train." in line)
    assert first.index("train.") == heading.index("changed parameters")


def test_queued_failed_and_unnamed_experiments_are_shown_as_such() -> None:
    queued = row(None, 0.1, 0.1, seed=5)
    queued["data"]["metrics"] = {}
    assert experiments_table(shown(queued, state="queued"), "val_log_loss").splitlines()[-1].split() == [
        *("0123456", "-", "-", "-", "-", "-", "-", "queued", "train.seed=5")
    ]

    failed = row("failed", 0.1, 0.1) | {"data": None, "error": {"msg": "Experiment run failed", "type": ""}}
    assert experiments_table(shown(failed), "val_log_loss").splitlines()[-1].endswith("failed: Experiment run failed")


@pytest.mark.parametrize("rows", [shown(), shown()[:1], []])
def test_no_experiments_are_one_line(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(FacegenderError, match=r"^HEAD: no experiment started from this commit; run: dvc exp run, or: "):
        experiments_table(rows, "accuracy")


def test_a_commit_that_dvc_cannot_read_is_one_line() -> None:
    folder, commit = shown(row("one", 0.4, 0.6))
    broken = commit | {"data": None, "error": {"msg": "unable to read: 'dvc.yaml'", "type": "YAMLSyntaxError"}}
    with pytest.raises(FacegenderError, match=r"^HEAD: DVC cannot read it: unable to read: 'dvc\.yaml'; run: dvc st"):
        experiments_table([folder, broken], "accuracy")


def test_the_command_sorts_by_every_column() -> None:
    annotated = experiments_command.__annotations__["sort"]
    assert get_args(get_args(annotated)[0]) == tuple(COLUMNS)


def test_a_mistake_in_params_yaml_is_named_before_dvc_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("train: [\n", encoding="utf-8")

    with pytest.raises(FacegenderError) as caught:
        shown_experiments()
    assert str(caught.value).startswith("params.yaml")
    assert "\n" not in str(caught.value)
