import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from facegender.evaluation.bootstrap import (
    interval,
    metrics_with_interval,
    resampled_metrics,
    resampled_weights,
    units_of,
)
from facegender.evaluation.metrics import weighted_metrics


@st.composite
def weighted_images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = draw(st.integers(2, 12))
    labels = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    # Only a few different values, so that ties are common.
    probabilities = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), min_size=count, max_size=count))
    weights = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return np.array(labels), np.array(probabilities), np.array(weights, float)


@given(weighted_images())
def test_weights_mean_the_same_as_in_scikit_learn(images: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, probabilities, weights = images
    predicted = probabilities >= 0.5
    values = weighted_metrics(labels, probabilities, predicted, weights[None])
    found = {name: value[0] for name, value in values.items()}
    both = all(weights[labels == label].sum() > 0 for label in (0, 1))
    if not both:
        assert np.isnan(found["roc_auc"])
        assert np.isnan(found["balanced_accuracy"])
        assert np.isnan(found["average_precision"])
        return
    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted, sample_weight=weights),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted, sample_weight=weights),
        "precision": metrics.precision_score(labels, predicted, sample_weight=weights, zero_division=0),
        "recall": metrics.recall_score(labels, predicted, sample_weight=weights),
        "f1": metrics.f1_score(labels, predicted, sample_weight=weights, zero_division=0),
        "precision_no_male": metrics.precision_score(
            labels, predicted, pos_label=0, sample_weight=weights, zero_division=0
        ),
        "recall_no_male": metrics.recall_score(labels, predicted, pos_label=0, sample_weight=weights),
        "f1_no_male": metrics.f1_score(labels, predicted, pos_label=0, sample_weight=weights, zero_division=0),
        "roc_auc": metrics.roc_auc_score(labels, probabilities, sample_weight=weights),
        "average_precision": metrics.average_precision_score(labels, probabilities, sample_weight=weights),
        "log_loss": metrics.log_loss(labels, clipped, sample_weight=weights),
        "brier_score": metrics.brier_score_loss(labels, probabilities, sample_weight=weights),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_a_weight_is_a_repetition() -> None:
    labels, probabilities = np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.4, 0.15])
    weights = np.array([[2.0, 1.0, 0.0, 3.0]])
    repeated = np.repeat(np.arange(4), [2, 1, 0, 3])

    weighted = weighted_metrics(labels, probabilities, probabilities >= 0.5, weights)
    plain = weighted_metrics(labels[repeated], probabilities[repeated], probabilities[repeated] >= 0.5, np.ones((1, 6)))

    assert {name: value[0] for name, value in weighted.items()} == pytest.approx(
        {name: value[0] for name, value in plain.items()}
    )


def test_calibration_error_matches_the_value_worked_out_by_hand() -> None:
    # Bin [0.2, 0.3): two images, mean 0.24, half of them Male. Bin [0.9, 1]: two images, mean 0.95, both Male.
    labels, probabilities = np.array([1, 0, 1, 1]), np.array([0.22, 0.26, 0.9, 1.0])
    found = weighted_metrics(labels, probabilities, probabilities >= 0.5, np.ones((1, 4)))
    assert found["expected_calibration_error"][0] == pytest.approx((2 * (0.5 - 0.24) + 2 * 0.05) / 4)


