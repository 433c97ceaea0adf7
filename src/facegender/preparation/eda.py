"""Exploratory analysis of the training rows. Rows of the other partitions are never used in a number or picture."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facegender.data.celeba import CLASSES, LABEL, PARTITIONS
from facegender.data.images import stored_shape
from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError


def training_rows(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return the attributes of the training partition.

    Args:
        annotations: a row per image, indexed by image_id; 0/1 attribute columns, "partition" and perhaps "identity".

    Returns:
        The rows of partition 0, sorted by image_id, with only the attribute columns.

    Raises:
        FacegenderError: no row is in the training partition.
    """
    training = annotations[annotations["partition"] == PARTITIONS["train"]].sort_index()
    if training.empty:
        raise FacegenderError(
            "dataset.partitions",
            f"no image is in partition {PARTITIONS['train']} (train)",
            "use the list that belongs to dataset.attributes",
        )
    return training.drop(columns=["partition", "identity"], errors="ignore")


def describe(training: pd.DataFrame) -> pd.DataFrame:
    """Describe every variable.

    Returns:
        A row per attribute: attribute, type, values (those that occur, such as "0 1", or a single one if the
        attribute is constant), then pandas' count, mean, std, min, 25%, 50%, 75%, max, to 6 decimals.
    """
    table = training.describe().T.round(DECIMALS)
    # A single row has no sample deviation.
    table["std"] = table["std"].fillna(0.0)
    table.insert(0, "attribute", table.index)
    table.insert(1, "type", [str(training[name].dtype) for name in training])
    table.insert(2, "values", [" ".join(map(str, np.unique(training[name]))) for name in training])
    return table.reset_index(drop=True).astype({"count": "int64"})


def balance(training: pd.DataFrame) -> pd.DataFrame:
    """Count the classes: one row each for No male and Male: class, images, rate (share of the training rows)."""
    male = int(training[LABEL].sum())
    images = [len(training) - male, male]
    rates = [round(count / len(training), DECIMALS) for count in images]
    return pd.DataFrame({"class": CLASSES, "images": images, "rate": rates})


def rates(training: pd.DataFrame) -> pd.DataFrame:
    """Rank the attributes by the share of rows that have them: attribute, rate; ties are sorted by name."""
    table = pd.DataFrame({"attribute": training.columns, "rate": training.mean().round(DECIMALS).to_numpy()})
    return table.sort_values(["rate", "attribute"], ascending=[False, True], ignore_index=True)


def constant_attributes(training: pd.DataFrame) -> list[str]:
    """List the attributes that have the same value in all rows, so that their correlation is undefined."""
    return [name for name in map(str, training.columns) if training[name].nunique() == 1]


def correlation(training: pd.DataFrame) -> pd.DataFrame:
    """Correlate every attribute with every other.

    This is Pearson's correlation of 0/1 columns in its closed form, the phi coefficient: with n rows, a and b ones in
    the two columns, and c rows where both are one, (n c - a b) / sqrt(a (n - a) b (n - b)). The counts are exact, so
    the result does not depend on the machine.

    Returns:
        Shape (attributes, attributes), from -1 to 1, to 6 decimals. A constant attribute's correlation is undefined
        and is 0 here, even with itself; `constant_attributes` lists these attributes.
    """
    ones = training.to_numpy(dtype=np.float64)
    n = float(len(ones))
    together = ones.T @ ones
    sums = np.diag(together)
    deviations = np.sqrt(sums * (n - sums))
    scale = np.outer(deviations, deviations)
    covariances = n * together - np.outer(sums, sums)
    values = np.divide(covariances, scale, out=np.zeros_like(scale), where=scale > 0)
    # Adding 0 turns -0.0 into 0.0.
    return pd.DataFrame(values.round(DECIMALS) + 0.0, index=training.columns, columns=training.columns)


