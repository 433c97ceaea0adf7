import pytest

from facegender.evaluation.verdict import against_baseline


@pytest.mark.parametrize(
    ("low", "high", "standing", "begins"),
    [
        (0.01, 0.09, "better", "Better than its baseline: 0.85 against 0.80 on 400 test images"),
        (-0.09, -0.01, "worse", "Worse than its baseline"),
        (-0.01, 0.09, "unclear", "Not clearly better than its baseline"),
    ],
)
def test_the_interval_of_the_difference_in_accuracy_decides(
    low: float, high: float, standing: str, begins: str
) -> None:
    accuracy = {"old": 0.8, "new": 0.85, "difference": 0.05, "low": low, "high": high}

    verdict = against_baseline({"images": 400, "metrics": {"accuracy": accuracy}})

    assert verdict.standing == standing
    assert verdict.sentence.startswith(begins)
