import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facegender.evaluation.slices import slice_summary, slice_table


def images(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions, half of them of Male images, wrong on exactly the Male images with a hat; and attributes."""
    ids = [f"{number:04}.jpg" for number in range(count)]
    labels = np.arange(count) % 2
    hats = np.arange(count) % 4 < 2
    predicted = np.where((labels == 1) & hats, 0, labels)
    predictions = pd.DataFrame(
        {"image_id": ids, "label": labels, "probability": np.where(predicted, 0.9, 0.2), "predicted": predicted}
    )
    attributes = pd.DataFrame(
        {"Male": labels, "Wearing_Hat": hats.astype(int), "Bald": (np.arange(count) < 8).astype(int)}, index=ids
    )
    # In another order, and with images outside the test set.
    return predictions, pd.concat([attributes, attributes.rename(index=lambda name: f"x{name}")])[::-1]


def rows(predictions: pd.DataFrame, attributes: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the rows by the name of their slice, in order."""
    table = slice_table(predictions, attributes, 100, 0).to_dict("records")
    return {row["slice"]: {str(key): value for key, value in row.items()} for row in table}


def test_slices_match_values_worked_out_by_hand() -> None:
    predictions, attributes = images(400)
    table = rows(predictions, attributes)

    assert list(table) == ["Wearing_Hat", "all images", "not Bald", "not Wearing_Hat", "Bald"]
    hat = table["Wearing_Hat"]
    assert (hat["images"], hat["male"], hat["no_male"], hat["judged"]) == (200, 100, 100, 1)
    assert (hat["recall"], hat["recall_no_male"], hat["balanced_accuracy"], hat["recall_gap"]) == (0, 1, 0.5, -1)
    assert table["not Wearing_Hat"]["accuracy"] == 1
    assert table["not Bald"]["images"] == 392
    assert table["Bald"]["judged"] == 0
    for row in table.values():
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


def test_the_label_itself_is_not_a_slice() -> None:
    predictions, attributes = images(40)
    assert not slice_table(predictions, attributes, 100, 0)["slice"].str.endswith("Male").any()


@pytest.mark.parametrize(("male", "no_male", "judged"), [(29, 40, 0), (40, 29, 0), (30, 30, 1)])
@pytest.mark.parametrize("by", ["images", "identities"])
def test_a_slice_is_judged_if_it_has_at_least_30_of_each_class(male: int, no_male: int, judged: int, by: str) -> None:
    copies = 1 if by == "images" else 3
    labels = np.repeat([1, 0], [copies * male, copies * no_male])
    ids = [f"{number:04}.jpg" for number in range(len(labels))]
    predictions = pd.DataFrame({"image_id": ids, "label": labels, "probability": 0.5, "predicted": 1})
    if by == "identities":
        predictions["identity"] = np.arange(len(labels)) // copies
    attributes = pd.DataFrame({"Male": labels, "Bald": 0}, index=ids)
    table = rows(predictions, attributes)
    assert list(table) == ["all images", "not Bald"]
    assert table["not Bald"]["male"] == copies * male
    assert table["not Bald"]["judged"] == judged


def test_a_slice_of_one_class_has_the_metrics_that_need_only_one() -> None:
    predictions, attributes = images(40)
    attributes["Bald"] = attributes["Male"]
    bald = rows(predictions, attributes)["Bald"]
    assert all(np.isnan(bald[name]) for name in ("balanced_accuracy", "roc_auc", "recall_no_male"))
    assert bald["accuracy"] == 0.5
    assert bald["judged"] == 0


def test_the_summary_has_the_worst_metrics_and_no_nan() -> None:
    summary = slice_summary(slice_table(*images(400), 100, 0))
    json.dumps(summary, allow_nan=False)
    assert summary == {
        "judged": 4,
        "too_small": 1,
        "worst_balanced_accuracy": 0.5,
        "worst_recall": 0,
        "worst_recall_no_male": 1,
        "largest_recall_gap": 1,
    }
    assert slice_summary(slice_table(*images(20), 100, 0)) == {"judged": 0, "too_small": 5}


def test_without_attributes_the_only_slice_is_all_images() -> None:
    predictions, attributes = images(100)
    assert list(rows(predictions, attributes[["Male"]].assign(partition=2))) == ["all images"]


def test_the_table_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = slice_table(*images(40), 50, 0)
    monkeypatch.setattr("facegender.evaluation.bootstrap._BLOCK", 40 * 7)
    pd.testing.assert_frame_equal(slice_table(*images(40), 50, 0), whole)
