"""Compare two models by their predictions of the same images, with tests of significance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import CONFIDENCE, interval, resampled_metrics, units_of
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.rounding import decimals
from facegender.evaluation.verdict import Standing, Verdict

LOWER_IS_BETTER = ("log_loss", "brier_score", "expected_calibration_error")

RESAMPLES, SEED = 1000, 0
"""Of the bootstrap. They are not in params.yaml, so that no pull request can choose a seed that hides a drop, and the
verdict against the baseline is the same wherever it is shown."""

CAUTION = (
    "The verdict is on accuracy, which was chosen in advance. Of the other metrics, about one in twenty would be "
    "called better or worse by chance alone."
)

BETTER, WORSE, UNCLEAR = "better", "worse", "not significantly different"

_VERDICTS: dict[str, tuple[Standing, str]] = {
    BETTER: ("better", "Better than"),
    WORSE: ("worse", "Worse than"),
    UNCLEAR: ("unclear", "Not clearly better than"),
}


def compare_predictions(
    old: pd.DataFrame, new: pd.DataFrame, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Any]:
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


def judgement(name: str, metric: Mapping[str, float]) -> str:
    """Say whether a metric of the new model is BETTER, WORSE or UNCLEAR, by the interval of its difference.

    Args:
        name: of the metric.
        metric: low and high, as in `compare_predictions`.
    """
    lower_is_better = name in LOWER_IS_BETTER
    if metric["low"] > 0:
        return WORSE if lower_is_better else BETTER
    if metric["high"] < 0:
        return BETTER if lower_is_better else WORSE
    return UNCLEAR


def against_baseline(comparison: dict[str, Any]) -> Verdict:
    """Return whether a model is more accurate than its baseline.

    Args:
        comparison: of the baseline's predictions (old) with the model's (new), as `compare_predictions` returns it.
    """
    accuracy = comparison["metrics"]["accuracy"]
    standing, words = _VERDICTS[judgement("accuracy", accuracy)]
    digits = _digits(comparison)
    old, new, low, high = (f"{accuracy[key]:.{digits}f}" for key in ("old", "new", "low", "high"))
    images = f"{comparison['images']:,} test images"
    sentence = f"{words} its baseline: {new} against {old} on {images} (difference {low} to {high})."
    return Verdict(standing, sentence)


def _digits(comparison: dict[str, Any]) -> int:
    """Return how many decimals of an accuracy to show: those that the interval of the difference deserves, and more
    if one of its ends would be shown as 0 but is not 0.
    """
    accuracy = comparison["metrics"]["accuracy"]
    digits = decimals(accuracy["low"], accuracy["high"])
    while any(accuracy[end] and not round(accuracy[end], digits) for end in ("low", "high")):
        digits += 1
    return digits


def difference_in_accuracy(comparison: dict[str, Any]) -> str:
    """Return one sentence on the difference in accuracy."""
    if comparison["same"]:
        return f"Both models make the same predictions for all {comparison['images']:,} images."
    accuracy = comparison["metrics"]["accuracy"]
    low, high = (100 * accuracy[end] for end in ("low", "high"))
    digits = _digits(comparison) - 1
    between = f"between {low:+.{digits}f} and {high:+.{digits}f} percentage points ({CONFIDENCE:.0%} interval)"
    if low > 0:
        return f"The new model is more accurate: the difference is {between}."
    if high < 0:
        return f"The new model is less accurate: the difference is {between}."
    return (
        f"The difference in accuracy is not statistically significant: it is {between}, on "
        f"{comparison['images']:,} images."
    )


def comparison_markdown(headline: str, comparison: dict[str, Any], old_name: str, new_name: str) -> str:
    """Return a comparison as Markdown: a headline, all metrics, and the images that only one model gets right."""
    parts = [
        headline,
        metrics_table(comparison, old_name, new_name),
        mcnemar_text(comparison, old_name, new_name),
        CAUTION,
    ]
    return "\n\n".join(parts) + "\n"


def metrics_table(comparison: dict[str, Any], old_name: str, new_name: str, names: Sequence[str] | None = None) -> str:
    """Return a Markdown table with a row for each metric: both values, the difference with its interval, a judgement.

    Args:
        comparison: as `compare_predictions` returns it.
        old_name: of the old model.
        new_name: of the new model.
        names: of the metrics; all of them by default.
    """
    digits = _digits(comparison) + 1
    lines = [
        f"| Metric | {old_name} | {new_name} | Difference ({CONFIDENCE:.0%} interval) | Judgement |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name in names or comparison["metrics"]:
        metric = comparison["metrics"][name]
        old, new = (f"{metric[key]:.{digits}f}" for key in ("old", "new"))
        difference, low, high = (f"{metric[key]:+.{digits}f}" for key in ("difference", "low", "high"))
        lines.append(f"| {name} | {old} | {new} | {difference} ({low} to {high}) | {judgement(name, metric)} |")
    return "\n".join(lines)


def mcnemar_text(comparison: dict[str, Any], old_name: str, new_name: str) -> str:
    """Return McNemar's test in words."""
    mcnemar = comparison["mcnemar"]
    only_old, only_new = f"{mcnemar['only_old_right']:,}", f"{mcnemar['only_new_right']:,}"
    p_value = "p < 0.001" if mcnemar["p_value"] < 0.001 else f"p = {mcnemar['p_value']:.2g}"
    caution = ""
    if comparison["resampled"] == "identities":
        caution = " The test assumes independent images, which images of one identity are not."
    return (
        f"McNemar's exact test: {p_value} ({only_old} against {only_new} discordant). Of the {comparison['images']:,} "
        f"images, {old_name} alone gets {only_old} right, {new_name} alone {only_new}.{caution}"
    )


def _check_same_images(old: pd.DataFrame, new: pd.DataFrame) -> None:
    differing = np.setxor1d(old["image_id"], new["image_id"])
    if len(differing):
        raise FacegenderError(
            "the two test sets",
            f"{differing[0]} is in only one of them (images that differ: {len(differing)})",
            "compare revisions with the same partition and dataset in params.yaml, or run: dvc repro",
        )
    relabelled = old["image_id"][old["label"] != new["label"]]
    if len(relabelled):
        raise FacegenderError(
            "the two test sets",
            f"{relabelled.iloc[0]} has a different label in each (images that differ: {len(relabelled)})",
            "compare revisions with the same attribute list, or run: dvc repro",
        )
