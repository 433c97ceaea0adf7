import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.comparison import compare_predictions, difference_in_accuracy
from facegender.repository.gate import Finding
from scripts import write_page
from scripts.write_page import (
    METRICS,
    SLICES,
    changes_part,
    confusion_text,
    data_changes,
    folded_part,
    gate_part,
    job_line,
    joined,
    model_parts,
    not_compared,
    or_error,
    parameter_changes,
    read_findings,
    read_tables,
    roc_chart,
    slices_part,
)
from tests.predictions import BAD, GOOD, predictions

TABLES = {"base": BAD, "this": GOOD}
GITHUB = {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "owner/name", "GITHUB_RUN_ID": "12"}
GITLAB = {
    "CI_PROJECT_URL": "https://forge.example/group/name",
    "CI_JOB_URL": "https://forge.example/group/name/-/jobs/3",
}


def test_the_verdict_comes_first_and_then_six_metrics() -> None:
    summary, everything = model_parts(TABLES, "main", "abc")

    lines = summary.splitlines()
    assert lines[0] == f"### {difference_in_accuracy(compare_predictions(BAD, GOOD))}"
    assert lines[0].startswith("### The new model is more accurate: ")
    assert lines[2] == "| Metric | base | this | Difference (95% interval) | Judgement |"
    assert [line.split()[1] for line in lines[4:10]] == [
        *("accuracy", "roc_auc", "recall", "recall_no_male", "log_loss", "expected_calibration_error")
    ]
    assert lines[4].startswith("| accuracy | 0.750 | 0.950 | +0.200 (+0.1")
    assert lines[10:] == [
        "",
        "Base main and this abc, on the same 200 test images. McNemar's exact test: p < 0.001 (0 against 40 "
        "discordant). Of the 200 images, base alone gets 0 right, this alone 40.",
    ]
    assert everything.count("\n| ") == 14
    assert "| f1_no_male |" in everything


def test_a_larger_test_set_is_compared_on_the_images_that_both_have() -> None:
    larger = pd.concat([GOOD, predictions([False] * 200, first=200)], ignore_index=True)

    summary, _ = model_parts({"base": GOOD, "this": larger}, "main", "abc")

    assert summary.startswith("### Both models make the same predictions for all 200 images.")
    assert "on the 200 images that are among the 200 test images of the base and 400 of this." in summary


def test_without_enough_common_images_or_a_model_at_the_base_it_says_so() -> None:
    other = predictions([True] * 200, first=200)
    assert model_parts({"base": GOOD, "this": other}, "main", "abc") == (
        "### The models are not compared\n\nToo few of the 200 test images of the base and 200 of this are the same.",
        "",
    )
    assert model_parts({"this": GOOD}, "main", "abc") == ("### The first model: main has none to compare with", "")


