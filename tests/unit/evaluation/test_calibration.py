import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from facegender.evaluation.calibration import (
    choose_threshold,
    fit_temperature,
    is_male,
    probabilities_at,
    undo_temperature,
)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_fitting_recovers_the_temperature_that_made_the_logits(temperature: float) -> None:
    generator = np.random.default_rng(0)
    true_logits = generator.normal(0, 2, 40_000)
    labels = (generator.random(40_000) < expit(true_logits)).astype(int)
    assert fit_temperature(true_logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_a_temperature_matches_the_value_worked_out_by_hand() -> None:
    # All logits are +2 and 3 in 4 are right, so the best probability is 3/4: 2 / T = log 3.
    labels = np.array([1, 1, 1, 0])
    assert fit_temperature(np.full(4, 2.0), labels) == round(2 / math.log(3), 6)
    # All logits are +5 and 9 in 10 are right: 5 / T = log 9.
    assert fit_temperature(np.full(10, 5.0), np.array([1] * 9 + [0])) == round(5 / math.log(9), 6)


def test_perfect_logits_stay_within_bounds() -> None:
    assert fit_temperature(np.array([5.0, -5.0]), np.array([1, 0])) == pytest.approx(0.2, abs=1e-3)
    assert fit_temperature(np.array([-5.0, 5.0]), np.array([1, 0])) == pytest.approx(20, rel=1e-3)


def test_a_temperature_changes_neither_the_order_nor_the_side_of_one_half() -> None:
    logits = np.array([-400.0, -1.0, 0.0, 2.0, 400.0])
    probabilities = probabilities_at(logits, 3.0)
    assert (np.diff(probabilities) > 0).all()
    assert probabilities.tolist() == pytest.approx([0, 1 / (1 + math.exp(1 / 3)), 0.5, 1 / (1 + math.exp(-2 / 3)), 1])


def test_probabilities_are_float64_whatever_the_logits_are() -> None:
    found = probabilities_at(np.array([-1, 0.5], np.float32), 3.0)
    assert found.dtype == np.float64
    # In float32, only the first 7 digits would be right.
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(1 / 3)), 1 / (1 + math.exp(-1 / 6))], rel=1e-14)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_undoing_a_temperature_gives_the_probabilities_at_1(temperature: float) -> None:
    logits = np.array([-2.0, -0.5, 0.0, 1.0, 2.5])
    again = undo_temperature(probabilities_at(logits, temperature), temperature)
    assert again == pytest.approx(expit(logits))


def test_undoing_a_temperature_clips_at_the_last_written_decimal() -> None:
    # The odds 1e-6 / (1 - 1e-6) to the power of 1/2 are 1e-3, to 1e-9.
    low, high = undo_temperature(np.array([0, 1], np.float32), 0.5)
    assert low == pytest.approx(1e-3 / (1 + 1e-3), abs=1e-8)
    assert high == pytest.approx(1 / (1 + 1e-3), abs=1e-8)
    assert undo_temperature(4e-7, 0.5) == low
    assert undo_temperature(2e-6, 0.5) > low


def test_an_image_at_the_threshold_is_male() -> None:
    assert is_male([0.0, 0.299999, 0.3, 1.0], 0.3).tolist() == [False, False, True, True]
    assert is_male(np.array([[0.2], [0.4]], np.float32), 0.3).tolist() == [[False], [True]]
    assert (bool(is_male(0.3, 0.3)), bool(is_male(0.29, 0.3))) == (True, False)


def test_a_float32_is_compared_as_the_number_it_is() -> None:
    # The float32 next to 0.7 is 0.699999988.
    assert not is_male(np.array([0.7], np.float32), 0.7).any()


def test_the_rule_loads_no_slow_library() -> None:
    program = (
        "import sys; import facegender.evaluation.calibration\n"
        "print(*sorted({'pandas', 'sklearn', 'scipy', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])


@pytest.mark.parametrize(
    ("labels", "rule", "threshold"),
    [
        # All predicted Male: four are right, and fewer at any other threshold.
        ([1, 1, 1, 1, 0, 0], "accuracy", 0.05),
        # Between 0.2 and 0.3 all are right.
        ([0, 0, 1, 1, 1, 1], "accuracy", 0.25),
        # One mistake, the Male at 0.2: at no other threshold is there only one.
        ([0, 1, 0, 0, 1, 1], "accuracy", 0.5),
        # Two mistakes at 0.15, at 0.35 and at 0.75: the second is nearest to 0.5.
        ([0, 1, 0, 1, 0, 1], "accuracy", 0.35),
        # All predicted No male: one mistake.
        ([1, 0, 0, 0, 0, 0], "accuracy", 0.95),
        # At 0.35 one of three Male is missed, and one of three No male is mistaken for Male.
        ([0, 1, 0, 1, 0, 1], "equal_error", 0.35),
        # At 0.35 one of two and two of four. At 0.75 there is only one mistake, but one class has it.
        ([1, 0, 0, 0, 0, 1], "equal_error", 0.35),
        ([0, 1, 0, 1, 0, 1], 0.8, 0.8),
    ],
)
def test_thresholds_match_values_worked_out_by_hand(labels: list[int], rule: str | float, threshold: float) -> None:
    assert choose_threshold(PROBABILITIES, np.array(labels), rule) == threshold  # type: ignore[arg-type]


def test_a_threshold_is_never_1_which_would_allow_no_prediction_of_male() -> None:
    # The best threshold is between 0.9999999 and 1.
    assert choose_threshold(np.array([0.1, 0.2, 0.9999999]), np.array([1, 0, 0]), "accuracy") == 0.999999


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_no_other_threshold_is_more_accurate(images: list[tuple[float, bool]]) -> None:
    probabilities = np.array([probability for probability, _ in images])
    labels = np.array([label for _, label in images], int)
    if len(np.unique(labels)) < 2:
        return
    threshold = choose_threshold(probabilities, labels, "accuracy")
    assert 0 < threshold < 1
    # The threshold has 6 decimals, so images nearer to each other than that may fall on the wrong side.
    if np.diff(np.unique([0, *probabilities, 1])).min() < 1e-5 or {0, 1} & set(probabilities.tolist()):
        return
    # All possible thresholds: at an image, or above all.
    best = max(((probabilities >= candidate) == labels).mean() for candidate in [*probabilities, 2])
    assert ((probabilities >= threshold) == labels).mean() == best
