import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.comparison import compare_predictions, comparison_markdown, verdict
from tests.predictions import BAD, GOOD, predictions


def test_metrics_and_p_value_match_values_worked_out_by_hand() -> None:
    # Only the old model is right on one image, only the new one on nine: 2 * (1 + 10) / 2^10.
    old = predictions([True] * 91 + [False] * 9)
    new = predictions([False] + [True] * 99)
    comparison = compare_predictions(old, new, 200, 0)
    assert comparison["images"] == 100
    assert comparison["mcnemar"] == {"only_old_right": 1, "only_new_right": 9, "p_value": round(22 / 1024, 6)}
    accuracy = comparison["metrics"]["accuracy"]
    assert (accuracy["old"], accuracy["new"], accuracy["difference"]) == (0.91, 0.99, 0.08)
    assert accuracy["low"] < 0.08 < accuracy["high"]


def test_the_verdict_names_a_better_and_a_worse_model() -> None:
    assert verdict(compare_predictions(BAD, GOOD, 200, 0)).startswith("The new model is more accurate")
    assert verdict(compare_predictions(GOOD, BAD, 200, 0)).startswith("The new model is less accurate")
    page = comparison_markdown(compare_predictions(BAD, GOOD, 200, 0), "main", "this folder")
    assert "| log_loss |" in page
    assert "one in twenty would be called better or worse by chance alone" in page
    better = [line.split(" | ")[0] for line in page.splitlines() if line.endswith("| better |")]
    assert "| accuracy" in better
    # Lower is better.
    assert "| log_loss" in better


def test_the_same_predictions_show_no_difference_in_any_order() -> None:
    comparison = compare_predictions(GOOD, GOOD[::-1], 100, 0)
    assert verdict(comparison) == "Both models make the same predictions for all 200 images."
    assert all(
        metric["difference"] == metric["low"] == metric["high"] == 0 for metric in comparison["metrics"].values()
    )
    assert comparison["mcnemar"]["p_value"] == 1


def test_pairing_makes_small_differences_visible() -> None:
    # The new model gets 8 of the old one's 50 mistakes right. Unpaired, 0.04 would be lost in a deviation of 0.04.
    new = predictions([True] * 158 + [False] * 42)
    assert verdict(compare_predictions(BAD, new, 500, 0)).startswith("The new model is more accurate")


def test_other_images_or_labels_are_one_line() -> None:
    with pytest.raises(
        FacegenderError, match=r"test sets: 0199\.jpg is in only one of them \(images that differ: 1\); compare"
    ):
        compare_predictions(GOOD, GOOD[:-1], 100, 0)
    with pytest.raises(
        FacegenderError, match=r"test sets: 0003\.jpg has a different label in each \(images that differ: 2\); compare"
    ):
        compare_predictions(GOOD, GOOD.assign(label=GOOD["label"].where(~GOOD.index.isin([3, 5]), 0)), 100, 0)


def test_identities_that_only_one_revision_knows_are_resampled_for_both() -> None:
    known = GOOD.assign(identity=[number // 10 for number in range(len(GOOD))])
    for old, new in ((GOOD, known), (known, GOOD)):
        comparison = compare_predictions(old, new, 100, 0)
        assert comparison["resampled"] == "identities"
        assert comparison["metrics"]["accuracy"]["low"] == comparison["metrics"]["accuracy"]["high"] == 0
        assert "independent" in comparison_markdown(comparison, "old", "new")
    unknown = compare_predictions(GOOD, GOOD, 100, 0)
    assert unknown["resampled"] == "images"
    assert "independent" not in comparison_markdown(unknown, "old", "new")


def test_the_verdict_says_when_a_difference_is_not_significant() -> None:
    new = predictions([False] + [True] * 190 + [False] * 9)
    assert verdict(compare_predictions(GOOD, new, 200, 0)).startswith(
        "The difference in accuracy is not statistically significant: it is between -"
    )
