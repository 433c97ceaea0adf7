"""One self-contained page about a model: how good it is, where it is weak, and what it was made from."""

import base64
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markdown_it import MarkdownIt

from facegender.data.celeba import CLASSES, LABEL
from facegender.evaluation.results import read_results
from facegender.evaluation.rounding import decimals, number, percent
from facegender.evaluation.slices import MIN_FOR_INTERVAL, MIN_PER_CLASS, WHOLE, standing_out
from facegender.evaluation.verdict import Verdict
from facegender.reporting.charts import Line, correlation_chart, histogram_chart, is_logarithmic, line_chart
from facegender.reporting.gallery import Exhibit

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision, Male",
    "recall": "Recall, Male",
    "f1": "F1, Male",
    "precision_no_male": "Precision, No male",
    "recall_no_male": "Recall, No male",
    "f1_no_male": "F1, No male",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "expected_calibration_error": "Calibration error",
}
"""The name of each metric on the page."""

SHARES = frozenset(list(METRIC_NAMES)[:8])
"""The metrics that are shares of images and shown in percent, with F1, their mean."""

HEADLINE = ("accuracy", "roc_auc", "expected_calibration_error")

_SLICES = 8
"""Slices of each class that are shown at first."""


class Chart(NamedTuple):
    """An SVG from `facegender.reporting.charts`, and what to see in it."""

    title: str
    description: str
    svg: str


class MetricsWithInterval(NamedTuple):
    """Metrics of one test set by the keys of METRIC_NAMES and `images`, and the ends of their 95% intervals."""

    name: str
    metrics: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]

    def places(self, name: str) -> int:
        """Return how many decimals a metric deserves."""
        return decimals(self.low[name], self.high[name])


class Exploration(NamedTuple):
    """The tables of data/eda, and pictures of training images."""

    balance: pd.DataFrame
    rates: pd.DataFrame
    correlation: pd.DataFrame
    examples: Sequence[Exhibit]
    augmented: Sequence[Exhibit]


class Labels(NamedTuple):
    """The labels that the model disagrees with, the first with pictures; or the reason why none are listed."""

    reason: str
    disputed: int
    pictures: Sequence[Exhibit]


def read_test_set(name: str, stem: str | Path) -> MetricsWithInterval:
    """Read a test set's metrics, as `facegender.evaluation.results.read_results` does."""
    metrics, table = read_results(stem, METRIC_NAMES)
    low, high = ({str(key): float(end) for key, end in table[column].items()} for column in ("low", "high"))
    return MetricsWithInterval(name, metrics, low, high)