def test_images_of_one_identity_are_resampled_together() -> None:
    predictions = pd.DataFrame({"identity": [70, 5, 70, 5, 9]})
    (weights,) = resampled_weights(units_of(predictions), 200, 0)
    assert weights.shape == (200, 5)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 3]).all()
    # Each sample has three identities.
    assert (weights[:, [0, 1, 4]].sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 5


def test_units_are_numbered_by_identity_so_that_the_order_of_the_images_does_not_matter() -> None:
    assert units_of(pd.DataFrame({"identity": [70, 5, 70, 5, 9]})).tolist() == [2, 0, 2, 0, 1]
    assert units_of(pd.DataFrame({"label": [0, 1, 1]})).tolist() == [0, 1, 2]


def test_samples_do_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = resampled_weights(np.arange(7), 50, 3)
    monkeypatch.setattr("facegender.evaluation.bootstrap._BLOCK", 7 * 8)
    blocks = list(resampled_weights(np.arange(7), 50, 3))
    assert len(blocks) == 7
    assert np.array_equal(np.concatenate(blocks), whole)


def predictions_of(images: int) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    labels = np.arange(images) % 2
    probabilities = 1 / (1 + np.exp(-generator.normal(3.0 * labels - 1.5, 1.5)))
    predicted = (probabilities >= 0.5).astype(int)
    return pd.DataFrame({"label": labels, "probability": probabilities, "predicted": predicted})


def test_the_interval_of_accuracy_is_the_binomial_one() -> None:
    predictions = predictions_of(2000)
    ends = metrics_with_interval(predictions, 2000, 0)
    accuracy = ends["value"]["accuracy"]
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 2000)
    assert ends["low"]["accuracy"] == pytest.approx(accuracy - half, abs=0.1 * half)
    assert ends["high"]["accuracy"] == pytest.approx(accuracy + half, abs=0.1 * half)
    assert (ends["low"] <= ends["high"]).all()
    assert ends["low"]["roc_auc"] < ends["value"]["roc_auc"] < ends["high"]["roc_auc"]


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    predictions = predictions_of(100)
    first, again, other = (metrics_with_interval(predictions, 100, seed) for seed in (5, 5, 6))
    assert first.equals(again)
    assert not first.equals(other)


def test_identities_with_many_images_widen_the_interval() -> None:
    predictions = predictions_of(400)
    # Each identity has ten images with the same prediction.
    clustered = predictions.loc[np.repeat(np.arange(40), 10)].reset_index(drop=True)
    by_image = metrics_with_interval(clustered, 500, 0)
    by_identity = metrics_with_interval(clustered.assign(identity=np.repeat(np.arange(40), 10)), 500, 0)
    width = [ends["high"]["accuracy"] - ends["low"]["accuracy"] for ends in (by_image, by_identity)]
    # The standard deviation grows by the square root of ten.
    assert width[1] == pytest.approx(width[0] * np.sqrt(10), rel=0.2)


def test_resamples_with_only_one_class_are_left_out() -> None:
    predictions = predictions_of(2)
    resampled = resampled_metrics(predictions, units_of(predictions), 100, 0)
    assert 0 < np.isnan(resampled["roc_auc"]).sum() < 100
    assert np.isfinite(interval("roc_auc", 1.0, resampled["roc_auc"])).all()
    assert np.isnan(interval("roc_auc", np.nan, [np.nan, np.nan])).all()


def test_the_interval_is_the_middle_of_the_resamples_and_mirrored_for_the_calibration_error() -> None:
    values = np.arange(1001) / 1000
    assert interval("accuracy", 0.9, values) == pytest.approx((0.025, 0.975))
    assert interval("expected_calibration_error", 0.6, values) == pytest.approx((1.2 - 0.975, 1.2 - 0.025))
    assert interval("expected_calibration_error", 0.3, values) == pytest.approx((0, 0.6 - 0.025))
    # All resamples have a larger error than the point.
    assert interval("expected_calibration_error", 0.1, 0.3 + values) == pytest.approx((0, 0.1))


def test_the_calibration_error_of_calibrated_probabilities_is_in_its_interval() -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        probabilities = generator.random(200)
        labels = (generator.random(200) < probabilities).astype(int)
        predictions = pd.DataFrame({"label": labels, "probability": probabilities, "predicted": labels})
        ends = metrics_with_interval(predictions, 200, 0).loc["expected_calibration_error"]
        assert 0 <= ends["low"] <= ends["value"] <= ends["high"]


@pytest.mark.parametrize(("kept", "suffix"), [(0, ""), (1, "_no_male")])
def test_precision_and_f1_are_0_for_a_class_without_images_and_predictions(kept: int, suffix: str) -> None:
    # Only one image counts, and it is right: of the other class there is nothing, so its recall is not known.
    weights = np.zeros((1, 2))
    weights[0, kept] = 1
    values = weighted_metrics(np.array([0, 1]), np.array([0.2, 0.7]), np.array([False, True]), weights)

    assert (values[f"precision{suffix}"][0], values[f"f1{suffix}"][0]) == (0, 0)
    assert np.isnan(values[f"recall{suffix}"][0])
    assert values["accuracy"][0] == 1


def test_metrics_are_nan_when_all_weights_are_0() -> None:
    values = weighted_metrics(np.array([0, 1]), np.array([0.2, 0.7]), np.array([False, True]), np.zeros((1, 2)))
    assert all(np.isnan(value[0]) for value in values.values())
