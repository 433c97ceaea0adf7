import math
import warnings

import numpy as np
import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.curves import confusion_table, curve_tables, histogram_table, reliability_table
from facegender.evaluation.metrics import checked, classification_metrics

# At 0.5: 5 Male found, 1 missed, 2 No male mistaken for Male, 2 not.
LABELS = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
PROBABILITIES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.75, 0.55, 0.3, 0.1]

# Of the four pairs of a Male and a No male, one is in the wrong order: 0.35 below 0.4.
FOUR_LABELS = [0, 0, 1, 1]
FOUR_PROBABILITIES = [0.1, 0.4, 0.35, 0.8]


def test_metrics_match_values_worked_out_by_hand() -> None:
    metrics = classification_metrics(LABELS, PROBABILITIES, 0.5)
    assert metrics == pytest.approx(
        {
            "images": 10,
            "accuracy": 7 / 10,
            "balanced_accuracy": (5 / 6 + 2 / 4) / 2,
            "precision": 5 / 7,
            "recall": 5 / 6,
            "f1": 10 / 13,
            # 2 of the 3 predicted No male are; 2 of the 4 No male are found.
            "precision_no_male": 2 / 3,
            "recall_no_male": 2 / 4,
            "f1_no_male": 4 / 7,
            # Pairs that each Male wins, from the top: 4 + 4 + 3 + 3 + 2 + 1 of 24.
            "roc_auc": 17 / 24,
            "average_precision": (1 / 1 + 2 / 2 + 3 / 4 + 4 / 5 + 5 / 7 + 6 / 9) / 6,
            "log_loss": -math.log(0.9 * 0.8 * 0.7 * 0.6 * 0.5 * 0.2 * (0.25 * 0.45 * 0.7 * 0.9)) / 10,
            "brier_score": (0.01 + 0.04 + 0.09 + 0.16 + 0.25 + 0.64 + 0.5625 + 0.3025 + 0.09 + 0.01) / 10,
            # By bins from 0.1 on. 0.5 and 0.55 share a bin with one Male, and so do 0.7 and 0.75.
            "expected_calibration_error": (0.1 + 0.8 + 0.3 + 0.05 + 0.4 + 0.45 + 0.2 + 0.1) / 10,
        },
        abs=1e-6,
    )


def test_ranking_metrics_of_four_images_match_a_count_by_hand() -> None:
    metrics = classification_metrics(FOUR_LABELS, FOUR_PROBABILITIES, 0.5)
    assert metrics["roc_auc"] == 0.75
    assert metrics["average_precision"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)


def test_an_image_at_the_threshold_is_male() -> None:
    at, above = (classification_metrics(LABELS, PROBABILITIES, threshold) for threshold in (0.55, 0.551))
    assert (at["recall_no_male"], above["recall_no_male"]) == (0.5, 0.75)
    assert at["recall"] == above["recall"] == pytest.approx(4 / 6, abs=1e-6)


def test_precision_is_0_without_a_warning_when_no_image_is_predicted_male() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = classification_metrics(FOUR_LABELS, FOUR_PROBABILITIES, 0.99)
    assert (metrics["precision"], metrics["recall"], metrics["f1"], metrics["recall_no_male"]) == (0, 0, 0, 1)


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    metrics = classification_metrics([1, 0], [0.0, 1.0], 0.5)
    assert metrics["log_loss"] == pytest.approx(7 * math.log(10), abs=1e-5)
    assert all(math.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (
            [1, 1],
            [0.2, 0.7],
            "^labels: only Male images, and the metrics need both classes; add images of both classes$",
        ),
        ([0, 0], [0.2, 0.7], r"^labels: only No male images, .* both classes"),
        ([], [], "^labels: no images"),
        (
            [0, 1, 1],
            [0.2, math.nan, 0.5],
            "^probability 1: nan is not from 0 to 1; train again, with a lower train.learning_rate if the training "
            "loss is NaN or infinite too$",
        ),
        ([0, 1], [0.2, 1.000001], "^probability 1: 1.000001 is not from 0 to 1"),
        ([0, 1], [0.2, math.inf], "^probability 1: inf is not from 0 to 1"),
        ([0, 1], [-0.2, 0.5], r"^probability 0: -0\.2 is not from 0 to 1"),
        ([-1, 1], [0.2, 0.5], "^label 0: -1 is not a label; use 0 for No male and 1 for Male$"),
        (
            [0, 1, 1],
            [0.2, 0.5],
            r"^labels and probabilities: their shapes are \(3,\) and \(2,\); use one label and one probability per ",
        ),
    ],
)
def test_invalid_labels_and_probabilities_are_one_clear_line(
    labels: list[int], probabilities: list[float], message: str
) -> None:
    with pytest.raises(FacegenderError, match=message) as raised:
        classification_metrics(labels, probabilities, 0.5)
    assert "\n" not in str(raised.value)


