import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.comparison import (
    against_baseline,
    compare_predictions,
    comparison_markdown,
    difference_in_accuracy,
    judgement,
    mcnemar_text,
    metrics_table,
)
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
    assert difference_in_accuracy(compare_predictions(BAD, GOOD, 200, 0)).startswith("The new model is more accurate")
    assert difference_in_accuracy(compare_predictions(GOOD, BAD, 200, 0)).startswith("The new model is less accurate")
    accuracy = {"old": 0.78, "new": 0.94, "difference": 0.16, "low": 0.1234, "high": 0.2}
    comparison = {"images": 400, "same": False, "metrics": {"accuracy": accuracy}}
    assert difference_in_accuracy(comparison) == (
        "The new model is more accurate: the difference is between +12.3 and +20.0 percentage points (95% interval)."
    )
    narrow = comparison | {"metrics": {"accuracy": accuracy | {"low": 0.1564, "high": 0.1638}}}
    assert "+15.64 and +16.38" in difference_in_accuracy(narrow)
    page = comparison_markdown("In short.", compare_predictions(BAD, GOOD, 200, 0), "main", "this folder")
    assert page.startswith("In short.\n\n| Metric | main | this folder | Difference (95% interval) | Judgement |\n")
    assert "| log_loss |" in page
    assert page.endswith(
        "images, main alone gets 0 right, this folder alone 40.\n\nThe verdict is on accuracy, which was chosen in "
        "advance. Of the other metrics, about one in twenty would be called better or worse by chance alone.\n"
    )
    better = [line.split(" | ")[0] for line in page.splitlines() if line.endswith("| better |")]
    assert "| accuracy" in better
    # Lower is better.
    assert "| log_loss" in better


def test_the_same_predictions_show_no_difference_in_any_order() -> None:
    # In a table that was read from a file, the row numbers follow its order.
    comparison = compare_predictions(GOOD, GOOD[::-1].reset_index(drop=True), 100, 0)
    assert comparison["same"] is True
    assert difference_in_accuracy(comparison) == "Both models make the same predictions for all 200 images."
    assert all(
        metric["difference"] == metric["low"] == metric["high"] == 0 for metric in comparison["metrics"].values()
    )
    assert comparison["mcnemar"]["p_value"] == 1


@pytest.mark.parametrize(
    ("low", "high", "begins"),
    [
        (0.0, 0.2, "The difference in accuracy is not statistically significant: it is between +0"),
        (-0.2, 0.0, "The difference in accuracy is not statistically significant: it is between -20"),
        (-0.2, 0.005, "The difference in accuracy is not statistically significant: it is between -20"),
        # Half a percentage point.
        (0.005, 0.2, "The new model is more accurate: the difference is between +0.5 and +20.0 percentage points"),
        (-0.2, -0.005, "The new model is less accurate: the difference is between -20.0 and -0.5 percentage points"),
    ],
)
def test_only_an_interval_without_0_makes_a_model_more_or_less_accurate(low: float, high: float, begins: str) -> None:
    accuracy = {"old": 0.78, "new": 0.8, "difference": 0.02, "low": low, "high": high}
    comparison = {"images": 400, "same": False, "metrics": {"accuracy": accuracy}}

    assert difference_in_accuracy(comparison).startswith(begins)


def test_pairing_makes_small_differences_visible() -> None:
    # The new model gets 8 of the old one's 50 mistakes right. Unpaired, 0.04 would be lost in a deviation of 0.04.
    new = predictions([True] * 158 + [False] * 42)
    assert difference_in_accuracy(compare_predictions(BAD, new, 500, 0)).startswith("The new model is more accurate")


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
        assert mcnemar_text(comparison, "old", "new").endswith(
            "images, old alone gets 0 right, new alone 0. The test assumes independent images, which images of one "
            "identity are not."
        )
    unknown = compare_predictions(GOOD, GOOD, 100, 0)
    assert unknown["resampled"] == "images"
    assert "independent" not in mcnemar_text(unknown, "old", "new")


def test_the_verdict_says_when_a_difference_is_not_significant() -> None:
    new = predictions([False] + [True] * 190 + [False] * 9)
    assert difference_in_accuracy(compare_predictions(GOOD, new, 200, 0)).startswith(
        "The difference in accuracy is not statistically significant: it is between -"
    )


def test_a_row_has_both_values_the_difference_with_its_interval_and_the_judgement() -> None:
    comparison = compare_predictions(BAD, GOOD, 200, 0)
    metric = {"old": 0.75, "new": 0.95, "difference": 0.2, "low": 0.15, "high": 0.26}
    comparison["metrics"] |= {"accuracy": metric, "log_loss": metric}

    table = metrics_table(comparison, "base", "this", ["log_loss", "accuracy"])

    assert table.splitlines() == [
        "| Metric | base | this | Difference (95% interval) | Judgement |",
        "| --- | ---: | ---: | ---: | --- |",
        "| log_loss | 0.750 | 0.950 | +0.200 (+0.150 to +0.260) | worse |",
        "| accuracy | 0.750 | 0.950 | +0.200 (+0.150 to +0.260) | better |",
    ]
    comparison["metrics"]["accuracy"] = metric | {"low": 0.196, "high": 0.204}
    narrower = metrics_table(comparison, "base", "this", ["accuracy"])
    assert "| 0.7500 | 0.9500 | +0.2000 (+0.1960 to +0.2040) |" in narrower