def long_form(matrix: pd.DataFrame) -> pd.DataFrame:
    """Turn the correlation matrix into rows attribute, other, correlation, sorted by both names."""
    table = pd.DataFrame(
        {
            "attribute": np.repeat(matrix.index.to_numpy(), len(matrix)),
            "other": np.tile(matrix.columns.to_numpy(), len(matrix)),
            "correlation": matrix.to_numpy().ravel(),
        }
    )
    return table.sort_values(["attribute", "other"], ignore_index=True)


def ranked_pairs(matrix: pd.DataFrame) -> pd.DataFrame:
    """Rank the pairs of attributes by the absolute value of their correlation.

    Returns:
        One row per pair, with its names in alphabetical order: attribute, other, correlation. The strongest
        correlation of either sign comes first; ties are sorted by name.
    """
    rows = [(first, second, matrix.at[first, second]) for first, second in combinations(sorted(matrix.columns), 2)]
    table = pd.DataFrame(rows, columns=["attribute", "other", "correlation"])
    return table.sort_values("correlation", key=abs, ascending=False, kind="stable", ignore_index=True)


def summary(training: pd.DataFrame) -> dict[str, int | float]:
    """Count the rows: "rows", "male", "no_male", "male_rate" and "constant_attributes"."""
    rows, male = len(training), int(training[LABEL].sum())
    return {
        "rows": rows,
        "male": male,
        "no_male": rows - male,
        "male_rate": round(male / rows, DECIMALS),
        "constant_attributes": len(constant_attributes(training)),
    }


def in_hash_order(image_ids: Iterable[str]) -> list[str]:
    """Shuffle ids by their SHA-256: the result is the same on any machine and for any order of the input."""
    return sorted(image_ids, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())


def image_sizes(
    image_ids: Sequence[str], read: Callable[[str], bytes], count: int = 500
) -> dict[str, int | dict[str, int]]:
    """Measure a sample of the images as stored, before any conversion or rotation.

    Args:
        image_ids: all images; the first `count` in hash order are read.
        read: returns an image file's bytes, or raises FacegenderError.
        count: the maximum number of images to read.

    Returns:
        "sampled", the number of images tried; "unreadable", how many of them cannot be read; "height" and "width"
        {"min", "max"} in pixels; "channels" {"1", "3", "4"}, the number of images with that many channels.

    Raises:
        FacegenderError: none of them is a readable image.
    """
    sample = in_hash_order(image_ids)[:count]
    shapes = [shape for image_id in sample if (shape := _stored_shape(image_id, read)) is not None]
    if not shapes:
        raise FacegenderError(
            "dataset.images",
            f"none of the {len(sample)} training images that were tried can be read (first: {sample[0]})",
            "use the folder or .zip that belongs to dataset.attributes",
        )
    heights, widths, channels = zip(*shapes, strict=True)
    return {
        "sampled": len(sample),
        "unreadable": len(sample) - len(shapes),
        "height": {"min": min(heights), "max": max(heights)},
        "width": {"min": min(widths), "max": max(widths)},
        "channels": {str(number): channels.count(number) for number in (1, 3, 4)},
    }


def _stored_shape(image_id: str, read: Callable[[str], bytes]) -> tuple[int, int, int] | None:
    try:
        return stored_shape(read(image_id), image_id)
    except FacegenderError:
        return None


def examples(
    training: pd.DataFrame, read_image: Callable[[str], NDArray[np.uint8]], count: int
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Choose example faces, half from each class: the first readable ones in hash order.

    Args:
        training: attributes indexed by image_id.
        read_image: returns an image as RGB (height, width, 3), or raises FacegenderError.
        count: number of faces; if it is odd, No male gets one more. A class with fewer images gives fewer faces.

    Returns:
        The images, No male before Male, and a caption for each: class, image_id and the other attributes it has.
    """
    images: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for label, name in enumerate(CLASSES):
        wanted = (count + 1 - label) // 2
        for image_id in in_hash_order(training.index[training[LABEL] == label]):
            if wanted == 0:
                break
            try:
                images.append(read_image(image_id))
            except FacegenderError:
                continue
            has = training.loc[image_id].drop(LABEL) == 1
            captions.append(f"{name}: {image_id}\n" + ", ".join(has.index[has.to_numpy()]))
            wanted -= 1
    return images, captions
