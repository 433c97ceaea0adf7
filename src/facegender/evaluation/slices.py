"""The recall of each class on slices of the test images: those with an attribute, and those without it."""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facegender.data.celeba import CLASSES, LABEL
from facegender.data.tables import DECIMALS
from facegender.evaluation.bootstrap import CONFIDENCE, units_of

WHOLE = "all images"
"""The name of the slice that has every image."""

MIN_PER_CLASS = 30
"""Identities of a class, or images if identities are unknown: a recall on fewer is too uncertain to act on."""

MIN_FOR_INTERVAL = 10
"""Of the same: with fewer, an interval says no more than the number of images does."""

RARE = 0.2
"""An attribute that fewer of a class have is rare: those without it are nearly all images, and no slice."""


def slice_table(predictions: pd.DataFrame, attributes: pd.DataFrame) -> pd.DataFrame:
    """Compute the recall of each class with and without each attribute, and compare it with that on all images.

    Args:
        predictions: columns `image_id`, `label`, `predicted` and perhaps `identity`.
        attributes: a column of 0 and 1 for each attribute; index `image_id`, of at least the predicted images. The
            label's own column is not a slice.

    Returns:
        A row for each slice and class with an image, to 6 decimals: slice (`all images`, `Eyeglasses`,
        `not Eyeglasses`), class (`No male` or `Male`), images (of this class), units (their identities, or again images
        if identities are unknown), recall, low and high (its 95% interval; NaN for fewer than 10 units), judged (1 from
        30 units on, otherwise 0), difference (recall minus that on all images) and beyond (how far the recall on all
        images is outside the interval, 0 if it is inside). There is no `not X` of a class if fewer than a fifth of its
        units have X.

        The rows of all images come first, then the judged ones, by `beyond` and then by the size of the difference,
        both descending, then the others by name.
    """
    of_images = attributes.loc[predictions["image_id"]].drop(columns=LABEL)
    has = {str(name): of_images[name].to_numpy() == 1 for name in of_images}
    labels, units = predictions["label"].to_numpy(), units_of(predictions)
    right = predictions["predicted"].to_numpy() == labels
    rows: list[dict[str, object]] = []
    for label, name in enumerate(CLASSES):
        of_class = labels == label
        for slice_name, inside in _slices(has, of_class, units):
            rows.append({"slice": slice_name, "class": name, **_recall(right[inside], units[inside])})
    table = pd.DataFrame(rows)
    whole = table["class"].map(table[table["slice"] == WHOLE].set_index("class")["recall"])
    table["difference"] = (table["recall"] - whole).round(DECIMALS)
    table["beyond"] = np.maximum(np.maximum(table["low"] - whole, whole - table["high"]), 0).round(DECIMALS)
    is_judged = table["judged"] == 1
    order = pd.DataFrame(
        {
            "whole": table["slice"] != WHOLE,
            "judged": ~is_judged,
            "beyond": -table["beyond"].where(is_judged, 0),
            "difference": -table["difference"].abs().where(is_judged, 0),
            "slice": table["slice"],
            "class": table["class"],
        }
    )
    return table.loc[order.sort_values(list(order.columns)).index].reset_index(drop=True)


def _slices(
    has: dict[str, NDArray[np.bool_]], of_class: NDArray[np.bool_], units: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the name of each slice, and which images are in it and of the class, if any are."""
    if of_class.any():
        yield WHOLE, of_class
    for name, with_it in has.items():
        inside, outside = of_class & with_it, of_class & ~with_it
        if inside.any():
            yield name, inside
        if outside.any() and len(np.unique(units[inside])) >= RARE * len(np.unique(units[of_class])):
            yield f"not {name}", outside


def _recall(right: NDArray[np.bool_], units: NDArray[np.int64]) -> dict[str, object]:
    recall, count = float(right.mean()), len(np.unique(units))
    low, high = wilson_interval(recall, count) if count >= MIN_FOR_INTERVAL else (np.nan, np.nan)
    return {
        "images": len(right),
        "units": count,
        "recall": round(recall, DECIMALS),
        "low": round(low, DECIMALS),
        "high": round(high, DECIMALS),
        "judged": int(count >= MIN_PER_CLASS),
    }


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the ends of the 95% interval of a share, by Wilson's score (Wilson, JASA 22, 1927).

    Unlike a bootstrap's, it has a width even if the share is 0 or 1, as in a small slice without a mistake.

    Args:
        share: from 0 to 1.
        count: independent observations, at least 1. For images of identities, the number of identities: if these all
            have one image, the interval is exact, otherwise it is wider than it need be.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre, scale = share + z**2 / (2 * count), 1 + z**2 / count
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def standing_out(table: pd.DataFrame) -> pd.DataFrame:
    """Select the judged rows of `slice_table` whose interval does not include the recall on all images."""
    return table[(table["judged"] == 1) & (table["beyond"] > 0)]


def slice_summary(table: pd.DataFrame) -> dict[str, float]:
    """Count the recalls that are judged, too small to be judged, or stand out, and find the worst of the judged ones.

    Args:
        table: as `slice_table` returns it.

    Returns:
        judged, too_small, stand_out (numbers of recalls, without those on all images); worst_recall and
        worst_recall_no_male, the lowest judged recall of Male and of No male; and over the slices where both classes
        are judged worst_balanced_accuracy (the lowest mean of both recalls) and largest_recall_gap (the largest
        difference between them). The last four are missing where nothing is judged.
    """
    slices, judged = table[table["slice"] != WHOLE], table[table["judged"] == 1]
    summary: dict[str, float] = {
        "judged": int(slices["judged"].sum()),
        "too_small": int((slices["judged"] == 0).sum()),
        "stand_out": len(standing_out(table)),
    }
    recalls = judged.pivot(index="slice", columns="class", values="recall").reindex(columns=list(CLASSES))
    no_male, male = (recalls[name] for name in CLASSES)
    found = {
        "worst_recall": male.min(),
        "worst_recall_no_male": no_male.min(),
        "worst_balanced_accuracy": ((male + no_male) / 2).min(),
        "largest_recall_gap": (male - no_male).abs().max(),
    }
    return summary | {name: round(float(value), DECIMALS) for name, value in found.items() if pd.notna(value)}
