"""The kinds of sources, the names that they use for classes and partitions, and what their readers return."""

import re
from typing import NamedTuple

import pandas as pd

KINDS = {
    "celeba": "CelebA's own lists and images",
    "classes": "a folder per class",
    "utkface": "UTKFace file names",
    "csv": "a CSV file of paths and labels",
}

LABEL_NAMES = {
    **dict.fromkeys(("male", "males", "man", "men", "m"), 1),
    **dict.fromkeys(("no male", "not male", "female", "females", "woman", "women", "f"), 0),
}
"""The label of every name of a folder or class that needs no explanation, as `plain_name` writes it."""

PARTITION_NAMES = {
    **dict.fromkeys(("train", "training", "0"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "1"), 1),
    **dict.fromkeys(("test", "testing", "2"), 2),
}
"""CelebA's number of every name of a partition, as `plain_name` writes it."""


class Found(NamedTuple):
    """What a source holds.

    Attributes:
        images: a row per image. Columns: `path` (of the file), `source` (the image's name in messages and in
            sources.csv), `Male` (0, 1), and where the source has them `partition` (0, 1, 2), `identity_name` (str,
            blank: unknown) and other attributes of CelebA (0, 1).
        problems: a line for each image that was left out.
        description: the kind of source and how it was read.
    """

    images: pd.DataFrame
    problems: list[str]
    description: str


def plain_name(text: str) -> str:
    """Return a name or label in the form of `LABEL_NAMES` and others: `no male` for `No_Male`, `1` for `1.0`."""
    text = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", text.strip().casefold())
    return re.sub(r"^\+?(-?\d+)(\.0*)?$", r"\1", text)