def render_report(
    *,
    notices: Sequence[str],
    about: Sequence[tuple[str, str]],
    verdict: Verdict,
    resampled: str,
    params: Mapping[str, Mapping[str, Any]],
    hashes: Mapping[str, str],
    test_sets: Sequence[MetricsWithInterval],
    baseline: Mapping[str, float],
    calibration: Mapping[str, Any],
    confusion: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    slices: pd.DataFrame,
    mistakes: Sequence[Exhibit],
    labels: Labels,
    exploration: Exploration,
    model_card: str,
) -> str:
    """Return the page as HTML that refers to no other file, with the same bytes on every machine and at every commit.

    Args:
        notices: plain sentences for the top of the page, which a reader must not miss.
        about: names and values of what the model was made from.
        verdict: on the model against its baseline.
        resampled: what the bootstrap resampled, `identities` or `images`.
        params: all parameters by group and key.
        hashes: checksums by path, as in dvc.lock.
        test_sets: metrics of the test set, and of further ones.
        baseline: metrics of the baseline on the test set.
        calibration: as the stage calibrate writes it.
        confusion: as `facegender.evaluation.curves.confusion_table` returns it.
        tables: loss and accuracy, as `facegender.network.training.learning_curves` returns them; roc, precision_recall,
            reliability and histogram, as `facegender.evaluation.curves` returns them.
        slices: as `facegender.evaluation.slices.slice_table` returns it.
        mistakes: the worst ones, each a face and the evidence for the wrong class.
        labels: that the model disagrees with.
        exploration: of the training images.
        model_card: Markdown with a heading of level 1.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "data_url": _data_url}
    counts = pd.crosstab(confusion["label"], confusion["predicted"]).reindex(
        index=list(CLASSES), columns=list(CLASSES), fill_value=0
    )
    return environment.get_template("report.html").render(
        notices=notices,
        about=about,
        verdict=verdict,
        resampled=resampled,
        params=params,
        hashes=hashes,
        test_sets=test_sets,
        baseline=baseline,
        calibration=calibration,
        calibration_charts=calibration_charts(tables, calibration["threshold"]),
        curves=curve_charts(tables, test_sets[0].metrics["roc_auc"]),
        confusion=counts.to_numpy().tolist(),
        wrong=int((confusion["label"] != confusion["predicted"]).sum()),
        mistakes=mistakes,
        labels=labels,
        slices=slices_by_class(slices),
        slices_found=describe_slices(slices, resampled),
        min_per_class=MIN_PER_CLASS,
        min_for_interval=MIN_FOR_INTERVAL,
        exploration=exploration,
        attributes=_attributes(exploration),
        correlations=_correlation_chart(exploration.correlation),
        model_card=MarkdownIt().render(re.sub(r"\A# .*\n", "", model_card)),
        classes=CLASSES,
        metric_names=METRIC_NAMES,
        shares=SHARES,
        headline=HEADLINE,
    )


def describe_model(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say in names and values what a model is made from: data, images, weights and cut.

    Args:
        description: `facegender.network.description.Description`.
    """
    named = {
        "imagenet": "ImageNet",
        "file": "from backbone.weights_file",
        "synthetic": "trained on other drawn faces",
    }
    weights = named.get(description["weights"], description["weights"])
    train, val, test = (f"{description[f'{split}_images']:,}" for split in ("train", "val", "test"))
    cut = description["trainable_from"]
    trained = {"image": "the whole network", "head": "only the last layers"}
    return [
        ("Data", "faces drawn by the pipeline" if description["drawn"] else description["data"]),
        ("Images", f"{train} to train, {val} to validate, {test} to test"),
        ("Weights", f"InceptionV3, {weights}"),
        ("Trained", trained.get(cut, f"from block {cut} to the output; the blocks below it are frozen")),
    ]


def calibration_charts(tables: Mapping[str, pd.DataFrame], threshold: float) -> list[Chart]:
    """Draw the reliability and the histogram of P(Male); arguments as in `render_report`."""
    reliability, histogram = tables["reliability"], tables["histogram"]
    points = Line("", reliability["probability"].tolist(), reliability["share"].tolist())
    scale = " Counts are on a logarithmic scale." if is_logarithmic(histogram) else ""
    return [
        Chart(
            "Reliability",
            "On the dashed diagonal, P(Male) is exact: 7 of 10 images with a P(Male) of 0.7 are Male. Below it, "
            f"P(Male) is too high; above it, too low. Each point is {reliability['images'].min():,} to "
            f"{reliability['images'].max():,} images; points with few images scatter.",
            line_chart([points], "mean P(Male)", "share of Male", unit_square=True, diagonal=True),
        ),
        Chart(
            "Test images by P(Male)",
            "The two classes should peak at opposite ends. The mistakes are the No male images right of the threshold "
            f"and the Male images left of it.{scale}",
            histogram_chart(histogram, threshold),
        ),
    ]


