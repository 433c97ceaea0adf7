"""Partitions of imported images, and how many images the pipeline can sample from them."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from facegender.data.celeba import CLASSES, LABEL, PARTITIONS
from facegender.preparation.partition import drop_shared_identities


def assign_partitions(labels: pd.Series, identities: pd.Series | None, shares: Sequence[float], seed: int) -> pd.Series:
    """Assign partitions that have these shares of the images of each class, with no identity in two of them.

    Units are identities, or images if the identities are not known. Each class's units are ordered by a hash of the
    seed and their name, and the middle of a unit's images in that order decides its partition. So the order of the rows
    does not matter, and further images move few of the others.

    Args:
        labels: 0 or 1; index `image_id`.
        identities: name or number; same index. None: not known. An identity with images of both classes counts in the
            class of most of them.
        shares: of partitions 0, 1 and 2; 0 or more, with a sum of 1.
        seed: in [0, 2**64).

    Returns:
        int8 named `partition`; same index.
    """
    names = (labels.index.to_series() if identities is None else identities).astype(str)
    units = labels.groupby(names).agg(["mean", "size"])
    key = seed.to_bytes(8, "little")
    units["rank"] = [hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest() for name in units.index]
    cuts = np.cumsum(shares)[:-1]
    partitions = []
    for _, units_of_class in units.sort_values("rank").groupby(units["mean"] >= 0.5):
        sizes = units_of_class["size"]
        middles = (sizes.cumsum() - sizes / 2) / sizes.sum()
        partitions.append(pd.Series(np.searchsorted(cuts, middles, side="right"), units_of_class.index))
    return names.map(pd.concat(partitions)).astype(np.int8).rename("partition")


def balanced_counts(annotations: pd.DataFrame) -> dict[str, int]:
    """Return the largest counts that `facegender.preparation.partition.sample_splits` can sample, by split."""
    annotations = drop_shared_identities(annotations)
    sizes = annotations.groupby(["partition", LABEL]).size()
    return {
        split: len(CLASSES) * min(int(sizes.get((number, label), 0)) for label in range(len(CLASSES)))
        for split, number in PARTITIONS.items()
    }