def write_metrics() -> None:
    """Write what the stage evaluate writes for GOOD, with intervals of three widths."""
    Path("metrics").mkdir()
    Path("metrics/evaluate.json").write_text(
        json.dumps(dict.fromkeys(METRICS, 0.5) | {"images": 200}), encoding="utf-8"
    )
    rows = [
        "metric,value,low,high",
        "accuracy,0.95,0.92,0.98",
        "precision,0.95,0.9,1.0",
        "recall,0.95,0.91,0.98",
        "recall_no_male,0.95,0.91,0.98",
        "roc_auc,0.9512,0.9451,0.9571",
        "log_loss,0.25,0.2,0.4",
        "expected_calibration_error,0.15,0.1,0.2",
    ]
    Path("metrics/evaluate.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def fake_dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Answer as DVC does where it cannot find the base."""
    if arguments[1] == "show":
        content = {"metrics/a.json": {"data": {"images": {"width": 89, "kind": "drawn"}, "best": 0.5}}}
        return subprocess.CompletedProcess([], 0, json.dumps({"": {"data": content}}), "")
    done = ["python", "-m", "dvc", *arguments]
    return subprocess.CompletedProcess(done, 255, "", "ERROR: unknown Git revision 'main'\n")


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("main", "main: unknown Git revision; look it up with git log or git tag, or run: git fetch --tags"),
        ("HEAD", "HEAD: its data/predictions.csv is neither in DVC's cache here nor in a remote (gone); "),
    ],
)
def test_without_the_base_the_page_still_shows_this_revision(
    base: str, reason: str, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("gone")

    commit({"dvc.lock": lock_file({"data/predictions.csv": "1"}, {}), "gate.json": "[]"})
    write_metrics()
    monkeypatch.setattr(write_page, "current_predictions", lambda *_: GOOD)
    monkeypatch.setattr(write_page, "dvc", fake_dvc)
    monkeypatch.setattr("dvc.api.read", fail)
    for name in ("HEAD_SHA", "CI_COMMIT_SHA", "GITHUB_RUN_ID", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)

    write_page.main(base, Path("gate.json"))

    page = capsys.readouterr().out
    lines = page.splitlines()
    assert lines[:2] == ["### The models are not compared", ""]
    assert lines[2].startswith(reason)
    assert lines[3:13] == [
        "",
        "| Metric | this | 95% interval |",
        "| --- | ---: | ---: |",
        "| accuracy | 0.95 | 0.92 to 0.98 |",
        "| roc_auc | 0.951 | 0.945 to 0.957 |",
        "| recall | 0.95 | 0.91 to 0.98 |",
        "| recall_no_male | 0.95 | 0.91 to 0.98 |",
        "| log_loss | 0.25 | 0.20 to 0.40 |",
        "| expected_calibration_error | 0.15 | 0.10 to 0.20 |",
        "",
    ]
    assert "its baseline: 0.95" in page
    assert "| label No male | 95 | 5 |" in page
    assert 'title "ROC"' in page
    _, all_metrics, _, pipeline = page.split("<details>")
    assert "| precision | 0.95 | 0.90 to 1.00 |" in all_metrics
    assert "**Not compared:** dvc metrics diff --md " in pipeline
    assert "| metrics/a.json | images.width | 89 |" in pipeline
    assert "| metrics/a.json | images.kind | drawn |" in pipeline
    assert "| metrics/a.json | best | 0.5 |" in pipeline


def test_without_any_predictions_both_reasons_are_given(repository: Path) -> None:
    commit({"a": "b"})

    tables, errors = read_tables("nowhere")

    assert tables == {}
    assert [error.partition(":")[0] for error in errors] == ["nowhere", str(repository)]
    assert not_compared(errors) == f"### The models are not compared\n\n{errors[0]}\n\n{errors[1]}"


def test_failures_and_changed_limits_are_listed_with_what_to_do() -> None:
    findings = [
        Finding("lock", "pass", "fresh"),
        Finding("limits", "pass", "gate.baseline: required at main, waived here; those of main apply", "take two"),
        Finding("floors", "fail", "accuracy 0.5 is below 0.6", "improve\nit"),
        Finding("baseline", "waived", "Worse than its baseline."),
        Finding("base", "skipped", "nothing to compare with"),
        Finding("remote", "fail", "Not there.", "push"),
    ]

    assert gate_part(findings).splitlines() == [
        "### The gate fails at floors, remote",
        "",
        "- **limits**: gate.baseline: required at main, waived here; those of main apply. **What to do:** take two.",
        "- **floors**: accuracy 0.5 is below 0.6. **What to do:** improve it.",
        "- **remote**: Not there. **What to do:** push.",
        "",
        "Pass: lock, limits; fail: floors, remote; waived: baseline; skipped: base.",
    ]
    assert gate_part(findings[:1]) == "### The gate passes\n\nPass: lock."


def test_findings_are_read_as_the_gate_prints_them(tmp_path: Path) -> None:
    found = [Finding("lock", "pass", "a"), Finding("base", "fail", "b", "c")]
    (tmp_path / "gate.json").write_text(json.dumps([finding._asdict() for finding in found]), encoding="utf-8")
    assert read_findings(tmp_path / "gate.json") == found


def test_a_gate_that_printed_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "gate.json").touch()
    assert gate_part(read_findings(tmp_path / "gate.json")).startswith("### The gate fails at gate\n")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", b'[{"name": "lock"}]', b"3"])
def test_findings_of_another_form_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_bytes(content)
    with pytest.raises(FacegenderError) as raised:
        read_findings(path)
    assert str(raised.value) == f"{path}: not what facegender gate --json prints; write it again"


def test_parameters_that_differ_are_shown_as_in_params_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "train.schedule": {"old": "cosine", "new": "constant", "diff": None},
        "train.dropout": {"old": None, "new": 0.5, "diff": None},
        "calibrate.mirror": {"old": True, "new": None, "diff": None},
    }
    printed = json.dumps({"params.yaml": found})
    monkeypatch.setattr(write_page, "dvc", lambda *_: subprocess.CompletedProcess([], 0, printed, ""))

    assert parameter_changes("main") == [
        ("train.schedule", "cosine", "constant"),
        ("train.dropout", "none", "0.5"),
        ("calibrate.mirror", "true", "none"),
    ]
    assert changes_part(parameter_changes("main")).splitlines() == [
        "### What changed",
        "",
        "| | base | this |",
        "| --- | --- | --- |",
        "| train.schedule | cosine | constant |",
        "| train.dropout | none | 0.5 |",
        "| calibrate.mirror | true | none |",
    ]
    assert changes_part([]) == "### No parameter and no data changed"


def lock_file(outs: dict[str, str], dependencies: dict[str, str]) -> str:
    stage = {
        kind: [{"path": path, "md5": md5} for path, md5 in files.items()]
        for kind, files in (("outs", outs), ("deps", dependencies))
    }
    return json.dumps({"stages": {"a": stage}})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return tmp_path


