import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facegender.evaluation.slices import LEAST_UNITS, slice_summary, slice_table


def images(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images of which every second is Male; the model fails on all Male images with a hat, and on no other."""
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
    # In another order, and with images that are in no test set.
    return predictions, pd.concat([attributes, attributes.rename(index=lambda name: f"x{name}")])[::-1]


def rows(predictions: pd.DataFrame, attributes: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Give the rows by the slice's name, in order."""
    table = slice_table(predictions, attributes, 100, 0).to_dict("records")
    return {row["slice"]: {str(key): value for key, value in row.items()} for row in table}


def test_slices_are_those_worked_by_hand() -> None:
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


def test_the_label_itself_is_no_slice() -> None:
    predictions, attributes = images(40)
    assert not slice_table(predictions, attributes, 100, 0)["slice"].str.endswith("Male").any()


@pytest.mark.parametrize(("count", "judged"), [(2 * LEAST_UNITS - 2, 0), (2 * LEAST_UNITS, 1)])
def test_a_slice_is_judged_from_a_number_of_images_on(count: int, judged: int) -> None:
    predictions, attributes = images(count)
    attributes["Bald"] = 0
    table = rows(predictions, attributes)
    assert table["not Bald"]["judged"] == judged
    assert "Bald" not in table


def test_a_slice_of_one_class_has_what_it_can_have() -> None:
    predictions, attributes = images(40)
    attributes["Bald"] = attributes["Male"]
    bald = rows(predictions, attributes)["Bald"]
    assert all(np.isnan(bald[name]) for name in ("balanced_accuracy", "roc_auc", "recall_no_male"))
    assert bald["accuracy"] == 0.5
    assert bald["judged"] == 0


def test_the_summary_has_finite_numbers_and_the_worst_ones() -> None:
    summary = slice_summary(slice_table(*images(400), 100, 0))
    json.dumps(summary, allow_nan=False)
    assert summary == {
        "judged": 4,
        "too_small": 1,
        "worst_balanced_accuracy": 0.5,
        "worst_recall": 0,
        "worst_recall_no_male": 1,
        "largest_recall_gap": -1,
    }
    assert slice_summary(slice_table(*images(20), 100, 0)) == {"judged": 0, "too_small": 5}


def test_without_attributes_there_are_all_images() -> None:
    predictions, attributes = images(100)
    assert list(rows(predictions, attributes[["Male"]].assign(partition=2))) == ["all images"]


def test_persons_and_not_their_images_make_a_slice_large_enough() -> None:
    predictions, attributes = images(400)
    of_one = predictions.assign(identity=np.arange(400) % 2)
    assert rows(of_one, attributes)["all images"]["judged"] == 0
    of_many = predictions.assign(identity=np.arange(400) % 80)
    assert rows(of_many, attributes)["all images"]["judged"] == 1


def test_blocks_of_samples_give_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = slice_table(*images(40), 50, 0)
    monkeypatch.setattr("facegender.evaluation.bootstrap._BLOCK", 40 * 7)
    pd.testing.assert_frame_equal(slice_table(*images(40), 50, 0), whole)
