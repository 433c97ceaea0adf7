"""Compare two models by their predictions of the same images, with tests of significance."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import CONFIDENCE, interval, resampled_metrics, units_of
from facegender.evaluation.metrics import metrics_of

LOWER_IS_BETTER = ("log_loss", "brier_score", "expected_calibration_error")


def compare_predictions(old: pd.DataFrame, new: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    """Compare two models by their predictions of the same images.

    Args:
        old: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        new: the same columns, of the model to assess; the same images with the same labels.
        resamples: bootstrap samples; both models are compared on the same ones.
        seed: 0 or more.

    Returns:
        images (their number); same (whether all predictions are equal); resampled (`identities` or `images`); metrics:
        by name old, new, difference (new minus old), low and high (ends of the 95% interval of the difference);
        mcnemar: only_old_right and only_new_right (images), and p_value of the exact test (McNemar, 1947) of the
        hypothesis that both are equally likely.

    Raises:
        FacegenderError: the images or their labels differ.
    """
    old, new = (table.sort_values("image_id", ignore_index=True) for table in (old, new))
    _check_same_images(old, new)
    before, after = metrics_of(old), metrics_of(new)
    # Perhaps only one revision has identities; both need the same samples.
    known = old if "identity" in old and "identity" not in new else new
    resampled = [resampled_metrics(table, units_of(known), resamples, seed) for table in (old, new)]
    metrics = {}
    for name, of_old in resampled[0].items():
        low, high = interval("difference", after[name] - before[name], resampled[1][name] - of_old)
        metrics[name] = {
            "old": before[name],
            "new": after[name],
            "difference": round(after[name] - before[name], DECIMALS),
            "low": round(low, DECIMALS),
            "high": round(high, DECIMALS),
        }
    right = [(table["predicted"] == table["label"]).to_numpy() for table in (old, new)]
    only_old, only_new = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    # binomtest needs at least one image on which the models differ.
    p_value = binomtest(only_old, only_old + only_new).pvalue if only_old + only_new else 1.0
    return {
        "images": len(old),
        "same": bool((old[["probability", "predicted"]] == new[["probability", "predicted"]]).all(axis=None)),
        "resampled": "identities" if "identity" in known else "images",
        "metrics": metrics,
        "mcnemar": {
            "only_old_right": only_old,
            "only_new_right": only_new,
            "p_value": round(float(p_value), DECIMALS),
        },
    }


def verdict(comparison: dict[str, Any]) -> str:
    """Return one sentence on the difference in accuracy."""
    if comparison["same"]:
        return f"Both models make the same predictions for all {comparison['images']:,} images."
    accuracy = comparison["metrics"]["accuracy"]
    low, high = (100 * accuracy[end] for end in ("low", "high"))
    between = f"between {low:+.2f} and {high:+.2f} percentage points ({CONFIDENCE:.0%} interval)"
    if low > 0:
        return f"The new model is more accurate: the difference is {between}."
    if high < 0:
        return f"The new model is less accurate: the difference is {between}."
    return (
        f"The difference in accuracy is not statistically significant: it is {between}, on "
        f"{comparison['images']:,} images."
    )


def comparison_markdown(comparison: dict[str, Any], old_name: str, new_name: str) -> str:
    """Return a comparison as Markdown: the verdict, the metrics, and the images that only one model gets right."""
    lines = [
        verdict(comparison),
        "",
        f"| Metric | {old_name} | {new_name} | difference | {CONFIDENCE:.0%} interval | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, metric in comparison["metrics"].items():
        sign = -1 if name in LOWER_IS_BETTER else 1
        low, high = sorted((sign * metric["low"], sign * metric["high"]))
        word = "better" if low > 0 else "worse" if high < 0 else ""
        lines.append(
            f"| {name} | {metric['old']:.4f} | {metric['new']:.4f} | {metric['difference']:+.4f} "
            f"| {metric['low']:+.4f} to {metric['high']:+.4f} | {word} |"
        )
    mcnemar = comparison["mcnemar"]
    caution = ""
    if comparison["resampled"] == "identities":
        caution = "; it assumes independent images, which images of one identity are not"
    lines += [
        "",
        f"Images that only {old_name} gets right: {mcnemar['only_old_right']:,}; only {new_name}: "
        f"{mcnemar['only_new_right']:,}. If both were equally good, a result at least this uneven would have "
        f"probability {mcnemar['p_value']:.4f} (McNemar's exact test{caution}).",
        "",
        "The verdict is on accuracy, which was chosen in advance. Of the other metrics, about one in twenty would be "
        "called better or worse by chance alone.",
    ]
    return "\n".join(lines) + "\n"


def _check_same_images(old: pd.DataFrame, new: pd.DataFrame) -> None:
    differing = np.setxor1d(old["image_id"], new["image_id"])
    if len(differing):
        raise FacegenderError(
            "the two test sets",
            f"{differing[0]} is in only one of them (images that differ: {len(differing)})",
            "compare revisions with the same partition and dataset in params.yaml",
        )
    relabelled = old["image_id"][old["label"] != new["label"]]
    if len(relabelled):
        raise FacegenderError(
            "the two test sets",
            f"{relabelled.iloc[0]} has a different label in each (images that differ: {len(relabelled)})",
            "compare revisions with the same attribute list",
        )
