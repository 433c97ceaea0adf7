import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from facegender.errors import FacegenderError
from facegender.evaluation.metrics import metrics_of
from facegender.repository import gate_checks, lock, revisions
from facegender.repository.gate_checks import _metrics, run_checks
from tests.paths import ROOT
from tests.predictions import BAD, GOOD

GATE: dict[str, Any] = {
    "floors": {"accuracy": 0.8, "worst_recall": 0.5},
    "ceilings": {"largest_recall_gap": 0.1},
    "margins": {"accuracy": 0.02},
    "baseline": "required",
    "tolerance": 0.01,
}


def write_gate(folder: Path, content: Any) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"gate": content}), encoding="utf-8")


def commit(folder: Path) -> None:
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", *user, "commit", "--quiet", "-m", "commit"], cwd=folder, check=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a committed project that fails each limit of GATE: its predictions are BAD, and GOOD are those of the base
    and of the baseline.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "evaluate.json").write_text(json.dumps(metrics_of(BAD)))
    (tmp_path / "metrics" / "slices.json").write_text('{"worst_recall": 0.4, "largest_recall_gap": 0.2}')
    write_gate(tmp_path, GATE)
    subprocess.run(["git", "init", "--quiet"], check=True)
    commit(tmp_path)
    fresh = BAD.assign(probability=BAD["probability"] + 0.02)
    monkeypatch.setattr(revisions, "has_file", lambda *_: True)
    monkeypatch.setattr(revisions, "predictions_of", lambda _: GOOD)
    monkeypatch.setattr(gate_checks, "read_predictions", {revisions.PREDICTIONS: BAD, revisions.BASELINE: GOOD}.get)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gender.onnx").touch()
    monkeypatch.setattr(gate_checks, "md5_of", lambda _: "same")
    monkeypatch.setattr(lock, "read_lock", lambda: dict.fromkeys(gate_checks.JUDGED, "same"))
    monkeypatch.setattr(gate_checks, "_predict", lambda: (fresh, {"threshold": 0.5, "temperature": 1.0}))
    return tmp_path


LOWERED: list[tuple[str, dict[str, Any], str]] = [
    ("floors", {"floors": {}}, "accuracy 0.7500 is below 0.8, worst_recall 0.4000 is below 0.5"),
    ("floors", {"ceilings": {"largest_recall_gap": 0.9}}, "largest_recall_gap 0.2000 is above 0.1"),
    ("baseline", {"baseline": "waived"}, "Worse than its baseline: 0.75 against 0.95 on 200 test images"),
    ("base", {"margins": {"accuracy": 0.9}}, "worse by more than 0.02"),
    ("model", {"tolerance": 0.5}, "200 of 200 images have a different P(Male)"),
]


@pytest.mark.parametrize(("check", "lowered", "found"), LOWERED)
def test_lowered_limits_are_shown_and_those_of_the_base_apply(
    check: str, lowered: dict[str, Any], found: str, project: Path
) -> None:
    write_gate(project, GATE | lowered)

    limits, finding = run_checks([check], "HEAD", False)

    assert (limits.check, limits.verdict) == ("limits", "pass")
    assert limits.found.startswith(f"gate.{next(iter(lowered))}")
    assert limits.found.endswith("; those of HEAD apply")
    assert finding[:2] == (check, "fail")
    assert found in finding.found


@pytest.mark.parametrize(("check", "lowered", "found"), LOWERED)
def test_without_valid_limits_at_the_base_those_of_this_folder_apply(
    check: str, lowered: dict[str, Any], found: str, project: Path
) -> None:
    write_gate(project, {"floors": {}})
    commit(project)
    write_gate(project, GATE | lowered)

    limits, finding = run_checks([check], "HEAD", False)

    assert limits.found == "params.yaml of HEAD has no valid gate, so the limits of this folder apply"
    assert finding.check == check
    assert finding.verdict != "fail" or found not in finding.found


def test_without_a_base_the_limits_of_this_folder_apply(project: Path) -> None:
    write_gate(project, GATE | {"floors": {"accuracy": 0.7}, "ceilings": {}, "tolerance": 0.5})

    findings = run_checks(["floors", "base", "model"], None, False)

    assert [(finding.check, finding.verdict) for finding in findings] == [
        ("floors", "pass"),
        ("base", "skipped"),
        ("model", "pass"),
    ]


@pytest.mark.parametrize("group", ["floors", "ceilings", "margins"])
def test_a_new_limit_on_an_unknown_metric_fails(group: str, project: Path) -> None:
    write_gate(project, GATE | {group: GATE[group] | {"acuracy": 0.5}})

    limits, *_ = run_checks(["floors"], "HEAD", False)

    assert limits.verdict == "fail"
    assert limits.found.startswith(f"gate.{group}.acuracy: no such metric in metrics/evaluate.json")
    assert "(did you mean accuracy?)" in limits.found
    assert f"gate.{group}.acuracy: none at HEAD, 0.5 here" in limits.found


def test_checks_that_read_no_limits_come_without_them(project: Path) -> None:
    assert [finding.check for finding in run_checks(["remote"], "HEAD", True)] == ["remote"]


@pytest.mark.parametrize(
    ("check", "path", "stage"),
    [
        ("model", "models/gender.onnx", "calibrate"),
        ("model", "data/predictions.csv", "evaluate"),
        ("base", "data/predictions.csv", "evaluate"),
        ("baseline", "data/baseline.csv", "baseline"),
    ],
)
def test_a_file_that_was_replaced_in_the_remote_fails(
    check: str, path: str, stage: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = dict.fromkeys(gate_checks.JUDGED, "same") | {path: "another"}
    monkeypatch.setattr(lock, "read_lock", lambda: recorded)

    _, finding = run_checks([check], "HEAD", False)

    assert finding[:2] == (check, "fail")
    assert finding.found == f"{path}: its MD5 sum is same, but dvc.lock has another, so it is a different file"
    assert finding.remedy.endswith(f"run: dvc repro --force {stage}")


def test_base_alone_needs_a_revision(project: Path) -> None:
    (finding,) = run_checks(["base"], None, False)
    assert finding == ("base", "fail", "--base: no revision to compare with", "use --base REV")


@pytest.mark.parametrize("content", ['{"accuracy": NaN}', '{"accuracy": "high"}', '{"accuracy": null}', "[1]", "{"])
def test_metrics_that_are_not_finite_numbers_are_a_one_line_error(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FacegenderError, match=r"^a\.json: damaged: .*; run: git restore a\.json, or: dvc repro$"):
        _metrics("a.json")
