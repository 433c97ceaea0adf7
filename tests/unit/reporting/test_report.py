"""The page as readers see it; tests/functional looks at the page that the pipeline makes."""

import functools
import json
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
from facegender.evaluation.slices import slice_table
from facegender.evaluation.verdict import Verdict
from facegender.reporting.charts import Line, correlation_chart, histogram_chart, line_chart
from facegender.reporting.gallery import exhibit
from facegender.reporting.report import (
    METRIC_NAMES,
    Exploration,
    Labels,
    MetricsWithInterval,
    describe_model,
    describe_slices,
    read_test_set,
    render_report,
    slices_by_class,
)

LABELS = np.arange(60) % 2
PROBABILITIES = np.clip(LABELS * 0.6 + np.linspace(0, 0.4, 60), 0, 1)


class Page(HTMLParser):
    """Collects the elements of a page, and fails if an element is closed that was not opened."""

    VOID = ("meta", "img", "link", "br", "wbr")

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
    """Return slices of 200 images: of 100 Male, 40 with a hat are found half the time, and all others always."""
    labels, hats = np.arange(200) % 2, np.arange(200) < 80
    predicted = np.where((labels == 1) & hats & (np.arange(200) % 4 == 1), 0, labels)
    ids = [f"{number}.jpg" for number in range(200)]
    attributes = pd.DataFrame({"Male": labels, "Wearing_Hat": hats.astype(int)}, index=ids)
    attributes["Bald"] = [1] * 5 + [0] * 195
    return slice_table(pd.DataFrame({"image_id": ids, "label": labels, "predicted": predicted}), attributes)


def face(caption: str, images: int = 1) -> Any:
    return exhibit(caption, *[np.full((12, 10, 3), 90, np.uint8)] * images)


def metrics(name: str, value: float, low: float, high: float) -> MetricsWithInterval:
    return MetricsWithInterval(
        name,
        dict.fromkeys(METRIC_NAMES, value) | {"images": 60},
        dict.fromkeys(METRIC_NAMES, low),
        dict.fromkeys(METRIC_NAMES, high),
    )


@functools.cache
def default_page() -> str:
    """Render a page once for all tests that change nothing, as its charts take a second."""
    return render()


def render(**changes: Any) -> str:
    """Render a page, with some arguments changed."""
    roc, precision_recall = curve_tables(LABELS, PROBABILITIES)
    curve = {"epoch": [1, 1, 2, 2], "images": ["training", "validation"] * 2}
    correlations = [("Bald", "Bald", 1), ("Bald", "Male", 0.25), ("Male", "Bald", 0.25), ("Male", "Male", 1)]
    arguments: dict[str, Any] = {
        "notices": (),
        "about": [("Data", "drawn faces"), ("Weights", "InceptionV3, random")],
        "verdict": Verdict("better", "Better than its baseline: it gets more images right."),
        "resampled": "identities",
        "params": {
            "calibrate": {"threshold": "accuracy"},
            "dataset": {"images": "data/<b>.zip"},
            "augment": {"mode": "copies"},
        },
        "hashes": {"models/gender.keras": "d41d8cd98f00b204e9800998ecf8427e"},
        "test_sets": [metrics("test", 0.87654, 0.8, 0.94)],
        "baseline": dict.fromkeys(METRIC_NAMES, 0.5) | {"images": 60},
        "calibration": {"threshold": 0.4567, "temperature": 1.25},
        "confusion": pd.DataFrame({"label": ["Male", "Male", "No male"], "predicted": ["Male", "No male", "No male"]}),
        "tables": {
            "loss": pd.DataFrame(curve | {"loss": [0.5, 0.45, 0.4, 0.46]}),
            "accuracy": pd.DataFrame(curve | {"accuracy": [0.7, 0.72, 0.8, 0.75]}),
            "roc": roc,
            "precision_recall": precision_recall,
            "reliability": reliability_table(LABELS, PROBABILITIES),
            "histogram": histogram_table(LABELS, PROBABILITIES),
        },
        "slices": slices(),
        "mistakes": [face("label Male, predicted No male, 0.12\n000001.jpg", 2), face("another\n2.jpg", 2)],
        "labels": Labels("", 3, [face("label Male, predicted No male, 0.02\n000007.jpg")]),
        "exploration": Exploration(
            pd.DataFrame({"class": list(CLASSES), "images": [30, 10], "rate": [0.75, 0.25]}),
            pd.DataFrame({"attribute": ["Male", "Bald"], "rate": [0.25, 0.125]}),
            pd.DataFrame(correlations, columns=["attribute", "other", "correlation"]),
            [face("Male: 000003.jpg\nBald, 5_o_Clock_Shadow")],
            [face("000004.jpg", 3)],
        ),
        "model_card": "# Model card\n\n**What it is not for.** Deciding about people.\n",
    }
    return render_report(**(arguments | changes))


