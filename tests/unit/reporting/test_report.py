"""The page as readers see it; tests/functional looks at the page that the pipeline makes."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facegender.data.celeba import CLASSES
from facegender.evaluation.curves import curve_tables, histogram_table, reliability_table
from facegender.evaluation.metrics import metrics_of
from facegender.reporting.charts import Line, histogram_chart, line_chart
from facegender.reporting.pictures import bar_chart
from facegender.reporting.report import (
    METRIC_NAMES,
    MetricsWithInterval,
    Picture,
    curve_charts,
    read_metrics,
    render_report,
)

LABELS = np.arange(60) % 2
PROBABILITIES = np.clip(LABELS * 0.6 + np.linspace(0, 0.4, 60), 0, 1)


class Page(HTMLParser):
    """Collects the elements of a page, and fails if an element is closed that was not opened."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words.append(data)


def slices() -> pd.DataFrame:
    row = {"images": 60, "male": 30, "no_male": 30, "judged": 1, "balanced_accuracy": 0.75, "recall": 0.5}
    row |= {"recall_no_male": 1.0, "recall_gap": -0.5, "balanced_accuracy_low": 0.6, "balanced_accuracy_high": 0.9}
    unsure = row | {"judged": 0, "male": 0, "balanced_accuracy": np.nan}
    return pd.DataFrame([{"slice": "Wearing_Hat"} | row, {"slice": "Bald"} | unsure])


def render(folder: Path, **changes: Any) -> str:
    bar_chart(folder / "bars.png", ["a"], [1], "title", "images")
    roc, precision_recall = curve_tables(LABELS, PROBABILITIES)
    tables = {
        "roc": roc,
        "precision_recall": precision_recall,
        "reliability": reliability_table(LABELS, PROBABILITIES),
        "histogram": histogram_table(LABELS, PROBABILITIES),
    }
    log = pd.DataFrame({"loss": [0.5, 0.4], "accuracy": [0.7, 0.8]})
    metrics = dict.fromkeys(METRIC_NAMES, 0.87654) | {"images": 60}
    arguments: dict[str, Any] = {
        "resampled": "identities",
        "params": {"calibrate": {"threshold": "accuracy"}, "dataset": {"images": "data/<b>.zip"}},
        "hashes": {"models/gender.keras": "d41d8cd98f00b204e9800998ecf8427e"},
        "test_sets": [
            MetricsWithInterval("test", metrics, dict.fromkeys(METRIC_NAMES, 0.8), dict.fromkeys(METRIC_NAMES, 0.9))
        ],
        "baseline": dict.fromkeys(METRIC_NAMES, 0.5) | {"images": 60},
        "calibration": {"threshold": 0.4567, "temperature": 1.25},
        "confusion": pd.DataFrame({"label": ["Male", "Male", "No male"], "predicted": ["Male", "No male", "No male"]}),
        "charts": curve_charts({"training": log, "validation": log}, tables, 0.4567),
        "slices": slices(),
        "pictures": [Picture("Worst mistakes", "Faces.", folder / "bars.png")],
        "label_errors": pd.DataFrame({"image_id": ["000007.jpg"], "label": [1], "probability": [0.02]}),
        "exploration": [Picture("Balance", "Bars.", folder / "bars.png")],
        "model_card": "# Model card\n\n**What it is not for.** Deciding about people.\n",
    }
    return render_report(**(arguments | changes))


def test_the_page_refers_to_no_other_file(tmp_path: Path) -> None:
    page = Page(render(tmp_path))

    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "@import" not in "".join(page.words)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", "".join(page.words))


def test_pictures_have_descriptions_for_readers_who_cannot_see_them(tmp_path: Path) -> None:
    page = Page(render(tmp_path))

    images = [attributes["alt"] or "" for tag, attributes in page.elements if tag == "img"]
    assert images == ["Worst mistakes: Faces.", "Balance: Bars."]
    charts = [attributes for tag, attributes in page.elements if tag == "figure" and attributes.get("role") == "img"]
    assert len(charts) == 6
    assert all(len(chart["aria-label"] or "") > 20 for chart in charts)
    assert dict(page.elements)["html"]["lang"] == "en"


