import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.comparison import compare_predictions, comparison_markdown, verdict
from facegender.evaluation.predictions import parse_predictions
from tests.predictions import BAD, GOOD, predictions


def test_figures_and_test_are_those_worked_by_hand() -> None:
    # The old model alone is right on one image, the new one on nine: 2 * (1 + 10) / 2^10.
    old = predictions([True] * 91 + [False] * 9)
    new = predictions([False] + [True] * 99)
    comparison = compare_predictions(old, new, 200, 0)
    assert comparison["images"] == 100
    assert comparison["mcnemar"] == {"only_old_right": 1, "only_new_right": 9, "p_value": round(22 / 1024, 6)}
    accuracy = comparison["figures"]["accuracy"]
    assert (accuracy["old"], accuracy["new"], accuracy["difference"]) == (0.91, 0.99, 0.08)
    assert accuracy["low"] < 0.08 < accuracy["high"]


def test_a_better_and_a_worse_model_are_called_so() -> None:
    assert verdict(compare_predictions(BAD, GOOD, 200, 0)).startswith("The new model is more accurate")
    assert verdict(compare_predictions(GOOD, BAD, 200, 0)).startswith("The new model is less accurate")
    page = comparison_markdown(compare_predictions(BAD, GOOD, 200, 0), "main", "this folder")
    assert "| log_loss |" in page
    assert "one in twenty would be called better or worse by chance alone" in page
    better = [line.split(" | ")[0] for line in page.splitlines() if line.endswith("| better |")]
    assert "| accuracy" in better
    # Where less is better.
    assert "| log_loss" in better


def test_the_same_predictions_show_no_difference_in_any_order() -> None:
    comparison = compare_predictions(GOOD, GOOD[::-1], 100, 0)
    assert verdict(comparison) == "Both models predict the same of all 200 images."
    assert all(
        figure["difference"] == figure["low"] == figure["high"] == 0 for figure in comparison["figures"].values()
    )
    assert comparison["mcnemar"]["p_value"] == 1


def test_pairing_makes_small_differences_visible() -> None:
    # Both fail on the same 50; the new one mends 8 of them. Unpaired, 0.04 would be lost in a deviation of 0.04.
    new = predictions([True] * 158 + [False] * 42)
    assert verdict(compare_predictions(BAD, new, 500, 0)).startswith("The new model is more accurate")


def test_other_images_or_labels_are_one_line() -> None:
    with pytest.raises(FacegenderError, match=r"differ in 1 images \(0199\.jpg for one\)"):
        compare_predictions(GOOD, GOOD[:-1], 100, 0)
    with pytest.raises(FacegenderError, match=r"2 images have another label \(0003\.jpg"):
        compare_predictions(GOOD, GOOD.assign(label=GOOD["label"].where(~GOOD.index.isin([3, 5]), 0)), 100, 0)


def test_persons_that_one_revision_alone_knows_are_drawn_for_both() -> None:
    known = GOOD.assign(identity=[number // 10 for number in range(len(GOOD))])
    for old, new in ((GOOD, known), (known, GOOD)):
        comparison = compare_predictions(old, new, 100, 0)
        assert comparison["drawn"] == "persons"
        assert comparison["figures"]["accuracy"]["low"] == comparison["figures"]["accuracy"]["high"] == 0
        assert "independent" in comparison_markdown(comparison, "old", "new")
    assert "independent" not in comparison_markdown(compare_predictions(GOOD, GOOD, 100, 0), "old", "new")


def test_a_difference_that_chance_explains_is_called_so() -> None:
    new = predictions([False] + [True] * 190 + [False] * 9)
    assert verdict(compare_predictions(GOOD, new, 200, 0)).startswith(
        "No difference in accuracy is shown: the new model's"
    )


def test_predictions_are_read_as_they_were_written() -> None:
    pd.testing.assert_frame_equal(parse_predictions(GOOD.to_csv(index=False), "here"), GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "image_id,label,probability\n1.jpg,1,0.5\n",
        "image_id,label,probability,predicted\n1.jpg,1,x,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,2.5,1\n",
        "image_id,label,probability,predicted\n1.jpg,2,0.5,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,0.5,1\n1.jpg,1,0.5,1\n",
    ],
)
def test_other_files_are_one_line(text: str) -> None:
    with pytest.raises(
        FacegenderError, match=r"main: data/predictions\.csv: not what the stage evaluate writes"
    ) as caught:
        parse_predictions(text, "main: data/predictions.csv")
    assert "\n" not in str(caught.value)
