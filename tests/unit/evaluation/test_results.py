import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.results import read_metrics, read_results
from tests.predictions import GOOD

NAMES = ("accuracy", "log_loss")


def write(**changes: Any) -> None:
    """Write results to the working directory, with changes in the JSON file."""
    Path("a.json").write_text(json.dumps({"accuracy": 0.5, "log_loss": 0.7, "images": 60} | changes), encoding="utf-8")
    Path("a.csv").write_text("metric,value,low,high\naccuracy,0.5,0.25,0.75\nlog_loss,0.7,0.5,0.9\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write()
    return tmp_path


def test_metrics_are_read_with_their_intervals() -> None:
    metrics, table = read_results("a", NAMES)

    assert metrics == {"accuracy": 0.5, "log_loss": 0.7, "images": 60}
    assert table.loc["accuracy"].to_dict() == {"value": 0.5, "low": 0.25, "high": 0.75}


def test_the_table_of_the_stage_evaluate_is_read_as_it_was() -> None:
    written = metrics_with_interval(GOOD, 100, 0)
    written.reset_index().to_csv("a.csv", index=False)

    pd.testing.assert_frame_equal(read_results("a", NAMES)[1], written)


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_missing_file_is_one_line(name: str) -> None:
    Path(name).unlink()

    line = rf"^{name}: No such file or directory; run: git restore {name}, or: dvc repro$"
    with pytest.raises(FacegenderError, match=line):
        read_results("a", NAMES)


@pytest.mark.parametrize("images", ["many", None, 2.5, [3]])
def test_the_number_of_images_must_be_one(images: Any) -> None:
    write(images=images)

    with pytest.raises(FacegenderError, match=r"^a\.json: damaged: images is not a number; run: git restore "):
        read_results("a", NAMES)


def test_a_file_without_the_number_of_images_or_a_metric_is_one_line() -> None:
    for name in ("images", "log_loss"):
        metrics = {"accuracy": 0.5, "log_loss": 0.7, "images": 60}
        del metrics[name]
        Path("a.json").write_text(json.dumps(metrics), encoding="utf-8")

        with pytest.raises(FacegenderError, match=rf"^a\.json: damaged: it lacks {name}; run: git restore "):
            read_results("a", NAMES)


def test_the_numbers_of_the_table_are_floats_even_if_they_are_whole() -> None:
    Path("a.csv").write_text("metric,value,low,high\naccuracy,1,0,1\nlog_loss,0,0,1\n", encoding="utf-8")

    assert set(read_results("a", NAMES)[1].dtypes.astype(str)) == {"float64"}


def test_a_metric_that_is_missing_is_named() -> None:
    with pytest.raises(FacegenderError, match=r"^a\.json: damaged: it lacks f1; "):
        read_metrics("a.json", ["accuracy", "f1"])


@pytest.mark.parametrize(
    "table",
    [
        "",
        "metric,value\naccuracy,0.5\nlog_loss,0.7\n",
        "name,value,low,high\naccuracy,0.5,0.25,0.75\nlog_loss,0.7,0.5,0.9\n",
        "metric,value,low,high\naccuracy,0.5,0.25,0.75\n",
        "metric,value,low,high\naccuracy,0.5,0.25,0.75\nlog_loss,0.7,low,0.9\n",
    ],
)
def test_a_damaged_table_is_one_line(table: str) -> None:
    Path("a.csv").write_text(table, encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"^a\.csv: damaged: not metrics with the ends of their intervals; run: "):
        read_results("a", NAMES)
