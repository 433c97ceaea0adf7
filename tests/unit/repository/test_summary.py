from pathlib import Path

import pandas as pd
import pytest
import yaml

from facegender.data.tables import write_csv
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.comparison import against_baseline, compare_predictions
from facegender.evaluation.metrics import metrics_of
from facegender.files import md5_of
from facegender.repository.revisions import BASELINE, PREDICTIONS
from facegender.repository.summary import (
    comparison_with_baseline,
    summary_text,
    unpaired_judgement,
)
from tests.predictions import BAD, GOOD, predictions

METRICS = pd.DataFrame(
    [("balanced_accuracy", 0.66, 0.6, 0.7), ("accuracy", 0.6625, 0.5936, 0.7375), ("log_loss", 0.6, 0.5, 0.7)]
    + [("roc_auc", 0.7, 0.65, 0.75), ("expected_calibration_error", 0.09, 0.0, 0.1)],
    columns=["metric", "value", "low", "high"],
).set_index("metric")
OF_BASELINE = {"accuracy": 0.85625, "balanced_accuracy": 0.65, "log_loss": 0.8, "roc_auc": 0.5}
OF_BASELINE |= {"expected_calibration_error": 0.05}


def test_accuracy_comes_first_and_each_metric_is_compared_with_the_baseline() -> None:
    lines = summary_text("test", 1160, METRICS, OF_BASELINE).splitlines()

    assert lines[0] == "1,160 test images"
    assert [line.split()[0] for line in lines[3:8]] == [
        *("accuracy", "roc_auc", "log_loss", "expected_calibration_error", "balanced_accuracy")
    ]
    assert lines[3].split() == ["accuracy", "0.6625", "0.5936", "to", "0.7375", "0.8562", "worse"]
    assert lines[5].split() == ["log_loss", "0.6000", "0.5000", "to", "0.7000", "0.8000", "better"]
    assert lines[7].endswith("0.6500  not significantly different")
    assert lines[3].index("0.8562") == lines[2].index("baseline")
    assert max(map(len, lines)) <= 120


def test_without_the_predictions_it_says_so() -> None:
    last = summary_text("test", 1160, METRICS, OF_BASELINE).splitlines()[-1]

    assert last == (
        "Not compared image by image: data/predictions.csv or data/baseline.csv is not that of dvc.lock; run: dvc repro"
    )


def test_with_the_predictions_each_metric_is_judged_image_by_image() -> None:
    # The new model gets 8 of the 50 mistakes right: unpaired, 0.79 against 0.75 on 200 images is not significant.
    new = predictions([True] * 158 + [False] * 42)
    comparison = compare_predictions(BAD, new)
    metrics = metrics_with_interval(new, 100, 0)

    unpaired, paired = (summary_text("test", 200, metrics, metrics_of(BAD), among) for among in (None, comparison))

    assert unpaired.splitlines()[3].endswith("0.7500  not significantly different")
    assert paired.splitlines()[3].endswith("0.7500  better")
    assert paired.splitlines()[-1] == against_baseline(comparison).sentence
    assert paired.splitlines()[-1].startswith("Better than its baseline: 0.79 against 0.75 on 200 test images (")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with both tables of predictions, and a dvc.lock that records them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for path, table in ((PREDICTIONS, GOOD), (BASELINE, BAD)):
        write_csv(path, table)
    outs = [{"path": path, "md5": md5_of(path)} for path in (PREDICTIONS, BASELINE)]
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {"evaluate": {"outs": outs}}}))
    return tmp_path


def test_the_model_is_compared_with_its_baseline(project: Path) -> None:
    comparison = comparison_with_baseline()

    assert comparison
    assert (comparison["metrics"]["accuracy"]["old"], comparison["metrics"]["accuracy"]["new"]) == (0.75, 0.95)


@pytest.mark.parametrize("path", [PREDICTIONS, BASELINE])
@pytest.mark.parametrize("missing", [True, False])
def test_predictions_other_than_those_of_the_lock_file_are_not_compared(
    project: Path, path: str, missing: bool
) -> None:
    if missing:
        (project / path).unlink()
    else:
        write_csv(project / path, GOOD[:100])

    assert comparison_with_baseline() is None


def test_a_further_test_set_has_no_baseline() -> None:
    text = summary_text("congress", 873, METRICS, None)

    assert text.startswith("873 congress images\n")
    assert "baseline" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("metric", "baseline", "word"),
    [
        ("accuracy", 0.79, "better"),
        ("accuracy", 0.8, "not significantly different"),
        ("accuracy", 0.9, "not significantly different"),
        ("accuracy", 0.91, "worse"),
        ("brier_score", 0.79, "worse"),
        ("brier_score", 0.91, "better"),
    ],
)
def test_only_a_baseline_outside_the_interval_is_better_or_worse(metric: str, baseline: float, word: str) -> None:
    assert unpaired_judgement(metric, 0.8, 0.9, baseline) == word