def read(page: str) -> str:
    """Return the text of a page; a possible break within a word is none."""
    return " ".join(" ".join(Page(page.replace("<wbr>", "")).words).split())


def test_the_page_refers_to_no_other_file() -> None:
    page = Page(default_page())

    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "@import" not in "".join(page.words)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", "".join(page.words))


def test_every_link_has_its_section_and_every_section_its_link() -> None:
    page = Page(default_page())

    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == [f"#{attributes['id']}" for tag, attributes in page.elements if tag == "h2"]


def test_the_sections_come_in_the_order_in_which_people_ask() -> None:
    ids = [attributes["id"] for tag, attributes in Page(default_page()).elements if tag == "h2"]

    assert ids == [
        *("model-card", "metrics", "mistakes", "calibration", "curves", "slices", "exploration", "inputs", "costs")
    ]


def test_pictures_have_descriptions_for_readers_who_cannot_see_them() -> None:
    page = Page(default_page())

    images = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    evidence, transformed = "the same face with the evidence in colours", "the same image, transformed"
    assert images == [*("face", evidence) * 2, "face", "face", "training image", transformed, transformed]
    named = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    charts = [attributes for _, attributes in page.elements if attributes.get("role") == "img"]
    assert len(charts) == 7
    assert all(chart.get("aria-label") or chart["aria-labelledby"] in named for chart in charts)
    assert dict(page.elements)["html"]["lang"] == "en"


def test_what_scrolls_can_be_reached_by_keyboard_and_says_so() -> None:
    one, two = (Page(render(test_sets=[metrics("test", 0.9, 0.8, 1)] * count)) for count in (1, 2))
    regions = [[attributes for _, attributes in page.elements if "tabindex" in attributes] for page in (one, two)]

    # The correlations, and metrics of several test sets.
    assert list(map(len, regions)) == [1, 2]
    assert all(region["role"] == "region" and region["aria-label"] for region in regions[1])
    assert "".join(two.words).count("scroll it sideways") == 2


def test_the_page_says_what_a_reader_needs_to_decide() -> None:
    text = read(default_page())

    for words in (
        *("drawn faces", "InceptionV3, random", "Better than its baseline: it gets more images right."),
        # As many digits as the interval supports, in percent or not.
        *("Accuracy 88% 80 to 94", "ROC AUC 0.88 0.80 to 0.94", "Calibration error 0.88 0.80 to 0.94"),
        *("on other identities of the same kind", "at least 0.457", "a temperature, 1.25 here"),
        *("1 of 60 test images is predicted wrongly", "label Male, predicted No male, 0.12", "000001.jpg"),
        *("5_o_Clock_Shadow", "30 No male (75%) and 10 Male (25%)", "lowest in epoch 1 of 2"),
        *("d41d8cd98f00b204e9800998ecf8427e", "data/<b>.zip", "Deciding about people."),
    ):
        assert words in text, words
    assert re.search(r"0\.\d{5}", text) is None
    assert "nan" not in text


