"""Labels that are probably wrong, by confident learning (Northcutt et al., 2021), as cleanlab implements it."""

import numpy as np
import pandas as pd


def likely_label_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """List the images whose label the model, which never saw them, contradicts with confidence.

    Args:
        predictions: columns `image_id`, `label` and `probability`, of images that were not trained on.

    Returns:
        Those rows, the most suspect first.
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
