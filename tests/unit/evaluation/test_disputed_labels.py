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
    probabilities[7], probabilities[12] = 0.03, 0.98
    found = disputed_labels(table(labels.tolist(), probabilities.tolist()))
    assert found["image_id"].tolist() == ["12.jpg", "7.jpg"]
    assert list(found.columns) == ["image_id", "label", "probability"]


@pytest.mark.parametrize("seed", [2, 3, 14])
def test_a_label_is_disputed_by_at_least_the_mean_confidence_in_the_other_class(seed: int) -> None:
    # Northcutt, Jiang and Chuang, equation 2. cleanlab's default finds more of these images.
    labels = np.arange(40) % 2
    noise = np.random.default_rng(seed).normal(0, 0.25, 40)
    probabilities = np.clip(np.where(labels == 1, 0.8, 0.2) + noise, 0.01, 0.99).round(2)
    of_other = np.where(labels == 1, 1 - probabilities, probabilities)
    mean = {0: (1 - probabilities)[labels == 0].mean(), 1: probabilities[labels == 1].mean()}
    expected = {f"{i}.jpg" for i in range(40) if of_other[i] >= mean[1 - labels[i]]}

    assert set(disputed_labels(table(labels.tolist(), probabilities.tolist()))["image_id"]) == expected


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
