import numpy as np
import pandas as pd

from facegender.evaluation.label_errors import likely_label_errors


def table(labels: list[int], probabilities: list[float]) -> pd.DataFrame:
    ids = [f"{number}.jpg" for number in range(len(labels))]
    return pd.DataFrame({"image_id": ids, "label": labels, "probability": probabilities})


def test_swapped_labels_are_found_the_most_suspicious_first() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    probabilities = np.clip(np.where(labels == 1, 0.9, 0.1) + generator.normal(0, 0.03, 200), 0.01, 0.99)
    probabilities[7], probabilities[12] = 0.02, 0.97
    found = likely_label_errors(table(labels.tolist(), probabilities.tolist()))
    assert found["image_id"].tolist() == ["7.jpg", "12.jpg"]
    assert list(found.columns) == ["image_id", "label", "probability"]


def test_an_unconfident_mistake_is_not_a_label_error() -> None:
    labels = [0, 1] * 20
    probabilities = [0.05, 0.95] * 20
    probabilities[1] = 0.45
    assert likely_label_errors(table(labels, probabilities)).empty
