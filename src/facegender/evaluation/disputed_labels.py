"""Labels that the model disagrees with, by confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021).

cleanlab is the authors' own implementation, so there is no copy of it here to maintain.
"""

import numpy as np
import pandas as pd

from facegender.evaluation.verdict import Verdict


def why_no_label_is_disputed(drawn: bool, verdict: Verdict) -> str:
    """Say why the model's disagreement with a label would say nothing about the label; return "" if it may.

    Args:
        drawn: whether the stage synthetic_data drew the faces, each from its attributes.
        verdict: on the model against its baseline.
    """
    if drawn:
        return "The labels of drawn faces are right by construction, so every mistake is the model's own."
    if verdict.standing != "better":
        return (
            "The model is not clearly better than its baseline, so where it disagrees with a label, it is most likely "
            "the model that is wrong."
        )
    return ""


def disputed_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """Select the images whose label is confidently contradicted by a model that did not see them in training.

    Args:
        predictions: columns `image_id`, `label` and `probability`, of images that were not trained on.

    Returns:
        Those rows, the most confident first: by the probability of the label, ascending.
    """
    # It takes a second to load.
    from cleanlab.filter import find_label_issues

    probabilities = predictions["probability"].to_numpy()
    found = find_label_issues(
        predictions["label"].to_numpy(),
        np.column_stack([1 - probabilities, probabilities]),
        return_indices_ranked_by="self_confidence",
        filter_by="confident_learning",
        n_jobs=1,
    )
    return predictions.iloc[found].reset_index(drop=True)
