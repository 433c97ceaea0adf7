import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from facegender.evaluation.slices import slice_summary, slice_table, standing_out, wilson_interval

ALL = {("all images", "Male"), ("all images", "No male")}


def images(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions, half of them of Male images, wrong on exactly the Male images with a hat; and attributes."""
    ids = [f"{number:04}.jpg" for number in range(count)]
    labels = np.arange(count) % 2
    hats = np.arange(count) % 4 < 2
    predicted = np.where((labels == 1) & hats, 0, labels)
    predictions = pd.DataFrame({"image_id": ids, "label": labels, "predicted": predicted})
    attributes = pd.DataFrame(
        {"Male": labels, "Wearing_Hat": hats.astype(int), "Bald": (np.arange(count) < 8).astype(int)}, index=ids
    )
    # In another order, and with images outside the test set.
    return predictions, pd.concat([attributes, attributes.rename(index=lambda name: f"x{name}")])[::-1]


def of_one_class(units: int, has: int, right: int, copies: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions of so many Male images, or identities of `copies` images; the first `has` wear a hat."""
    count = units * copies
    ids = [f"{number:04}.jpg" for number in range(count)]
    unit = np.arange(count) // copies
    predictions = pd.DataFrame({"image_id": ids, "label": 1, "predicted": (unit < right).astype(int)})
    if copies > 1:
        predictions["identity"] = unit
    return predictions, pd.DataFrame({"Male": 1, "Wearing_Hat": (unit < has).astype(int)}, index=ids)


def rows(predictions: pd.DataFrame, attributes: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows by slice and class, in order."""
    table = slice_table(predictions, attributes).to_dict("records")
    return {(row["slice"], row["class"]): {str(key): value for key, value in row.items()} for row in table}


def test_slices_match_values_worked_out_by_hand() -> None:
    table = rows(*images(400))

    # Wilson's interval of no success in 100 ends at z² / (100 + z²).
    end = 1.959964**2 / (100 + 1.959964**2)
    hat = table["Wearing_Hat", "Male"]
    assert (hat["images"], hat["units"], hat["recall"], hat["judged"], hat["difference"]) == (100, 100, 0, 1, -0.5)
    assert (hat["low"], hat["high"], hat["beyond"]) == pytest.approx((0, end, 0.5 - end), abs=1e-6)
    without = table["not Wearing_Hat", "Male"]
    assert (without["recall"], without["difference"]) == (1, 0.5)
    assert (without["low"], without["high"], without["beyond"]) == pytest.approx((1 - end, 1, 0.5 - end), abs=1e-6)
    assert table["Wearing_Hat", "No male"]["beyond"] == 0
    assert table["all images", "Male"]["recall"] == 0.5


def test_the_furthest_beyond_its_interval_comes_first_and_what_is_too_small_last() -> None:
    # `not Bald` is left out, as 2% are bald.
    assert list(rows(*images(400))) == [
        ("all images", "Male"),
        ("all images", "No male"),
        ("Wearing_Hat", "Male"),
        ("not Wearing_Hat", "Male"),
        ("Wearing_Hat", "No male"),
        ("not Wearing_Hat", "No male"),
        ("Bald", "Male"),
        ("Bald", "No male"),
    ]


def test_judged_rows_inside_their_interval_are_in_the_order_of_their_difference_and_the_others_of_their_name() -> None:
    # Of 100 Male images the first 10 are wrong. No interval leaves the recall of 0.9 outside.
    number = np.arange(100)
    has = {
        name: (number < wrong) | ((number >= 10) & (number < 10 + right))
        for name, wrong, right in [("A", 4, 36), ("C", 2, 38), ("B", 5, 35), ("Z", 0, 5), ("Y", 4, 4), ("X", 1, 9)]
    }
    attributes = pd.DataFrame({"Male": True} | has, [f"{index}.jpg" for index in number]).astype(int)
    predictions = pd.DataFrame({"image_id": attributes.index, "label": 1, "predicted": (number >= 10).astype(int)})

    table = slice_table(predictions, attributes)

    assert list(table.columns) == [
        *("slice", "class", "images", "units", "recall", "low", "high", "judged", "difference", "beyond")
    ]
    assert table["beyond"].max() == 0
    sizes = table.loc[(table["judged"] == 1) & (table["slice"] != "all images"), "difference"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 2
    assert [name for name, judged in zip(table["slice"], table["judged"], strict=True) if not judged] == ["X", "Y", "Z"]


@pytest.mark.parametrize(("share", "count"), [(0, 1), (0, 30), (0.5, 10), (0.9, 40), (1, 30), (0.25, 20_000)])
def test_wilsons_interval_is_that_of_scipy(share: float, count: int) -> None:
    expected = binomtest(round(share * count), count).proportion_ci(method="wilson")

    assert wilson_interval(share, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_small_slice_without_a_mistake_does_not_stand_out() -> None:
    # 34 of 34 with a hat, and 20 of 26 without: the interval of the first has a width, and includes 54 of 60.
    predictions, attributes = of_one_class(60, has=34, right=54)

    assert rows(predictions, attributes)["Wearing_Hat", "Male"]["recall"] == 1
    assert standing_out(slice_table(predictions, attributes)).empty


def test_the_label_itself_is_not_a_slice() -> None:
    assert not {name for name, _ in rows(*images(40)) if name.endswith("Male")}


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize(("has", "judged", "interval"), [(9, 0, False), (10, 0, True), (29, 0, True), (30, 1, True)])
def test_a_recall_is_judged_from_30_of_its_class_on_and_has_an_interval_from_10(
    has: int, judged: int, interval: bool, copies: int
) -> None:
    row = rows(*of_one_class(40, has, right=20, copies=copies))["Wearing_Hat", "Male"]

    # Images of one identity count once.
    assert (row["images"], row["units"], row["judged"]) == (copies * has, has, judged)
    assert np.isfinite([row["low"], row["high"], row["beyond"]]).all() == interval


def test_a_class_is_judged_though_the_other_is_missing() -> None:
    table = slice_table(*of_one_class(40, has=40, right=20))

    assert set(table["class"]) == {"Male"}
    assert slice_summary(table) == {
        "judged": 1,
        "too_small": 0,
        "stand_out": 0,
        "worst_recall": 0.5,
    }


@pytest.mark.parametrize(("has", "listed"), [(0, False), (19, False), (20, True), (100, False)])
def test_images_without_an_attribute_are_a_slice_only_if_a_fifth_of_the_class_have_it(has: int, listed: bool) -> None:
    assert (("not Wearing_Hat", "Male") in rows(*of_one_class(100, has, right=90))) == listed


def test_the_summary_has_the_worst_judged_recalls_and_no_nan() -> None:
    summary = slice_summary(slice_table(*images(400)))

    json.dumps(summary, allow_nan=False)
    assert summary == {
        "judged": 4,
        "too_small": 2,
        "stand_out": 2,
        "worst_recall": 0,
        "worst_recall_no_male": 1,
        "worst_balanced_accuracy": 0.5,
        "largest_recall_gap": 1,
    }
    # 10 of each class; `not Bald` is a slice, as 4 of them are bald.
    assert slice_summary(slice_table(*images(20))) == {"judged": 0, "too_small": 8, "stand_out": 0}


def test_without_attributes_the_only_slice_is_all_images() -> None:
    predictions, attributes = images(100)

    assert set(rows(predictions, attributes[["Male"]].assign(partition=2))) == ALL