@pytest.mark.parametrize(
    ("low", "high", "accuracy", "log_loss"),
    [
        (0.1, 0.2, "better", "worse"),
        (-0.2, -0.1, "worse", "better"),
        (-0.1, 0.2, "not significantly different", "not significantly different"),
        (0.0, 0.2, "not significantly different", "not significantly different"),
        (-0.2, 0.0, "not significantly different", "not significantly different"),
        (float("nan"), float("nan"), "not significantly different", "not significantly different"),
    ],
)
def test_only_an_interval_without_0_is_better_or_worse(low: float, high: float, accuracy: str, log_loss: str) -> None:
    metric = {"low": low, "high": high}
    assert (judgement("accuracy", metric), judgement("log_loss", metric)) == (accuracy, log_loss)


@pytest.mark.parametrize(
    ("images", "low", "high", "sentence"),
    [
        (400, 0.12, 0.2, "Better than its baseline: 0.94 against 0.78 on 400 test images (difference 0.12 to 0.20)."),
        (
            4640,
            0.1564,
            0.1638,
            "Better than its baseline: 0.940 against 0.780 on 4,640 test images (difference 0.156 to 0.164).",
        ),
        (
            400,
            0.0,
            0.2,
            "Not clearly better than its baseline: 0.94 against 0.78 on 400 test images (difference 0.00 to 0.20).",
        ),
        (
            400,
            -0.004,
            0.2,
            "Not clearly better than its baseline: 0.940 against 0.780 on 400 test images (difference -0.004 to "
            "0.200).",
        ),
        (
            400,
            0.004,
            0.2,
            "Better than its baseline: 0.940 against 0.780 on 400 test images (difference 0.004 to 0.200).",
        ),
        (
            400,
            -0.2,
            -0.12,
            "Worse than its baseline: 0.94 against 0.78 on 400 test images (difference -0.20 to -0.12).",
        ),
    ],
)
def test_the_verdict_against_the_baseline_is_one_sentence(images: int, low: float, high: float, sentence: str) -> None:
    accuracy = {"old": 0.78, "new": 0.94, "difference": 0.16, "low": low, "high": high}
    assert against_baseline({"images": images, "metrics": {"accuracy": accuracy}}).sentence == sentence


def test_the_verdict_against_the_baseline_of_real_predictions() -> None:
    found = against_baseline(compare_predictions(BAD, GOOD)).sentence
    assert found.startswith("Better than its baseline: 0.95 against 0.75 on 200 test images (difference 0.1")
    found = against_baseline(compare_predictions(GOOD, BAD)).sentence
    assert found.startswith("Worse than its baseline: 0.75 against 0.95 on 200 test images")
    assert against_baseline(compare_predictions(GOOD, GOOD)).sentence == (
        "Not clearly better than its baseline: 0.95 against 0.95 on 200 test images (difference 0.00 to 0.00)."
    )


@pytest.mark.parametrize(
    ("only_old", "only_new", "words"),
    [
        # 2 * sum(binomial(19, k), k = 0 to 7) / 2^19 = 0.3593.
        (12, 7, "p = 0.36 (12 against 7 discordant)"),
        (7, 12, "p = 0.36 (7 against 12 discordant)"),
        # 2 * (1 + 10) / 2^10 = 0.0215.
        (1, 9, "p = 0.021 (1 against 9 discordant)"),
        # 2 / 2^20.
        (0, 20, "p < 0.001 (0 against 20 discordant)"),
        (0, 0, "p = 1 (0 against 0 discordant)"),
    ],
)
def test_mcnemar_s_test_in_words(only_old: int, only_new: int, words: str) -> None:
    old = predictions([False] * only_new + [True] * (100 - only_new))
    new = predictions([True] * (100 - only_old) + [False] * only_old)

    text = mcnemar_text(compare_predictions(old, new, 100, 0), "main", "this folder")

    assert text == (
        f"McNemar's exact test: {words}. Of the 100 images, main alone gets {only_old} right, this folder alone "
        f"{only_new}."
    )


@pytest.mark.parametrize(("p_value", "words"), [(0.001, "p = 0.001"), (0.000999, "p < 0.001"), (0.04567, "p = 0.046")])
def test_a_p_value_has_two_digits_but_not_below_one_in_a_thousand(p_value: float, words: str) -> None:
    mcnemar = {"only_old_right": 1, "only_new_right": 2, "p_value": p_value}
    comparison = {"images": 400, "resampled": "images", "mcnemar": mcnemar}

    assert mcnemar_text(comparison, "old", "new").startswith(f"McNemar's exact test: {words} (1 against 2 discordant).")


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