def curve_charts(tables: Mapping[str, pd.DataFrame], roc_auc: float) -> list[Chart]:
    """Draw the curves of training and testing; arguments as in `render_report`."""
    loss = tables["loss"]
    validation = loss[loss["images"] == "validation"]
    best = validation.loc[validation["loss"].idxmin(), "epoch"]
    roc, precision_recall = tables["roc"], tables["precision_recall"]
    of_roc = Line("", roc["false_positive_rate"].tolist(), roc["true_positive_rate"].tolist())
    of_precision = Line("", precision_recall["recall"].tolist(), precision_recall["precision"].tolist())
    return [
        Chart(
            "Loss",
            f"Validation loss is lowest in epoch {best} of {validation['epoch'].max()}. If it rises while training "
            "loss still falls, the network has begun to overfit: it memorises the training images.",
            line_chart(_by_images(loss, "loss"), "epoch", "loss"),
        ),
        Chart(
            "Accuracy",
            "Training accuracy is averaged over the epoch, while the network still learns, and with any dropout and "
            "transformations. So it may be below validation accuracy. If it is far above, the network overfits: "
            "there may be too few images.",
            line_chart(_by_images(tables["accuracy"], "accuracy"), "epoch", "accuracy"),
        ),
        Chart(
            "ROC",
            "The dashed diagonal is guessing; the closer the curve is to the upper left corner, the better. The area "
            f"under it is the share of pairs, here {roc_auc:.0%}, in which the Male image has a higher P(Male) than "
            "the No male image.",
            line_chart([of_roc], "share of No male mistaken for Male", "share of Male found", True, True),
        ),
        Chart(
            "Precision and recall",
            "From left to right the threshold falls: more of the Male images are found, but a smaller share of the "
            "images predicted Male really are. The later the curve drops, the better.",
            line_chart([of_precision], "recall of Male", "precision of Male", True),
        ),
    ]


def _by_images(curve: pd.DataFrame, key: str) -> list[Line]:
    parts = curve.groupby("images", sort=False)
    return [Line(str(name), rows["epoch"].tolist(), rows[key].tolist()) for name, rows in parts]


def describe_slices(table: pd.DataFrame, resampled: str) -> str:
    """Say which recalls stand out, if any; arguments as in `render_report`."""
    judged = int(table.loc[table["slice"] != WHOLE, "judged"].sum())
    if not judged:
        return f"No slice has {MIN_PER_CLASS} {resampled} of a class: there are too few test images to judge slices."
    found = standing_out(table)
    if found.empty:
        return f"None stands out: all {judged} judged recalls may differ from the recall on all images by chance."
    first = found.iloc[0]
    return (
        f"{len(found)} of {judged} judged recalls stand out from the recall on all images; by chance alone, about one "
        f"in twenty would. The furthest is {first['class']}, {first['slice']}: {first['recall']:.0%} of "
        f"{first['images']:,} images, {abs(100 * first['difference']):.0f} points "
        f"{'below' if first['difference'] < 0 else 'above'} all images."
    )


def slices_by_class(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Prepare the slices of each class for the page.

    Args:
        table: as `facegender.evaluation.slices.slice_table` returns it.

    Returns:
        For each class with an image: name, `first` and `rest` (rows of the table, with `places`, the decimals they
        deserve, and where judged `bar`: places of low, high, recall and the recall on all images between 0 and 100).
    """
    left = math.floor(10 * table.loc[table["judged"] == 1, "low"].min()) / 10 if table["judged"].any() else 0
    found = []
    for name in CLASSES:
        rows = table[table["class"] == name].to_dict("records")
        for row in rows:
            row["places"] = decimals(row["low"], row["high"])
            ends = (row["low"], row["high"], row["recall"], rows[0]["recall"])
            row["bar"] = [round(100 * (end - left) / (1 - left), 1) for end in ends] if row["judged"] else []
        if rows:
            found.append({"name": name, "left": left, "first": rows[: _SLICES + 1], "rest": rows[_SLICES + 1 :]})
    return found


def _attributes(exploration: Exploration) -> list[dict[Hashable, Any]]:
    """Return attribute, rate and correlation with the label, the strongest correlation first."""
    with_label = exploration.correlation[exploration.correlation["other"] == LABEL]
    table = exploration.rates.merge(with_label[["attribute", "correlation"]], on="attribute")
    table = table[table["attribute"] != LABEL]
    return table.sort_values("correlation", key=abs, ascending=False, kind="stable").to_dict("records")


def _correlation_chart(correlation: pd.DataFrame) -> str:
    matrix = correlation.pivot(index="attribute", columns="other", values="correlation")
    return correlation_chart(list(map(str, matrix.index)), matrix.to_numpy())


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
