"""The work of the stage features without DVC, and real images for it."""

import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.measure import DATASET
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.image_sources import open_images
from facegender.data.lists import read_partitions
from facegender.data.shards import Record
from facegender.network.features import Engine, write_features
from facegender.preparation.preprocess import good_records, preprocess


def first_records(celeba: Path, count: int) -> list[Record]:
    """Return CelebA's first images as the stage preprocess writes them, all with label 0."""
    image_ids = read_partitions(celeba / DATASET["partitions"]).index[:count]
    rows = pd.DataFrame({"image_id": image_ids, "label": 0})
    with open_images(celeba / DATASET["images"]) as source:
        return list(good_records(preprocess(rows, source, HEIGHT, WIDTH), "fail", "train", {}))


def run_features(images: Path, engine: Engine, folder: Path) -> Path:
    """Compute features as the stage does, with an empty memo.

    Args:
        images: folder of image shards.
        engine: computes the features.
        folder: the results go into a new folder inside it.

    Returns:
        The folder of feature shards.
    """
    target = Path(tempfile.mkdtemp(dir=folder))
    features = target / "features"
    features.mkdir()
    for computed in write_features(images, features, "trunk", engine, target / "memo"):
        assert computed
    return features
