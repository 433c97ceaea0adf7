from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facegender.errors import FacegenderError
from facegender.evaluation.predictions import (
    captions_of,
    most_confident_mistakes,
    parse_predictions,
    predictions_table,
    read_predictions,
)
from tests.predictions import GOOD

ROWS = pd.DataFrame(
    {"image_id": ["d.jpg", "b.jpg", "a.jpg", "c.jpg"], "label": [1, 1, 0, 0], "identity": [40, 20, 10, 30]}
)


def build(**changes: Any) -> pd.DataFrame:
    """Build a table of c, a and b; d was skipped as bad."""
    arguments: dict[str, Any] = {
        "rows": ROWS,
        "image_ids": ["c.jpg", "a.jpg", "b.jpg"],
        "labels": np.array([0, 0, 1], np.int8),
        "probabilities": np.array([0.49999999, 0.25, 0.12345678]),
        "threshold": 0.5,
        "name": "test.csv",
    }
    return predictions_table(**(arguments | changes))


def test_predictions_are_matched_to_rows_by_id_and_sorted_by_it() -> None:
    table = build()
    assert table.to_dict("list") == {
        "image_id": ["a.jpg", "b.jpg", "c.jpg"],
        "label": [0, 1, 0],
        # The rounded probability is compared with the threshold, so that the table agrees with itself.
        "probability": [0.25, 0.123457, 0.5],
        "predicted": [0, 0, 1],
        "identity": [10, 20, 30],
    }
    assert list(table.columns) == ["image_id", "label", "probability", "predicted", "identity"]
    assert {str(table[name].dtype) for name in ("label", "predicted", "identity")} == {"int64"}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_and_of_predictions_changes_nothing(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(3)
    shuffled = build(
        rows=ROWS.sample(frac=1, random_state=seed),
        image_ids=np.array(["c.jpg", "a.jpg", "b.jpg"])[order].tolist(),
        labels=np.array([0, 0, 1])[order],
        probabilities=np.array([0.49999999, 0.25, 0.12345678])[order],
    )
    pd.testing.assert_frame_equal(shuffled, build())


def test_without_identities_there_is_no_such_column() -> None:
    pd.testing.assert_frame_equal(build(rows=ROWS.drop(columns="identity")), build().drop(columns="identity"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ROWS[ROWS["image_id"] != "a.jpg"]}, "test.csv: a.jpg: was predicted but is not in this table"),
        ({"rows": pd.concat([ROWS, ROWS[:1]])}, "test.csv: d.jpg: appears twice"),
        ({"image_ids": ["c.jpg", "a.jpg", "c.jpg"]}, "test.csv: c.jpg: was predicted twice"),
        (
            {"labels": np.array([0, 1, 1])},
            "test.csv: a.jpg: has label 0 here, but was stored with 1 for prediction",
        ),
    ],
)
def test_predictions_of_other_images_are_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        build(**changes)
    assert str(caught.value) == f"{message}; run: dvc repro"


def test_a_probability_that_is_none_names_the_table() -> None:
    with pytest.raises(FacegenderError, match=r"^test\.csv: probability 1: nan is not from 0 to 1; train again"):
        build(probabilities=np.array([0.5, np.nan, 0.1]))


def test_a_written_table_is_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    build().to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_predictions(path), build())
    pd.testing.assert_frame_equal(parse_predictions(GOOD.to_csv(index=False), "here"), GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "image_id,label,probability\n1.jpg,1,0.5\n",
        "image_id,label,probability,predicted\n1.jpg,1,x,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,2.5,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,1.000001,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,-0.000001,0\n",
        "image_id,label,probability,predicted\n1.jpg,2,0.5,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,0.5,2\n",
        "image_id,label,probability,predicted\n1.jpg,1,,1\n",
        "image_id,label,probability,predicted\n1.jpg,1,0.5,1\n1.jpg,1,0.5,1\n",
    ],
)
def test_other_content_is_one_clear_line(text: str) -> None:
    with pytest.raises(
        FacegenderError, match=r"^main: data/predictions\.csv: not a table of predictions; run: dvc"
    ) as caught:
        parse_predictions(text, "main: data/predictions.csv")
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FacegenderError, match=r"missing\.csv: No such file or directory; run: dvc repro"):
        read_predictions(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FacegenderError, match=r"binary\.csv: not a table of predictions"):
        read_predictions(tmp_path / "binary.csv")


def mistakes(probabilities: list[float]) -> pd.DataFrame:
    """Return predictions of f, e, d, ..., which are No male and Male in turn."""
    ids, labels = list("fedcba")[: len(probabilities)], [number % 2 for number in range(len(probabilities))]
    rows = pd.DataFrame({"image_id": ids, "label": labels})
    return predictions_table(rows, ids, labels, probabilities, 0.5, "test.csv")


def test_most_confident_mistakes_come_worst_first() -> None:
    table = mistakes([0.9, 0.1, 0.6, 0.05, 0.2, 0.7])
    assert most_confident_mistakes(table, 3)["image_id"].tolist() == ["c", "e", "f"]
    assert most_confident_mistakes(table, 12)["image_id"].tolist() == ["c", "e", "f", "d"]
    assert list(most_confident_mistakes(table, 3).columns) == list(table.columns)


def test_no_mistakes_give_an_empty_table() -> None:
    assert most_confident_mistakes(mistakes([0.1, 0.9]), 3).empty


def test_captions_are_in_the_order_of_the_table() -> None:
    worst = most_confident_mistakes(mistakes([0.9, 0.05]), 2)
    assert list(captions_of(worst).items()) == [
        ("e", "label Male, predicted No male, 0.05\ne"),
        ("f", "label No male, predicted Male, 0.90\nf"),
    ]