def test_labels_and_probabilities_are_checked_and_converted() -> None:
    labels, probabilities = checked(np.array([False, True]), np.array([0.25, 0.1], np.float32))

    assert (labels.dtype, labels.tolist()) == (np.int64, [0, 1])
    assert (probabilities.dtype, probabilities.tolist()) == (np.float64, [0.25, float(np.float32(0.1))])


def test_curves_of_four_images_match_values_worked_out_by_hand() -> None:
    roc, precision_recall = curve_tables(FOUR_LABELS, FOUR_PROBABILITIES)
    assert list(roc.columns) == ["false_positive_rate", "true_positive_rate", "threshold"]
    assert roc.to_numpy().tolist() == [[0, 0, 1.000001], [0, 0.5, 0.8], [0.5, 0.5, 0.4], [0.5, 1, 0.35], [1, 1, 0.1]]
    assert list(precision_recall.columns) == ["recall", "precision", "threshold"]
    expected = [[0, 1, 1.000001], [0.5, 1, 0.8], [0.5, 0.5, 0.4], [1, 0.666667, 0.35], [1, 0.5, 0.1]]
    assert precision_recall.to_numpy().tolist() == expected


def test_curves_of_many_images_are_thinned_but_complete_and_accurate() -> None:
    generator = np.random.default_rng(3)
    labels = np.arange(6000) % 2
    probabilities = 1 / (1 + np.exp(-generator.normal(2.0 * labels - 1.0, 1.5)))
    roc, precision_recall = curve_tables(labels, probabilities)
    for curve in (roc, precision_recall):
        assert 100 < len(curve) <= 200
        assert np.isfinite(curve.to_numpy()).all()
        assert curve["threshold"].is_monotonic_decreasing
    assert roc.iloc[0, :2].tolist() == [0, 0]
    assert roc.iloc[-1, :2].tolist() == [1, 1]
    recall = precision_recall["recall"].tolist()
    assert (recall[0], recall[-1]) == (0, 1)
    metrics = classification_metrics(labels, probabilities, 0.5)
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(metrics["roc_auc"], abs=0.002)
    area = np.trapezoid(precision_recall["precision"], precision_recall["recall"])
    assert area == pytest.approx(metrics["average_precision"], abs=0.005)


def test_curves_do_not_depend_on_the_order_of_images() -> None:
    order = np.random.default_rng(0).permutation(len(LABELS))
    again = curve_tables(np.array(LABELS)[order], np.array(PROBABILITIES)[order])
    for curve, other in zip(curve_tables(LABELS, PROBABILITIES), again, strict=True):
        pd.testing.assert_frame_equal(curve, other)


def test_confusion_table_names_the_classes_of_each_image() -> None:
    table = confusion_table([0, 1, 1], [1, 1, 0])
    assert table.to_dict("list") == {"label": ["No male", "Male", "Male"], "predicted": ["Male", "Male", "No male"]}


def test_reliability_and_histogram_match_a_count_by_hand() -> None:
    reliability = reliability_table(LABELS, PROBABILITIES)
    assert reliability.to_numpy().tolist() == [
        [0.1, 0, 1],
        [0.2, 1, 1],
        [0.3, 0, 1],
        [0.525, 0.5, 2],
        [0.6, 1, 1],
        [0.725, 0.5, 2],
        [0.8, 1, 1],
        [0.9, 1, 1],
    ]
    histogram = histogram_table([1, 0, 1, 1], [0.0, 0.04, 0.99, 1.0])
    assert list(histogram.columns) == ["label", "probability", "images"]
    assert histogram["label"].tolist() == ["No male"] * 20 + ["Male"] * 20
    # The first and the last bin of No male, then of Male.
    ends = histogram.iloc[[0, 19, 20, 39]]
    assert ends[["probability", "images"]].to_numpy().tolist() == [[0.025, 1], [0.975, 0], [0.025, 1], [0.975, 2]]
    assert histogram["images"].sum() == 4
