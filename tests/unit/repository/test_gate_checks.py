import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, write_shards
from facegender.errors import FacegenderError
from facegender.evaluation.metrics import metrics_of
from facegender.processor import this_processor
from facegender.repository import gate_checks, revisions, status
from facegender.repository.gate_checks import _metrics, add_to_job_summary, run_checks
from tests.onnx_model import save_mean_network
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


def write_lock(folder: Path, sums: Mapping[str, str]) -> None:
    outs = [{"path": path, "md5": md5} for path, md5 in sums.items()]
    content = {"stages": {"evaluate": {"deps": [{"path": "raw.zip", "md5": "1"}], "outs": outs}}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(content), encoding="utf-8")


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
    write_lock(tmp_path, dict.fromkeys(gate_checks.JUDGED, "same"))
    subprocess.run(["git", "init", "--quiet"], check=True)
    commit(tmp_path)
    fresh = BAD.assign(probability=BAD["probability"] + 0.02)
    monkeypatch.setattr(revisions, "predictions_of", {"HEAD": GOOD}.get)
    monkeypatch.setattr(gate_checks, "read_predictions", {revisions.PREDICTIONS: BAD, revisions.BASELINE: GOOD}.get)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gender.onnx").touch()
    monkeypatch.setattr(gate_checks, "md5_of", lambda _: "same")
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


def test_findings_have_one_order_with_the_limits_before_the_checks_that_read_them(project: Path) -> None:
    findings = run_checks(["remote", "floors", "outs"], "HEAD", True)
    assert [finding.check for finding in findings] == ["outs", "limits", "floors", "remote"]


@pytest.mark.parametrize(
    ("check", "path", "stage"),
    [
        ("model", "models/gender.onnx", "calibrate"),
        ("model", "data/predictions.csv", "evaluate"),
        ("base", "data/predictions.csv", "evaluate"),
        ("baseline", "data/baseline.csv", "baseline"),
    ],
)
def test_a_file_that_was_replaced_in_the_remote_fails(check: str, path: str, stage: str, project: Path) -> None:
    write_lock(project, dict.fromkeys(gate_checks.JUDGED, "same") | {path: "another"})

    _, finding = run_checks([check], "HEAD", False)

    assert finding[:2] == (check, "fail")
    assert finding.found == f"{path}: its MD5 sum is same, but dvc.lock has another, so it is a different file"
    assert finding.remedy.endswith(f"run: dvc repro --single-item --force {stage}")


def test_limits_of_a_base_that_does_not_exist_are_a_finding_of_their_own(project: Path) -> None:
    finding = run_checks(["floors"], "nowhere", True)[0]
    assert finding[:3] == ("limits", "fail", "nowhere: unknown Git revision")


def test_base_alone_needs_a_revision(project: Path) -> None:
    (finding,) = run_checks(["base"], None, False)
    assert finding == ("base", "fail", "--base: no revision to compare with", "use --base REV")


def test_a_base_without_a_model_is_skipped(project: Path) -> None:
    write_lock(project, {"data/baseline.csv": "same"})
    commit(project)
    write_lock(project, dict.fromkeys(gate_checks.JUDGED, "same"))

    _, finding = run_checks(["base"], "HEAD", False)

    assert finding == (
        "base",
        "skipped",
        "the dvc.lock of HEAD has no data/predictions.csv: there is no model to compare with yet",
        "",
    )


def test_floors_on_an_unknown_metric_name_both_files(project: Path) -> None:
    write_gate(project, GATE | {"floors": {"unheard": 0.5}, "ceilings": {}})
    (finding,) = run_checks(["floors"], None, False)
    assert finding[1:3] == (
        "fail",
        "gate.floors.unheard: no such metric in metrics/evaluate.json or metrics/slices.json",
    )


def test_a_missing_model_is_pulled(project: Path) -> None:
    (project / "models" / "gender.onnx").unlink()
    (finding,) = run_checks(["model"], None, False)
    assert finding == ("model", "fail", "models/gender.onnx: no such file", "run: dvc pull models/gender.onnx")


@pytest.mark.parametrize(
    ("stale", "missing", "found"),
    [
        ({}, [], "dvc.lock matches code, parameters and data, and metrics and plots are those of dvc.lock"),
        (
            {"train": ["models/gender.onnx"]},
            ["metrics/slices.json"],
            f"computed on another kind of processor ({this_processor()}) than the model of dvc.lock (another kind), "
            "from the same code, parameters and raw data: models/gender.onnx; dvc.lock has files that are missing "
            "here: metrics/slices.json",
        ),
        # No processor changes what a stage reads.
        ({"train": ["raw.zip"]}, [], "dvc.lock is stale at train (raw.zip)"),
    ],
)
def test_what_dvc_finds_is_compared_with_the_record_of_the_processor(
    stale: dict[str, list[str]], missing: list[str], found: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "stale_stages", lambda: stale)
    monkeypatch.setattr(status, "missing_files", lambda: missing)
    (project / "metrics" / "processor.json").write_text('{"processor": "another kind"}')

    (finding,) = run_checks(["lock"], None, False)

    assert finding[:3] == ("lock", "fail" if stale else "pass", found)