def commit(files: dict[str, str]) -> str:
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")
    subprocess.run(["git", "add", "--all"], check=True)
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *user, "commit", "--quiet", "--allow-empty", "-m", "commit"], check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_splits_and_raw_files_that_differ_are_shown(repository: Path) -> None:
    preprocessed = {f"data/preprocessed/{name}": name for name in ("train", "train_copies", "val", "test")}
    dependencies = {"data/celeba/list.csv": "1234567890", "data/celeba/same.csv": "5", "src/a.py": "6", **preprocessed}
    counts = {f"metrics/preprocess/{name}.json": '{"images": 1600}' for name in ("train", "val", "test")}
    commit({"dvc.lock": lock_file(preprocessed, dependencies), **counts})
    assert data_changes("HEAD") == []

    changed = preprocessed | dict.fromkeys([f"data/preprocessed/{name}" for name in ("train", "train_copies")], "other")
    changed |= {"data/preprocessed/test": "more", "data/preprocessed/congress": "new"}
    given = {"data/celeba/list.csv": "abcdefghij", "data/celeba/same.csv": "5", "src/a.py": "7"}
    Path("dvc.lock").write_text(lock_file(changed, given | changed), encoding="utf-8")
    Path("metrics/preprocess/test.json").write_text('{"images": 2000}')
    Path("metrics/preprocess/congress.json").write_text('{"images": 873}')

    assert data_changes("HEAD") == [
        ("data/celeba/list.csv", "12345678", "abcdefgh"),
        ("images of congress", "none", "873"),
        ("images of test", "1,600", "2,000"),
        ("images of train", "1,600", "1,600, not the same ones"),
    ]


def test_the_confusion_table_counts_both_models() -> None:
    assert confusion_text(TABLES).splitlines() == [
        "| base → this | predicted No male | predicted Male |",
        "| --- | ---: | ---: |",
        "| label No male | 75 → 95 | 25 → 5 |",
        "| label Male | 25 → 5 | 75 → 95 |",
    ]
    assert confusion_text({"this": GOOD}).splitlines()[2] == "| label No male | 95 | 5 |"


def test_the_roc_curves_are_a_chart() -> None:
    chart = roc_chart(TABLES)

    lines = dict(re.findall(r'^  line "(\w+)" \[(.*)\]$', chart, flags=re.MULTILINE))
    assert list(lines) == ["chance", "base", "this"]
    values = {name: [float(value) for value in line.split(", ")] for name, line in lines.items()}
    assert values["chance"] == list(range(101))
    # 75 of 100 Male images, and 25 of 100 others, have the probability 0.8: the curve has one corner, at (25%, 75%).
    assert values["base"][::25] == [0, 75, 83.3, 91.7, 100]
    assert values["this"][5] == 95
    assert chart.startswith("```mermaid\n")
    assert chart.endswith("\n```")
    assert json.loads(chart.splitlines()[1].removeprefix("%%{init: ").removesuffix("}%%"))["xyChart"]

    alone = roc_chart({"this": GOOD})
    assert 'title "ROC"' in alone
    assert '"base"' not in alone


def test_the_picture_of_the_slices_is_shown_by_the_forge(repository: Path) -> None:
    head = commit({SLICES: "picture"})

    assert slices_part({}) == f"![The metrics of each slice](../{SLICES})"
    # On GitHub, the job runs on a merge commit.
    commit({"other": "file"})
    assert slices_part(GITHUB | {"HEAD_SHA": head}) == (
        f"![The metrics of each slice](https://forge.example/owner/name/blob/{head}/{SLICES}?raw=true)"
    )
    assert slices_part(GITLAB | {"CI_COMMIT_SHA": head}) == (
        f"![The metrics of each slice](https://forge.example/group/name/-/raw/{head}/{SLICES})"
    )


@pytest.mark.parametrize("change", ["not in Git", "another picture", "no picture"])
def test_a_picture_that_the_commit_does_not_have_is_not_shown(repository: Path, change: str) -> None:
    commit({} if change == "not in Git" else {SLICES: "picture"})
    Path(SLICES).parent.mkdir(parents=True, exist_ok=True)
    Path(SLICES).write_text("another picture")
    if change == "no picture":
        Path(SLICES).unlink()

    assert slices_part({}) == ""


def test_an_error_takes_the_place_of_a_part() -> None:
    def fail() -> str:
        raise FacegenderError("dvc.lock", "not valid", "run: dvc repro")

    assert or_error("What changed is unknown", fail) == (
        "**What changed is unknown:** dvc.lock: not valid; run: dvc repro"
    )
    assert or_error("What changed is unknown", lambda: "nothing") == "nothing"


@pytest.mark.parametrize(
    ("environment", "address"),
    [(GITHUB, "https://forge.example/owner/name/actions/runs/12"), (GITLAB, GITLAB["CI_JOB_URL"]), ({}, None)],
)
def test_the_job_is_linked(environment: dict[str, str], address: Any) -> None:
    assert job_line(environment) == (f"The plots are in the artifacts of [this job]({address})." if address else "")


def test_parts_are_separate_paragraphs_and_empty_ones_are_left_out() -> None:
    # Markdown inside <details> needs an empty line before it.
    assert joined(["a\n", "", folded_part("Title", "| table |\n"), folded_part("Nothing", "\n")]) == (
        "a\n\n<details>\n<summary>Title</summary>\n\n| table |\n\n</details>"
    )
