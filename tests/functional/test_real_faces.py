"""The pipeline on real portraits with real weights, by a change of params.yaml alone."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.functional.project import make_project, metrics, run
from tests.paths import SHARED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the folder shared/ with portraits is not beside here"),
]


def changes(name: str, train: int, val: int, test: int) -> dict[str, Any]:
    """Return the parameters for one of the sets of portraits."""
    folder = SHARED / "data" / name
    return {
        "synthetic_data.images": 20,
        "dataset.images": str(folder / "img_align_celeba"),
        "dataset.attributes": str(folder / "list_attr_celeba.csv"),
        "dataset.partitions": str(folder / "list_eval_partition.csv"),
        "partition.train": train,
        "partition.val": val,
        "partition.test": test,
        "backbone.weights": "file",
        "backbone.weights_file": str(SHARED / "weights" / "inception_v3_nsfwjs_notop.h5"),
        "preprocess.height": 218,
        "preprocess.width": 178,
        "backbone.trainable_from": "mixed9",
        "backbone.precision": "bfloat16",
        "train.epochs": 4,
        "train.batch_size": 32,
        "train.learning_rate": 0.0003,
    }


@pytest.mark.parametrize(
    ("name", "counts", "floor"),
    [
        ("congress_aligned", (200, 46, 46), 0.75),
        ("faker_portraits_aligned", (136, 30, 30), 0.8),
    ],
)
def test_real_portraits_are_classified(tmp_path: Path, name: str, counts: tuple[int, int, int], floor: float) -> None:
    folder = make_project(tmp_path / "Gesichter für Prüfung", changes(name, *counts))

    run(folder, "dvc", "repro", "evaluate")

    predictions = pd.read_csv(folder / "data" / "predictions.csv")
    labels = pd.read_csv(SHARED / "data" / name / "list_attr_celeba.csv").set_index("image_id")["Male"]
    official = pd.read_csv(SHARED / "data" / name / "list_eval_partition.csv").set_index("image_id")["partition"]
    assert len(predictions) == counts[2]
    assert (labels[predictions["image_id"]].to_numpy() == predictions["label"] * 2 - 1).all()
    assert (official[predictions["image_id"]] == 2).all()
    assert metrics(folder, "preprocess/train") == {"images": counts[0], "converted": 0, "skipped": 0}
    assert metrics(folder, "evaluate")["roc_auc"] >= floor