def test_one_legend_explains_the_colours_of_all_mistakes() -> None:
    text = read(default_page())

    assert text.count("Grad-CAM") == text.count("most evidence for the wrong class") == 1
    assert "Grad-CAM" not in read(render(mistakes=[]))


@pytest.mark.parametrize("notices", [(), ("Drawn faces only.", "Worse than <nothing>.")])
def test_notices_are_at_the_very_top(notices: tuple[str, ...]) -> None:
    page = Page(render(notices=notices))

    assert [attributes["class"] for tag, attributes in page.elements if attributes.get("role") == "note"] == [
        "notice"
    ] * len(notices)
    before = "".join(page.words).split("how good is this model?")[0]
    assert all(notice in before for notice in notices)


def test_labels_are_questioned_with_the_caveat_first_or_not_at_all() -> None:
    text = read(default_page())
    listed = text[text.index("Labels the model disagrees with") :]
    caveat, label = "Most of these may be mistakes of the model", "label Male, predicted No male, 0.02"

    assert listed.index(caveat) < listed.index("1 of 3 in data/mistakes/disputed_labels.csv") < listed.index(label)
    drawn = read(render(labels=Labels("They are right by construction.", 0, [])))
    assert "None are listed. They are right by construction." in drawn
    assert caveat not in drawn
    agreed = read(render(labels=Labels("", 0, [])))
    assert "The model does not confidently contradict any label." in agreed


def test_slices_that_stand_out_come_first_and_are_named() -> None:
    # Of Male with a hat, 20 of 40 are found; of all Male, 80 of 100; without a hat all 60.
    text = read(default_page())

    assert (
        "2 of 4 judged recalls stand out from the recall on all images; by chance alone, about one in twenty would. "
        "The furthest is Male, Wearing_Hat: 50% of 40 images, 30 points below all images." in text
    )
    assert "all images 100 80% (71 to 87) Wearing_Hat 40 50% (35 to 65) not Wearing_Hat 60 100% (94 to 100)" in text
    # Too few even for an interval.
    assert "Bald (too few) 2 50% Training images" in text


def test_it_says_when_no_slice_stands_out_or_none_is_large_enough() -> None:
    table = slices()

    assert describe_slices(table[table["beyond"] == 0], "images").startswith("None stands out: all 2 judged recalls")
    few = "No slice has 30 identities of a class"
    assert describe_slices(table[table["judged"] == 0], "identities").startswith(few)


def test_the_bars_of_slices_are_within_their_column() -> None:
    bars = [row["bar"] for of_class in slices_by_class(slices()) for row in of_class["first"] + of_class["rest"]]

    assert sum(bar == [] for bar in bars) == 2
    for low, high, point, whole in filter(None, bars):
        assert 0 <= low <= point <= high <= 100
        assert 0 <= whole <= 100


def test_the_page_says_whether_the_threshold_was_chosen_or_set() -> None:
    assert "chosen on validation images only. Precision" in read(default_page())
    params = {"calibrate": {"threshold": 0.4567}, "augment": {"mode": "fresh"}}
    assert "the threshold set in the parameters" in read(render(params=params))


def test_every_id_is_unique() -> None:
    ids = [attributes["id"] for _, attributes in Page(default_page()).elements if "id" in attributes]

    assert len(ids) == len(set(ids))


def test_text_from_outside_is_escaped() -> None:
    page = Page(render(mistakes=[face("<b>_<b>\n<b>", 2)], verdict=Verdict("worse", "<b>")))

    assert "b" not in {tag for tag, _ in page.elements}
    assert "data/<b>.zip" in page.words


def test_data_without_attributes_mistakes_or_copies_has_a_page_too() -> None:
    exploration = Exploration(
        pd.DataFrame({"class": list(CLASSES), "images": [30, 10], "rate": [0.75, 0.25]}),
        pd.DataFrame({"attribute": ["Male"], "rate": [0.25]}),
        pd.DataFrame({"attribute": ["Male"], "other": ["Male"], "correlation": [1.0]}),
        [],
        [face("000004.jpg")],
    )
    whole = slices().iloc[:2]
    text = read(render(exploration=exploration, slices=whole, mistakes=[], labels=Labels("", 0, [])))

    assert "No slice has 30 identities of a class" in text
    assert "Augmentation" not in text
    assert "Correlation of all attributes" not in text


