"""One self-contained page about a model: how good it is, where it is weak, and what it was made from."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markdown_it import MarkdownIt

from facegender.data.celeba import CLASSES
from facegender.reporting.charts import Line, histogram_chart, line_chart

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
    "expected_calibration_error": "Expected calibration error",
}
"""The name of each metric on the page."""


class Chart(NamedTuple):
    """An SVG from `facegender.reporting.charts`, with a description for readers who cannot see it."""

    title: str
    description: str
    svg: str


class Picture(NamedTuple):
    """A PNG file, with a description for readers who cannot see it."""

    title: str
    description: str
    path: Path

    @property
    def source(self) -> str:
        """The picture as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


class MetricsWithInterval(NamedTuple):
    """Metrics of one test set by the keys of METRIC_NAMES and `images`, and the ends of their 95% intervals."""

    name: str
    metrics: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]


def read_metrics(name: str, stem: str | Path) -> MetricsWithInterval:
    """Read a test set's metrics from `stem`.json, and their intervals from the columns low and high of `stem`.csv."""
    metrics = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
    intervals = pd.read_csv(f"{stem}.csv", index_col="metric")
    low, high = ({str(key): float(end) for key, end in intervals[column].items()} for column in ("low", "high"))
    return MetricsWithInterval(name, metrics, low, high)


def read_logs(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read `loss` and `accuracy` by epoch from a folder that DVCLive wrote: tables for `training` and `validation`."""
    return {
        title: pd.concat(
            [pd.read_csv(Path(folder, name, f"{key}.tsv"), sep="\t")[key] for key in ("loss", "accuracy")], axis=1
        )
        for title, name in (("training", "train"), ("validation", "eval"))
    }


def render_report(
    *,
    resampled: str,
    params: Mapping[str, Mapping[str, Any]],
    hashes: Mapping[str, str],
    test_sets: Sequence[MetricsWithInterval],
    baseline: Mapping[str, float],
    calibration: Mapping[str, Any],
    confusion: pd.DataFrame,
    charts: Sequence[Chart],
    slices: pd.DataFrame,
    pictures: Sequence[Picture],
    label_errors: pd.DataFrame,
    exploration: Sequence[Picture],
    model_card: str,
) -> str:
    """Return the page as HTML that refers to no other file, with the same bytes on every machine and at every commit.

    Args:
        resampled: what the bootstrap resampled, `identities` or `images`.
        params: all parameters by group and key.
        hashes: MD5 sums by path.
        test_sets: metrics of the test set, and of further ones.
        baseline: metrics of the baseline on the test set.
        calibration: `temperature` and `threshold`.
        confusion: as `facegender.evaluation.curves.confusion_table` returns it.
        charts: curves of training and testing.
        slices: as `facegender.evaluation.slices.slice_table` returns it.
        pictures: mistakes.
        label_errors: as `facegender.evaluation.label_errors.likely_label_errors` returns it.
        exploration: pictures of the training images.
        model_card: Markdown with a heading of level 1.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = pd.crosstab(confusion["label"], confusion["predicted"]).reindex(
        index=list(CLASSES), columns=list(CLASSES), fill_value=0
    )
    return environment.get_template("report.html").render(
        resampled=resampled,
        params=params,
        hashes=hashes,
        test_sets=test_sets,
        baseline=baseline,
        against_baseline=against_baseline(test_sets[0], baseline),
        calibration=calibration,
        classes=CLASSES,
        confusion=counts.to_numpy().tolist(),
        charts=charts,
        slices=slices.to_dict("records"),
        pictures=pictures,
        label_errors=label_errors.to_dict("records"),
        exploration=exploration,
        model_card=MarkdownIt().render(model_card.replace("# ", "## ", 1)),
        metric_names=METRIC_NAMES,
    )


def against_baseline(test_set: MetricsWithInterval, baseline: Mapping[str, float]) -> str:
    """Return one sentence on whether the accuracy differs significantly from the baseline's."""
    accuracy = baseline["accuracy"]
    if test_set.low["accuracy"] > accuracy:
        return f"More accurate than the baseline, whose accuracy of {accuracy:.4f} is below the model's interval."
    if test_set.high["accuracy"] < accuracy:
        return (
            f"Less accurate than the baseline, whose accuracy of {accuracy:.4f} is above the model's interval: do not "
            "use this model."
        )
    return (
        f"Not significantly more accurate than the baseline, whose accuracy of {accuracy:.4f} is within the model's "
        "interval."
    )


def curve_charts(logs: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], threshold: float) -> list[Chart]:
    """Draw the curves of training and testing.

    Args:
        logs: as `read_logs` returns them: columns loss and accuracy, a row for each epoch.
        tables: roc, precision_recall, reliability and histogram, as `facegender.evaluation.curves` returns them.
        threshold: an image is predicted Male if its P(Male) is at least this.
    """
    charts = []
    for key in ("loss", "accuracy"):
        lines = [Line(name, [*range(1, len(log) + 1)], log[key].tolist()) for name, log in logs.items()]
        charts.append(
            Chart(key.capitalize(), f"Training and validation {key} by epoch.", line_chart(lines, "epoch", key))
        )
    roc, precision_recall, reliability = (tables[name] for name in ("roc", "precision_recall", "reliability"))
    squares = (
        (
            "ROC",
            "The share of Male images found, against the share of No male images mistaken for Male. The dashed line is "
            "guessing.",
            (roc["false_positive_rate"], roc["true_positive_rate"]),
            ("false positive rate", "true positive rate"),
            True,
        ),
        (
            "Precision and recall",
            "The share of the images predicted Male that are Male, against the share of Male images found.",
            (precision_recall["recall"], precision_recall["precision"]),
            ("recall", "precision"),
            False,
        ),
        (
            "Reliability",
            "The share of Male images against the mean P(Male), in ten bins. The dashed line is perfect calibration.",
            (reliability["probability"], reliability["share"]),
            ("mean P(Male)", "share of Male"),
            True,
        ),
    )
    for title, description, (x, y), (x_label, y_label), diagonal in squares:
        line = Line(title, x.tolist(), y.tolist())
        charts.append(Chart(title, description, line_chart([line], x_label, y_label, True, diagonal)))
    histogram = histogram_chart(tables["histogram"], threshold)
    description = "Test images of each class by predicted probability, on a logarithmic scale."
    return [*charts, Chart("Probabilities", description, histogram)]
