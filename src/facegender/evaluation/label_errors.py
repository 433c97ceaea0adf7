"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021).

cleanlab is the authors' own implementation, so there is no copy of it here to maintain.
"""

import numpy as np
import pandas as pd


def likely_label_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Select the images whose label is confidently contradicted by a model that did not see them in training.

    Args:
        predictions: columns `image_id`, `label` and `probability`, of images that were not trained on.

    Returns:
        Those rows, the most suspicious first: by the probability of the label, ascending.
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
