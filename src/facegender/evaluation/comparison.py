"""Two models' predictions of the same images: what differs, and whether chance explains it."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import CONFIDENCE, interval, resampled_metrics, units_of
from facegender.evaluation.metrics import metrics_of
from facegender.files import DECIMALS

LOWER_IS_BETTER = ("log_loss", "brier_score", "expected_calibration_error")


def compare_predictions(old: pd.DataFrame, new: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Compare two models by their predictions of the same images.

    Args:
        old: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        new: the same of the model that is to be judged; the same images with the same labels.
        resamples: samples of the bootstrap; both models are judged on the same ones.
        seed: from 0.

    Returns:
        images; same (whether all predictions are); drawn (`persons` or `images`); figures: by name old, new,
        difference (new less old) and the low and high end of its 95% interval; mcnemar: only_old_right and
        only_new_right (images), and p_value of the exact test (McNemar, 1947) that either is as likely.

    Raises:
        FacegenderError: the images or their labels differ.
    """
    old, new = (table.sort_values("image_id", ignore_index=True) for table in (old, new))
    _check_same_images(old, new)
    before, after = metrics_of(old), metrics_of(new)
    # Both are judged on the same samples, though one revision may not know the persons.
    known = old if "identity" in old and "identity" not in new else new
    resampled = [resampled_metrics(table, units_of(known), resamples, seed) for table in (old, new)]
    figures = {}
    for name, of_old in resampled[0].items():
        low, high = interval("difference", after[name] - before[name], resampled[1][name] - of_old)
        figures[name] = {
            "old": before[name],
            "new": after[name],
            "difference": round(after[name] - before[name], DECIMALS),
            "low": round(low, DECIMALS),
            "high": round(high, DECIMALS),
        }
    right = [(table["predicted"] == table["label"]).to_numpy() for table in (old, new)]
    only_old, only_new = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    # Without an image on which they differ there is nothing to test.
    p_value = binomtest(only_old, only_old + only_new).pvalue if only_old + only_new else 1.0
    mcnemar = {"only_old_right": only_old, "only_new_right": only_new, "p_value": round(float(p_value), DECIMALS)}
    drawn = "persons" if "identity" in known else "images"
    same = bool((old[["probability", "predicted"]] == new[["probability", "predicted"]]).all(axis=None))
    return {"images": len(old), "same": same, "drawn": drawn, "figures": figures, "mcnemar": mcnemar}


def verdict(comparison: dict[str, Any]) -> str:
    """Say in one sentence what the comparison shows of accuracy."""
    if comparison["same"]:
        return f"Both models predict the same of all {comparison['images']:,} images."
    accuracy = comparison["figures"]["accuracy"]
    low, high = (100 * accuracy[end] for end in ("low", "high"))
    between = f"between {low:+.2f} and {high:+.2f} percentage points ({CONFIDENCE:.0%} interval)"
    if low > 0:
        return f"The new model is more accurate, by {between}."
    if high < 0:
        return f"The new model is less accurate, by {between}."
    return (
        f"No difference in accuracy is shown: the new model's less the old one's lies {between}, on "
        f"{comparison['images']:,} images."
    )


def comparison_markdown(comparison: dict[str, Any], old_name: str, new_name: str) -> str:
    """Write a comparison as Markdown: the verdict, the figures, and the images on which one model alone is right."""
    lines = [
        verdict(comparison),
        "",
        f"| Figure | {old_name} | {new_name} | difference | {CONFIDENCE:.0%} interval | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, figure in comparison["figures"].items():
        sign = -1 if name in LOWER_IS_BETTER else 1
        low, high = sorted((sign * figure["low"], sign * figure["high"]))
        word = "better" if low > 0 else "worse" if high < 0 else ""
        lines.append(
            f"| {name} | {figure['old']:.4f} | {figure['new']:.4f} | {figure['difference']:+.4f} "
            f"| {figure['low']:+.4f} to {figure['high']:+.4f} | {word} |"
        )
    mcnemar = comparison["mcnemar"]
    caution = "; it takes images for independent, which those of one person are not" * (
        comparison["drawn"] == "persons"
    )
    lines += [
        "",
        f"{old_name} alone is right on {mcnemar['only_old_right']:,} images, {new_name} alone on "
        f"{mcnemar['only_new_right']:,}; were they equally good, so uneven a split would come with probability "
        f"{mcnemar['p_value']:.4f} (McNemar's exact test{caution}).",
        "",
        "The verdict is on accuracy, which was chosen beforehand. Of the other figures, one in twenty would be called "
        "better or worse by chance alone.",
    ]
    return "\n".join(lines) + "\n"


def _check_same_images(old: pd.DataFrame, new: pd.DataFrame) -> None:
    differing = np.setxor1d(old["image_id"], new["image_id"])
    if len(differing):
        raise FacegenderError(
            f"the two test sets differ in {len(differing)} images ({differing[0]} for one); compare revisions with the "
            "same partition and dataset in params.yaml"
        )
    relabelled = old["image_id"][old["label"] != new["label"]]
    if len(relabelled):
        raise FacegenderError(
            f"{len(relabelled)} images have another label ({relabelled.iloc[0]} for one); compare revisions with the "
            "same attribute list"
        )
