"""Balanced, seeded and leak-free samples of CelebA's official partitions."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from facegender.data.celeba import CLASSES, LABEL, PARTITIONS
from facegender.errors import FacegenderError


def drop_shared_identities(annotations: pd.DataFrame) -> pd.DataFrame:
    """Keep each person's images in one official partition only.

    A person stays where most of their images are; where two partitions have equally many, in the earlier of train,
    val, test. So the rows that stay depend neither on the row order nor on how many images are sampled.

    Args:
        annotations: columns `partition` (0, 1, 2) and perhaps `identity` (int).

    Returns:
        The rows that stay, in their order; all of them when there is no column `identity`.
    """
    if "identity" not in annotations:
        return annotations
    images = pd.crosstab(annotations["identity"], annotations["partition"])
    # crosstab sorts its columns and idxmax takes the first of equals.
    home = images.idxmax(axis="columns")
    return annotations[annotations["partition"] == annotations["identity"].map(home)]


def sample_splits(annotations: pd.DataFrame, counts: Mapping[str, int], seed: int) -> dict[str, pd.DataFrame]:
    """Draw each split from its official partition, half Male and half No male, without replacement.

    An image's rank in its split and class is a hash of the seed and its id. So the sample depends neither on the row
    order nor on the other splits, and a larger sample begins with the smaller one.

    Args:
        annotations: columns `Male` (0, 1), `partition` (0, 1, 2) and perhaps `identity` (int); index `image_id` (str).
        counts: images of train, val and test; even.
        seed: in [0, 2**64).

    Returns:
        A table per split, of columns `image_id` (str) and `label` (int: 0 No male, 1 Male, taking turns).

    Raises:
        FacegenderError: a partition has fewer images of a class than asked for.
    """
    annotations = drop_shared_identities(annotations)
    pools = {
        split: [
            annotations.index[(annotations["partition"] == number) & (annotations[LABEL] == label)]
            for label in range(len(CLASSES))
        ]
        for split, number in PARTITIONS.items()
    }
    _check_enough(pools, counts)
    return {split: _take_turns([_rank(pool, seed) for pool in pools[split]], counts[split]) for split in PARTITIONS}


def _check_enough(pools: Mapping[str, list[pd.Index]], counts: Mapping[str, int]) -> None:
    mistakes = []
    for split in PARTITIONS:
        most = len(CLASSES) * min(map(len, pools[split]))
        remedy = f"lower partition.{split} to {most}" if most else f"add images to the official partition {split}"
        mistakes += [
            f"{split}: {counts[split] // 2} images of class {name} asked for, {len(pool)} available; {remedy}"
            for name, pool in zip(CLASSES, pools[split], strict=True)
            if len(pool) < counts[split] // 2
        ]
    if mistakes:
        raise FacegenderError("\nerror: ".join(mistakes))


def _rank(image_ids: pd.Index, seed: int) -> list[str]:
    key = seed.to_bytes(8, "little")
    # The id itself settles the order of two ids with one hash.
    return sorted(image_ids, key=lambda name: (hashlib.blake2b(name.encode(), digest_size=8, key=key).digest(), name))


def _take_turns(ranked: list[list[str]], count: int) -> pd.DataFrame:
    half = count // len(CLASSES)
    image_ids = [image_id for turn in zip(*(names[:half] for names in ranked), strict=True) for image_id in turn]
    return pd.DataFrame({"image_id": image_ids, "label": np.tile(np.arange(len(CLASSES)), half)})
