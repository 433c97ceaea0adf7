"""The work of the stage features without DVC, and real images for it."""

import tempfile
from pathlib import Path

import keras
import onnx
import pandas as pd

from benchmarks.measure import DATASET
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.image_sources import open_images
from facegender.data.lists import read_partitions
from facegender.data.shards import Record
from facegender.network.backbone import build_backbone
from facegender.network.features import Engine, write_features
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import convert, part
from facegender.network.sidecar import FEATURES, IMAGE, TrunkSpec
from facegender.preparation.preprocess import good_records, preprocess


def first_records(celeba: Path, count: int) -> list[Record]:
    """Return CelebA's first images as the stage preprocess writes them, all with label 0."""
    image_ids = read_partitions(celeba / DATASET["partitions"]).index[:count]
    rows = pd.DataFrame({"image_id": image_ids, "label": 0})
    with open_images(celeba / DATASET["images"]) as source:
        return list(good_records(preprocess(rows, source, HEIGHT, WIDTH), "fail", "train", {}, []))


def save_backbone(pretrained: keras.Model, path: Path) -> None:
    """Write InceptionV3 as the stage pretrained does."""
    backbone = build_backbone()
    backbone.set_weights(pretrained.get_weights())
    save_model(backbone, path, {})


def trunk_network(backbone: Path, trainable_from: str) -> onnx.ModelProto:
    """Return the trunk for aligned images, from a file that the stage pretrained wrote."""
    trunk = TrunkSpec(trainable_from=trainable_from, weights_md5="", height=HEIGHT, width=WIDTH)
    return part(convert(read_layers(backbone), trunk), IMAGE, FEATURES)


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