@pytest.mark.parametrize(
    ("weights", "named", "cut", "trained"),
    [
        ("random", "random", "mixed9", "from block mixed9 to the output"),
        ("synthetic", "trained on other drawn faces", "mixed5", "from block mixed5 to the output"),
        ("imagenet", "ImageNet", "image", "the whole network"),
        ("file", "from backbone.weights_file", "head", "only the last layers"),
    ],
)
def test_a_model_is_described_by_data_weights_and_cut(weights: str, named: str, cut: str, trained: str) -> None:
    description = {"data": "celeba", "drawn": False, "weights": weights, "trainable_from": cut}
    description |= {"train_images": 14_000, "val_images": 20, "test_images": 10}

    facts = dict(describe_model(description))

    assert facts["Data"] == "celeba"
    assert facts["Images"] == "14,000 to train, 20 to validate, 10 to test"
    assert facts["Weights"] == f"InceptionV3, {named}"
    assert facts["Trained"].startswith(trained)
    assert dict(describe_model(description | {"drawn": True}))["Data"] == "faces drawn by the pipeline"


def test_metrics_are_read_with_their_intervals(tmp_path: Path) -> None:
    values = dict.fromkeys(METRIC_NAMES, 0.5) | {"images": 60}
    (tmp_path / "congress.json").write_text(json.dumps(values), encoding="utf-8")
    rows = ["metric,value,low,high", *(f"{name},0.5,0.25,0.75" for name in METRIC_NAMES)]
    (tmp_path / "congress.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert read_test_set("further", tmp_path / "congress") == MetricsWithInterval(
        "further", values, dict.fromkeys(METRIC_NAMES, 0.25), dict.fromkeys(METRIC_NAMES, 0.75)
    )


CHARTS = {
    "line": lambda: line_chart([Line("one", [1, 2], [3, 4]), Line("two", [1, 2], [4, 3])], "epoch", "loss"),
    "histogram": lambda: histogram_chart(histogram_table(LABELS, PROBABILITIES), 0.5),
    "correlation": lambda: correlation_chart(["one", "two"], [[1, -0.5], [-0.5, 1]]),
}


@pytest.mark.parametrize("kind", CHARTS)
def test_a_chart_is_repeatable_and_has_the_colours_of_the_page(kind: str) -> None:
    chart = CHARTS[kind]()

    assert chart == CHARTS[kind]()
    assert "currentColor" in chart
    assert "#0102" not in chart
    assert chart.startswith('<svg viewBox="')
    words = {"line": ("epoch", "loss", "one", "two"), "histogram": ("P(Male)", *CLASSES), "correlation": ("one", "two")}
    for word in words[kind]:
        assert word in chart
    # Curves and bars have colours of their own in the dark; the correlations' stand out on both.
    assert ("var(--first)" in chart) == ("var(--second)" in chart) == (kind != "correlation")


@pytest.mark.parametrize(("copies", "logarithmic"), [(16, False), (17, True)])
def test_counts_are_logarithmic_only_from_1000_images_on(copies: int, logarithmic: bool) -> None:
    # 60 images each.
    labels, probabilities = np.tile(LABELS, copies), np.tile(PROBABILITIES, copies)
    chart = histogram_chart(histogram_table(labels, probabilities), 0.5)

    # matplotlib labels a logarithmic axis with powers of ten.
    assert ("$\\mathdefault{10^{1}}$" in chart) == logarithmic


def test_the_report_has_every_metric() -> None:
    predictions = pd.DataFrame({"label": [0, 1], "probability": [0.2, 0.8], "predicted": [0, 1]})

    assert metrics_of(predictions).keys() - {"images"} == METRIC_NAMES.keys()
