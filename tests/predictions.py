"""Predictions for tests, of images that are No male and Male in turn."""

import pandas as pd


def predictions(right: list[bool], first: int = 0) -> pd.DataFrame:
    """Return predictions with probability 0.8 for the right class where `right` is true, for the wrong one elsewhere.

    The image ids count from `first`.
    """
    labels = [number % 2 for number in range(len(right))]
    predicted = [label if is_right else 1 - label for label, is_right in zip(labels, right, strict=True)]
    return pd.DataFrame(
        {
            "image_id": [f"{number:04}.jpg" for number in range(first, first + len(right))],
            "label": labels,
            "probability": [0.8 if one else 0.2 for one in predicted],
            "predicted": predicted,
        }
    )


GOOD = predictions([True] * 190 + [False] * 10)
BAD = predictions([True] * 150 + [False] * 50)
