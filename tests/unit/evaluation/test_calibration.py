import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    true_logits = generator.normal(0, 2, 40_000)
    labels = (generator.random(40_000) < expit(true_logits)).astype(int)
    assert fit_temperature(true_logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_a_temperature_worked_by_hand() -> None:
    # With logits +2 of which 3 in 4 are right, the best probability of being right is 3/4, so 2 / T = log 3.
    labels = np.array([1, 1, 1, 0])
    assert fit_temperature(np.full(4, 2.0), labels) == pytest.approx(2 / math.log(3), abs=1e-4)


def test_perfect_logits_stay_within_bounds() -> None:
    assert fit_temperature(np.array([5.0, -5.0]), np.array([1, 0])) == pytest.approx(0.2, abs=1e-3)
    assert fit_temperature(np.array([-5.0, 5.0]), np.array([1, 0])) == pytest.approx(20, rel=1e-3)


def test_temperature_changes_no_order_and_no_side() -> None:
    logits = np.array([-400.0, -1.0, 0.0, 2.0, 400.0])
    probabilities = probabilities_at(logits, 3.0)
    assert (np.diff(probabilities) > 0).all()
    assert probabilities.tolist() == pytest.approx([0, 1 / (1 + math.exp(1 / 3)), 0.5, 1 / (1 + math.exp(-2 / 3)), 1])


PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])


@pytest.mark.parametrize(
    ("labels", "rule", "threshold"),
    [
        # All called Male, four are right, and fewer at any other.
        ([1, 1, 1, 1, 0, 0], "accuracy", 0.05),
        # Between 0.2 and 0.3 all are right.
        ([0, 0, 1, 1, 1, 1], "accuracy", 0.25),
        # One mistake at 0.15, at 0.35 and at 0.5: the last is nearest to 0.5.
        ([0, 1, 0, 0, 1, 1], "accuracy", 0.5),
        # At 0.35 one of three Male is missed and one of three No male mistaken.
        ([0, 1, 0, 1, 0, 1], "equal_error", 0.35),
        ([0, 1, 0, 1, 0, 1], 0.8, 0.8),
    ],
)
def test_thresholds_are_those_worked_by_hand(labels: list[int], rule: str | float, threshold: float) -> None:
    assert choose_threshold(PROBABILITIES, np.array(labels), rule) == threshold  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_no_other_threshold_is_more_accurate(images: list[tuple[float, bool]]) -> None:
    probabilities = np.array([probability for probability, _ in images])
    labels = np.array([label for _, label in images], int)
    if len(np.unique(labels)) < 2:
        return
    threshold = choose_threshold(probabilities, labels, "accuracy")
    assert 0 < threshold < 1
    # To 6 decimals, so images nearer than that may fall on the wrong side.
    if np.diff(np.unique([0, *probabilities, 1])).min() < 1e-5 or {0, 1} & set(probabilities.tolist()):
        return
    # All thresholds there can be: at an image, or above all.
    best = max(((probabilities >= candidate) == labels).mean() for candidate in [*probabilities, 2])
    assert ((probabilities >= threshold) == labels).mean() == best
