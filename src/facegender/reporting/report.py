"""One self-contained page about a model: what it was made of, how good it is, and where it is weak."""

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

FIGURES = {
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
"""What people read for the names of figures."""


class Chart(NamedTuple):
    """An SVG, as `facegender.reporting.charts` draws it, and what a reader who cannot see it is told."""

    title: str
    description: str
    svg: str


class Picture(NamedTuple):
    """A PNG file, and what a reader who cannot see it is told."""

    title: str
    description: str
    path: Path

    @property
    def source(self) -> str:
        """The picture as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


class Judged(NamedTuple):
    """Figures of one test set by the names in FIGURES, with the ends of their intervals."""

    name: str
    figures: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]


def read_judged(name: str, stem: str | Path) -> Judged:
    """Read the figures of a test set from `stem`.json, and the ends of their intervals from `stem`_low and _high."""
    texts = (Path(f"{stem}{end}.json").read_text(encoding="utf-8") for end in ("", "_low", "_high"))
    return Judged(name, *map(json.loads, texts))


def read_logs(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read loss and accuracy by epoch, of training and validation, from a folder that DVCLive wrote."""
    return {
        part: pd.concat(
            [pd.read_csv(Path(folder, name, f"{key}.tsv"), sep="\t")[key] for key in ("loss", "accuracy")], axis=1
        )
        for part, name in (("training", "train"), ("validation", "eval"))
    }


def render_report(
    *,
    revision: str,
    drawn: str,
    params: Mapping[str, Mapping[str, Any]],
    hashes: Mapping[str, str],
    judged: Sequence[Judged],
    baseline: Mapping[str, float],
    calibration: Mapping[str, Any],
    confusion: pd.DataFrame,
    charts: Sequence[Chart],
    slices: pd.DataFrame,
    pictures: Sequence[Picture],
    label_errors: pd.DataFrame,
    exploration: Sequence[Picture],
    costs: Mapping[str, Mapping[str, float]],
    model_card: str,
) -> str:
    """Give the page as HTML without any reference to another file.

    Args:
        revision: Git's name of the code, as a reader would look it up.
        drawn: what the bootstrap drew, `persons` or `images`.
        params: all parameters by group and key.
        hashes: MD5 sums by path, as DVC knows them.
        judged: the test set, and further ones.
        baseline: figures of the yardstick.
        calibration: temperature and threshold.
        confusion: as `facegender.evaluation.curves.confusion_table` gives it.
        charts: curves of training and testing.
        slices: as `facegender.evaluation.slices.slice_table` gives it.
        pictures: mistakes.
        label_errors: as `facegender.evaluation.label_errors.likely_label_errors` gives it.
        exploration: pictures of the training rows.
        costs: seconds and peak_bytes by stage.
        model_card: Markdown, with a heading of the first level.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = pd.crosstab(confusion["actual"], confusion["predicted"]).reindex(
        index=list(CLASSES), columns=list(CLASSES), fill_value=0
    )
    return environment.get_template("report.html").render(
        revision=revision,
        drawn=drawn,
        params=params,
        hashes=hashes,
        judged=judged,
        baseline=baseline,
        against_yardstick=against_yardstick(judged[0], baseline),
        calibration=calibration,
        classes=CLASSES,
        confusion=counts.to_numpy().tolist(),
        charts=charts,
        slices=slices.to_dict("records"),
        pictures=pictures,
        label_errors=label_errors.to_dict("records"),
        exploration=exploration,
        costs=costs,
        model_card=MarkdownIt().render(model_card.replace("# ", "## ", 1)),
        names=FIGURES,
    )


def against_yardstick(judged: Judged, baseline: Mapping[str, float]) -> str:
    """Say in one sentence whether the accuracy differs from the yardstick's by more than chance explains."""
    accuracy = baseline["accuracy"]
    if judged.low["accuracy"] > accuracy:
        return f"More accurate than the yardstick, whose {accuracy:.4f} lies below its interval."
    if judged.high["accuracy"] < accuracy:
        return f"Less accurate than the yardstick, whose {accuracy:.4f} lies above its interval: not a model to use."
    return f"Not shown to be more accurate than the yardstick, whose {accuracy:.4f} lies in its interval."


def curve_charts(logs: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], threshold: float) -> list[Chart]:
    """Draw the curves of training and testing.

    Args:
        logs: columns loss and accuracy, a row per epoch, by what they are of (training, validation).
        tables: roc, precision_recall, reliability and histogram, as `facegender.evaluation.metrics` gives them.
        threshold: from which P(Male) on an image is called Male.
    """
    charts = []
    for key in ("loss", "accuracy"):
        lines = [Line(name, [*range(1, len(log) + 1)], log[key].tolist()) for name, log in logs.items()]
        charts.append(Chart(key.capitalize(), f"The {key} by epoch.", line_chart(lines, "epoch", key)))
    roc, precision_recall, reliability = (tables[name] for name in ("roc", "precision_recall", "reliability"))
    squares = (
        (
            "ROC",
            "Share of Male found against share of No male mistaken, over all thresholds; the dashed line is guessing.",
            (roc["false_positive_rate"], roc["true_positive_rate"]),
            ("false positive rate", "true positive rate"),
            True,
        ),
        (
            "Precision and recall",
            "Share of those called Male who are, against the share of Male found.",
            (precision_recall["recall"], precision_recall["precision"]),
            ("recall", "precision"),
            False,
        ),
        (
            "Reliability",
            "Share of Male against the probability given, in ten bins; on the dashed line it means what it says.",
            (reliability["probability"], reliability["share"]),
            ("mean P(Male)", "share of Male"),
            True,
        ),
    )
    for title, description, (x, y), (x_label, y_label), diagonal in squares:
        line = Line(title, x.tolist(), y.tolist())
        charts.append(Chart(title, description, line_chart([line], x_label, y_label, True, diagonal)))
    histogram = histogram_chart(tables["histogram"], threshold)
    described = "Test images of each class by the probability that was given, on a logarithmic scale."
    return [*charts, Chart("Probabilities", described, histogram)]