def test_the_page_says_what_a_reader_needs_to_decide(tmp_path: Path) -> None:
    text = " ".join(Page(render(tmp_path)).words)

    for words in (
        "0.8765",
        "0.8000 to 0.9000",
        "0.4567",
        "1.25",
        "on other identities of the same kind",
    ):
        assert words in text, words
    for words in ("Wearing_Hat", "too few identities", "000007.jpg", "d41d8cd98f00b204e9800998ecf8427e", "Model card"):
        assert words in text, words
    assert "50.0%" in text  # One of the two Male images is predicted No male.
    assert "nan" not in text


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (0.79, "More accurate than the baseline"),
        (0.85, "Not significantly more accurate than the baseline"),
        (0.91, "Less accurate than the baseline"),
    ],
)
def test_the_page_says_whether_the_model_beats_the_baseline(tmp_path: Path, accuracy: float, words: str) -> None:
    # The interval of the model is 0.8 to 0.9.
    assert words in render(tmp_path, baseline=dict.fromkeys(METRIC_NAMES, accuracy) | {"images": 60})


def test_the_page_says_whether_the_threshold_was_chosen_or_set(tmp_path: Path) -> None:
    assert "Both were chosen on validation" in render(tmp_path)
    assert "the threshold is set in the parameters" in render(tmp_path, params={"calibrate": {"threshold": 0.4567}})


def test_every_id_is_unique(tmp_path: Path) -> None:
    ids = [attributes["id"] for _, attributes in Page(render(tmp_path)).elements if "id" in attributes]

    assert len(ids) == len(set(ids))


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    page = Page(render(tmp_path))

    assert "b" not in {tag for tag, _ in page.elements}
    assert "data/<b>.zip" in page.words


def test_without_label_errors_and_with_another_test_set(tmp_path: Path) -> None:
    test_sets = [
        MetricsWithInterval(
            name,
            dict.fromkeys(METRIC_NAMES, 0.5) | {"images": 9},
            dict.fromkeys(METRIC_NAMES, 0.4),
            dict.fromkeys(METRIC_NAMES, 0.6),
        )
        for name in ("test", "congress")
    ]
    none = pd.DataFrame({"image_id": [], "label": [], "probability": []})
    text = " ".join(Page(render(tmp_path, test_sets=test_sets, label_errors=none)).words)

    assert "congress" in text
    assert "The model does not confidently contradict any label" in text


def test_metrics_are_read_with_their_intervals(tmp_path: Path) -> None:
    (tmp_path / "congress.json").write_text('{"accuracy": 0.5, "images": 60}', encoding="utf-8")
    (tmp_path / "congress.csv").write_text("metric,value,low,high\naccuracy,0.5,0.25,0.75\n", encoding="utf-8")
    assert read_metrics("further", tmp_path / "congress") == MetricsWithInterval(
        "further", {"accuracy": 0.5, "images": 60}, {"accuracy": 0.25}, {"accuracy": 0.75}
    )


@pytest.mark.parametrize("drawing", ["line", "histogram"])
def test_a_chart_is_repeatable_and_has_the_colour_of_the_text(drawing: str) -> None:
    def draw() -> str:
        if drawing == "line":
            return line_chart([Line("one", [1, 2], [3, 4]), Line("two", [1, 2], [4, 3])], "epoch", "loss")
        return histogram_chart(histogram_table(LABELS, PROBABILITIES), 0.5)

    chart = draw()
    assert chart == draw()
    assert "currentColor" in chart
    assert "#010203" not in chart
    assert chart.startswith('<svg viewBox="')
    for word in ("epoch", "loss", "one", "two") if drawing == "line" else ("P(Male)", *CLASSES):
        assert word in chart


def test_the_report_has_every_metric() -> None:
    predictions = pd.DataFrame({"label": [0, 1], "probability": [0.2, 0.8], "predicted": [0, 1]})

    assert metrics_of(predictions).keys() - {"images"} == METRIC_NAMES.keys()
