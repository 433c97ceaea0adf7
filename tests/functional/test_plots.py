"""What `dvc plots` shows, of tables that the library makes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from facegender.data.tables import write_csv
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.curves import confusion_table, curve_tables, histogram_table, reliability_table
from facegender.reporting.pictures import bar_chart
from tests.functional.project import commit_all, make_project, run
from tests.paths import ROOT

pytestmark = pytest.mark.slow

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PLOTS = {
    path: props
    for name, stage in STAGES.items()
    if "foreach" not in stage
    for plot in stage.get("plots", [])
    for path, props in plot.items()
}
TEST_SETS = STAGES["evaluate_dataset"]["do"]["plots"][0]


def write_plots(folder: Path, shift: float) -> None:
    """Write every plot that dvc.yaml declares."""
    labels = np.arange(40) % 2
    scores = np.clip(0.3 + 0.4 * labels + np.linspace(-0.3, 0.3, 40) + shift * (2 * labels - 1), 0, 1)
    predicted = (scores >= 0.5).astype(int)
    predictions = pd.DataFrame({"label": labels, "probability": scores, "predicted": predicted})
    roc, precision_recall = curve_tables(labels, scores)
    curve = {"epoch": [1, 1, 2, 2], "images": ["training", "validation"] * 2}
    tables = {
        "metrics/evaluate.csv": metrics_with_interval(predictions, 100, 0).reset_index(),
        "metrics/plots/confusion.csv": confusion_table(labels, predicted),
        "metrics/plots/roc.csv": roc,
        "metrics/plots/precision_recall.csv": precision_recall,
        "metrics/plots/reliability.csv": reliability_table(labels, scores),
        "metrics/plots/histogram.csv": histogram_table(labels, scores),
        **{
            f"metrics/plots/train/{key}.csv": pd.DataFrame({**curve, key: [0.5, 0.4, 0.3, 0.2 - shift]})
            for key in ("loss", "accuracy", "learning_rate")
        },
    }
    for path in PLOTS:
        if path.endswith(".png"):
            bar_chart(folder / path, ["a"], [1 + shift], "title", "images")
        else:
            write_csv(folder / path, tables[path])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose plots differ from those of its commit."""
    folder = make_project(tmp_path_factory.mktemp("plots") / "project", {})
    write_plots(folder, shift=0)
    commit_all(folder, "one")
    write_plots(folder, shift=0.1)
    return folder


@pytest.fixture(scope="module")
def shown(project: Path) -> dict[str, Any]:
    """Return what `dvc plots diff` shows, by path."""
    content = json.loads(run(project, "dvc", "plots", "diff", "HEAD", "--json", "--out", "page"))
    assert content.keys() == {"data"}, content.get("errors")
    data: dict[str, Any] = content["data"]
    return data


def values(content: Any, key: str) -> Iterator[Any]:
    """Yield what nested dicts have under a key."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(content, list):
        for value in content:
            yield from values(value, key)


def test_each_plot_is_shown_once_for_both_revisions(shown: dict[str, Any]) -> None:
    assert set(shown) == set(PLOTS)
    for path, entries in shown.items():
        revisions = [revision for entry in entries for revision in entry["revisions"]]
        assert sorted(revisions) == ["HEAD", "workspace"], path


def test_each_table_has_a_title_of_its_own_and_draws_only_columns_that_it_has(shown: dict[str, Any]) -> None:
    titles = []
    for path, entries in shown.items():
        if path.endswith(".png"):
            continue
        [entry] = entries
        specification = entry["content"]
        titles.append(specification["title"]["text"])
        assert "<DVC_METRIC" not in json.dumps(specification), path
        rows = specification["data"]["values"]
        assert {row["rev"] for row in rows} == {"HEAD", "workspace"}
        without_rows = {key: value for key, value in specification.items() if key != "data"}
        made = set(values(without_rows, "as"))
        drawn = {field for field in values(without_rows, "field") if isinstance(field, str)}
        drawn |= set(re.findall(r"datum\.(\w+)", json.dumps(without_rows)))
        # The diagonal has data of its own.
        own = {name for data in values(without_rows, "data") for row in data["values"] for name in row}
        assert drawn <= set(rows[0]) | made | own, path
    assert len(set(titles)) == len(titles)
    assert not any("/" in title for title in titles)


def test_curves_that_have_a_diagonal_show_it_and_the_histogram_has_bars(shown: dict[str, Any]) -> None:
    for name in ("roc", "reliability"):
        [entry] = shown[f"metrics/plots/{name}.csv"]
        assert [{"x": 0, "y": 0}, {"x": 1, "y": 1}] in list(values(entry["content"], "values"))
    [entry] = shown["metrics/plots/histogram.csv"]
    assert entry["content"]["spec"]["mark"]["type"] == "bar"


def test_epochs_count_from_1(shown: dict[str, Any]) -> None:
    for key in ("loss", "accuracy", "learning_rate"):
        [entry] = shown[f"metrics/plots/train/{key}.csv"]
        assert {row["epoch"] for row in entry["content"]["data"]["values"]} == {"1", "2"}


def test_further_test_sets_are_drawn_as_the_test_set_is() -> None:
    [of_further] = TEST_SETS.values()

    assert of_further | {"title": ""} == PLOTS["metrics/evaluate.csv"] | {"title": ""}
