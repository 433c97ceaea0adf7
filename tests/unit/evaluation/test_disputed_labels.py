import numpy as np
import pandas as pd
import pytest

from facegender.evaluation.disputed_labels import disputed_labels, why_no_label_is_disputed
from facegender.evaluation.verdict import Verdict


def table(labels: list[int], probabilities: list[float]) -> pd.DataFrame:
    ids = [f"{number}.jpg" for number in range(len(labels))]
    return pd.DataFrame({"image_id": ids, "label": labels, "probability": probabilities})


def test_swapped_labels_are_found_the_most_confident_first() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    probabilities = np.clip(np.where(labels == 1, 0.9, 0.1) + generator.normal(0, 0.03, 200), 0.01, 0.99)
    probabilities[7], probabilities[12] = 0.02, 0.97
    found = disputed_labels(table(labels.tolist(), probabilities.tolist()))
    assert found["image_id"].tolist() == ["7.jpg", "12.jpg"]
    assert list(found.columns) == ["image_id", "label", "probability"]


def test_an_unconfident_mistake_disputes_no_label() -> None:
    labels = [0, 1] * 20
    probabilities = [0.05, 0.95] * 20
    probabilities[1] = 0.45
    assert disputed_labels(table(labels, probabilities)).empty


DRAWN = "The labels of drawn faces are right by construction, so every mistake is the model's own."
WEAK = (
    "The model is not clearly better than its baseline, so where it disagrees with a label, it is most likely the "
    "model that is wrong."
)


@pytest.mark.parametrize(
    ("drawn", "standing", "words"),
    [(True, "better", DRAWN), (True, "worse", DRAWN), (False, "worse", WEAK), (False, "unclear", WEAK)],
)
def test_labels_of_drawn_faces_and_labels_under_a_weak_model_are_not_disputed(
    drawn: bool, standing: str, words: str
) -> None:
    assert why_no_label_is_disputed(drawn, Verdict(standing, "")) == words  # type: ignore[arg-type]


def test_other_labels_may_be_disputed_by_a_model_better_than_its_baseline() -> None:
    assert why_no_label_is_disputed(False, Verdict("better", "")) == ""