def test_what_is_not_in_the_remote_fails_unless_no_remote_is_wanted(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "not_in_remote", lambda: ["data/mistakes/"])
    (finding,) = run_checks(["remote"], None, False)
    assert finding == ("remote", "fail", "not in the remote: data/mistakes/", "run: dvc push")
    (finding,) = run_checks(["remote"], None, True)
    assert finding == (
        "remote",
        "skipped",
        "--no-remote was given: others may not be able to get this revision's data",
        "",
    )


def grey(image_id: str, label: int, value: int) -> Record:
    return Record(image_id, label, encode_jpeg(np.full((8, 8, 3), value, np.uint8)))


# P(Male) of a grey image is its value divided by 255.
IMAGES = [grey("c.jpg", 1, 204), grey("a.jpg", 0, 51), grey("d.jpg", 1, 51), grey("b.jpg", 0, 102)]
PREDICTIONS = """image_id,label,probability,predicted
a.jpg,0,0.2,0
b.jpg,0,0.4,1
c.jpg,1,0.8,1
d.jpg,1,0.2,0
"""
FOUND = "accuracy 0.5 here, 0.5 committed; P(Male) differs by at most 0.0000"


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the check `model` reads; the model's threshold is 0.3, and 2 of 4 images are right."""
    monkeypatch.chdir(tmp_path)
    for folder in ("models", "metrics", "data/preprocessed/test", "data/synthetic"):
        (tmp_path / folder).mkdir(parents=True)
    save_mean_network(tmp_path / "models/gender.onnx", 8, 8, 0.3)
    write_shards(tmp_path / "data/preprocessed/test", IMAGES)
    (tmp_path / "data/predictions.csv").write_text(PREDICTIONS)
    (tmp_path / "data/synthetic/list_attr_celeba.csv").write_text(
        "image_id,Male,Smiling\na.jpg,0,1\nb.jpg,0,1\nc.jpg,1,1\nd.jpg,1,1\n"
    )
    predictions = gate_checks.read_predictions("data/predictions.csv")
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(metrics_of(predictions)))
    # Each class has a slice, of those who smile: it is too small to be judged.
    (tmp_path / "metrics/slices.json").write_text('{"judged": 0, "too_small": 2, "stand_out": 0}')
    write_gate(tmp_path, GATE)
    write_sums(tmp_path)
    return tmp_path


def write_sums(folder: Path) -> None:
    """Record the files as they are in dvc.lock."""
    paths = ("models/gender.onnx", "data/predictions.csv")
    write_lock(folder, {path: hashlib.md5((folder / path).read_bytes()).hexdigest() for path in paths})


def test_the_model_predicts_the_test_images_again(trained: Path) -> None:
    (finding,) = run_checks(["model"], None, False)
    assert finding == ("model", "pass", FOUND, "")


def test_predictions_of_another_model_fail(trained: Path) -> None:
    (trained / "data/predictions.csv").write_text(PREDICTIONS.replace("c.jpg,1,0.8", "c.jpg,1,0.9"))
    write_sums(trained)
    (finding,) = run_checks(["model"], None, False)
    assert finding.verdict == "fail"
    assert finding.found.startswith(
        "1 of 4 images have a different P(Male) here and in data/predictions.csv (c.jpg: 0.8000, not 0.9000); "
    )


def test_the_slices_are_computed_again_if_the_attributes_are_here(trained: Path) -> None:
    (trained / "metrics/slices.json").write_text('{"judged": 0, "too_small": 1, "stand_out": 0}')
    (finding,) = run_checks(["model"], None, False)
    assert finding[1:3] == (
        "fail",
        f"metrics/slices.json does not follow from data/predictions.csv: too_small is 2, not 1. {FOUND}",
    )

    (trained / "data/synthetic/list_attr_celeba.csv").unlink()
    (finding,) = run_checks(["model"], None, False)
    assert finding[1:3] == (
        "pass",
        f"{FOUND}; metrics/slices.json was not computed again, as the attributes are not here",
    )


def test_test_images_that_are_missing_or_bad_are_one_line(trained: Path) -> None:
    folder = trained / "data/preprocessed/test"
    write_shards(folder, [*IMAGES, Record("e.jpg", 1, b"")])
    (finding,) = run_checks(["model"], None, False)
    assert finding[1:3] == ("fail", "e.jpg: the file is empty")

    write_shards(folder, [*IMAGES, IMAGES[0]._replace(label=0)])
    (finding,) = run_checks(["model"], None, False)
    assert finding[1:] == ("fail", "data/preprocessed/test: c.jpg: appears twice", "run: dvc repro")

    (folder / "00000.zip").unlink()
    (finding,) = run_checks(["model"], None, False)
    assert finding == (
        "model",
        "fail",
        "data/preprocessed/test: contains no images",
        "run: dvc pull data/preprocessed/test",
    )


def test_pages_are_added_to_the_summary_of_a_github_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    add_to_job_summary("# nowhere")

    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    for page in ("# première\n", "# second\n"):
        add_to_job_summary(page)
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == "# première\n\n# second\n\n"


@pytest.mark.parametrize("content", ['{"accuracy": NaN}', '{"accuracy": "high"}', '{"accuracy": null}', "[1]", "{"])
def test_metrics_that_are_not_finite_numbers_are_a_one_line_error(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FacegenderError, match=r"^a\.json: damaged: .*; run: git restore a\.json, or: dvc repro$"):
        _metrics("a.json")
