"""Tables of images to use: balanced, seeded samples or all images of CelebA's official partitions, or of a data set."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from facegender.data.celeba import CLASSES, IMAGE_ID, LABEL, PARTITIONS
from facegender.data.image_sources import ImageSource
from facegender.errors import FacegenderError, FacegenderErrors

Images = int | Literal["all"]
"""How many images of an official partition: an even number, half of each class, or every image."""


def drop_shared_identities(annotations: pd.DataFrame) -> pd.DataFrame:
    """Keep each identity's images in one official partition only.

    An identity stays in the partition that has most of its images; if there is a tie, in the earlier of train, val,
    test. So the rows that stay do not depend on the row order or on how many images are sampled.

    Args:
        annotations: columns `partition` (0, 1, 2) and perhaps `identity` (int).

    Returns:
        The rows that stay, in their order; all rows if there is no column `identity`.
    """
    if "identity" not in annotations:
        return annotations
    images = pd.crosstab(annotations["identity"], annotations["partition"])
    # crosstab sorts its columns, and idxmax takes the first one in a tie.
    home = images.idxmax(axis="columns")
    return annotations[annotations["partition"] == annotations["identity"].map(home)]


def sample_splits(annotations: pd.DataFrame, counts: Mapping[str, Images], seed: int) -> dict[str, pd.DataFrame]:
    """Take each split from its official partition: a sample, half Male and half No male, or all images.

    Images are ordered by a hash of the seed and their id. So a split does not depend on the row order or on the other
    splits. A sample takes the first images of each class in turn, so a larger sample begins with the smaller one.
    `all` does not begin with a sample: it ignores the classes, so that they are mixed throughout the split in the
    proportion that they have in the partition.

    Args:
        annotations: columns `Male` (0, 1), `partition` (0, 1, 2) and perhaps `identity` (int); index `image_id` (str).
        counts: images of train, val and test. No split has an image that `drop_shared_identities` drops.
        seed: in [0, 2**64).

    Returns:
        A table per split with the columns `image_id` (str), `label` (int64: 0 No male, 1 Male; alternating in a
        sample) and, if the annotations have it, `identity` (int64).

    Raises:
        FacegenderError: a partition has fewer images of a class than are needed; `all` needs both classes.
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
    chosen = {split: _choose(pools[split], counts[split], seed) for split in PARTITIONS}
    return {split: _table(annotations.loc[image_ids]) for split, image_ids in chosen.items()}


def all_rows(annotations: pd.DataFrame, name: str) -> pd.DataFrame:
    """List all images of a data set, which is not sampled.

    Args:
        annotations: columns `Male` (0, 1) and perhaps `identity` (int); index `image_id` (str).
        name: of the data set, for errors.

    Returns:
        The columns `image_id` (str), `label` (int64: 0 No male, 1 Male) and, if the annotations have it, `identity`
        (int64); sorted by `image_id`.

    Raises:
        FacegenderError: the data set has only one class.
    """
    for label, class_name in enumerate(CLASSES):
        if not (annotations[LABEL] == label).any():
            what = f"no image is {class_name}, but the metrics need both classes"
            raise FacegenderError(name, what, "add images of that class, or remove the data set from params.yaml")
    return _table(annotations.sort_index())


def find_images(image_ids: Iterable[str], images: ImageSource, path: str | Path) -> dict[str, str]:
    """Find the file of each image.

    Args:
        image_ids: all ids of the lists: one that is left out might be the right owner of a file.
        images: where they are.
        path: of `images`, for errors.

    Returns:
        What `ImageSource.find` returns, by image id, without the images that are missing.

    Raises:
        FacegenderError: there are several files for an id, or several ids for a file, which differ in their suffixes.
    """
    files: dict[str, str] = {}
    owners: dict[str, str] = {}
    for image_id in image_ids:
        file = images.find(image_id)
        if file is None:
            continue
        if file in owners:
            what = f"{file} is the only file for {owners[file]} and {image_id}"
            raise FacegenderError(path, what, "add the one that is missing, or remove its row from the lists")
        files[image_id], owners[file] = file, image_id
    return files


def check_present(tables: Iterable[pd.DataFrame], files: Mapping[str, str], path: str | Path) -> None:
    """Check that no image is missing, before any work is done on the others.

    Args:
        tables: as `sample_splits` and `all_rows` return them.
        files: as `find_images` returns it.
        path: where the images are, for errors.

    Raises:
        FacegenderError: images are missing.
    """
    image_ids = [image_id for table in tables for image_id in table[IMAGE_ID]]
    missing = [image_id for image_id in image_ids if image_id not in files]
    if missing:
        what = f"{len(missing):,} of the {len(image_ids):,} images to use are missing (first: {missing[0]})"
        remedy = "add them, remove their rows from the lists, or set preprocess.on_bad_image to skip"
        raise FacegenderError(path, what, remedy)


def _table(annotations: pd.DataFrame) -> pd.DataFrame:
    columns = {IMAGE_ID: annotations.index.to_numpy(), "label": annotations[LABEL].to_numpy(np.int64)}
    if "identity" in annotations:
        columns["identity"] = annotations["identity"].to_numpy(np.int64)
    return pd.DataFrame(columns)


def _check_enough(pools: Mapping[str, list[pd.Index]], counts: Mapping[str, Images]) -> None:
    errors = []
    for split in PARTITIONS:
        count = counts[split]
        needed = 1 if count == "all" else count // len(CLASSES)
        most = len(CLASSES) * min(map(len, pools[split]))
        remedy = f"lower it to {most}" if most else f"add images to the official partition {split}"
        errors += [
            FacegenderError(
                f"partition.{split}",
                f"{needed} image{'s' * (needed > 1)} of class {name} needed, {len(pool)} available",
                remedy,
            )
            for name, pool in zip(CLASSES, pools[split], strict=True)
            if len(pool) < needed
        ]
    if errors:
        raise FacegenderErrors(errors)


def _choose(pool: list[pd.Index], count: Images, seed: int) -> list[str]:
    """Return the ids of a split in order, from the ids of each class."""
    if count == "all":
        return _rank(pool[0].append(pool[1:]), seed)
    ranked = [_rank(image_ids, seed)[: count // len(CLASSES)] for image_ids in pool]
    return [image_id for pair in zip(*ranked, strict=True) for image_id in pair]


def _rank(image_ids: pd.Index, seed: int) -> list[str]:
    key = seed.to_bytes(8, "little")
    # If two hashes are equal, the ids themselves decide.
    return sorted(image_ids, key=lambda name: (hashlib.blake2b(name.encode(), digest_size=8, key=key).digest(), name))
