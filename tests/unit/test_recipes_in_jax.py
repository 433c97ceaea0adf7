"""Recipes that JAX trains: the images that it trains on, and what its logits become."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import jax_worker
from benchmarks.jax_worker import Part, batches_of, fill
from benchmarks.recipes import RECIPES
from benchmarks.recipes_in_jax import read_result, recipe_file, results_table
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.images import decode_image, encode_jpeg
from facegender.data.shards import Record, write_shard
from facegender.data.tables import write_csv
from facegender.errors import FacegenderError
from facegender.files import write_arrays, write_json
from facegender.network.batches import image_batches
from facegender.network.features import tail_inputs
from facegender.network.sidecar import TrunkSpec
from facegender.preparation.augment import Ranges, fresh_image
from tests.paths import ROOT

RANGES = Ranges(12, 0.2, True, False, 0.06, 0.06, 0, 0.2, 0.2, 0.2)
PARAMS: dict[str, dict[str, Any]] = {
    "augment": {**RANGES._asdict(), "mode": "fresh", "seed": 3},
    "train": {"batch_size": 4, "seed": 5},
}
BATCH, EPOCH = 4, 1


def write_images(file: Path, first: int, count: int) -> None:
    file.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(first).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)
    records = [Record(f"{first + number}.jpg", number % 2, encode_jpeg(noise[number])) for number in range(count)]
    write_shard(file, records)


def write_shards_of_training(folder: Path) -> tuple[Path, Path]:
    """Write two shards of images and one of copies, as the stages name them."""
    write_images(folder / "train" / "00000.zip", 0, 4)
    write_images(folder / "train" / "00001.zip", 4, 3)
    write_images(folder / "train-copies" / "00000-copy-1.zip", 10, 7)
    return folder / "train", folder / "train-copies"


@pytest.mark.parametrize("mode", ["fresh", "copies"])
def test_the_images_of_an_epoch_are_those_of_the_pipelines_batches(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write_shards_of_training(tmp_path)
    params = PARAMS | {"augment": PARAMS["augment"] | {"mode": mode}}
    buffer = np.zeros((14, HEIGHT, WIDTH, 3), np.uint8)
    monkeypatch.setattr(jax_worker, "buffers", [buffer])

    for part in (range(9), range(9, 14)):
        fill(Part(shards, part, 0, params, EPOCH))
    batches = batches_of(shards, params, EPOCH)

    def to_pixels(record: Record, epoch: int) -> Any:
        return fresh_image(record, RANGES, 3, epoch + 1) if mode == "fresh" else decode_image(record.jpeg, "")

    trunk = TrunkSpec(trainable_from="image", weights_md5="", height=HEIGHT, width=WIDTH)
    paths = tail_inputs(trunk, [], shards)
    expected = [images for images, _ in image_batches(paths, BATCH, 5, EPOCH, to_pixels=to_pixels)]
    # 14 images make three batches of four.
    assert batches.shape == (3, BATCH)
    np.testing.assert_array_equal(buffer[batches], expected)


def test_other_processes_prepare_the_epochs_in_turn(tmp_path: Path) -> None:
    write_shards_of_training(tmp_path)
    # Processes are forked, which is not safe in a process with threads, as that of tests may be.
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from benchmarks.jax_worker import Epochs, records_of\n"
        "from facegender.preparation.augment import Ranges, fresh_image\n"
        "folder = Path(sys.argv[1])\n"
        f"params = {PARAMS!r}\n"
        "shards = (folder / 'train',), (folder / 'train-copies',)\n"
        "plan = [(shards[number % 2], params, number) for number in range(5)]\n"
        "for (chosen, _, number), epoch in zip(plan, Epochs(7, 2).of(plan), strict=True):\n"
        "    records = records_of(chosen)\n"
        f"    expected = [fresh_image(record, Ranges(*{tuple(RANGES)!r}), 3, number + 1) for record in records]\n"
        "    assert (epoch.pixels == expected).all() and epoch.batches.shape == (1, 4)\n"
        "    assert epoch.labels.tolist() == [record.label for record in records]\n"
        "print('all epochs')\n"
    )

    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)

    assert run.stdout == "all epochs\n", run.stderr


def test_recipes_are_written_with_every_seed_and_their_folders_of_images() -> None:
    whole, stored = "whole, 4 epochs, plain", "mixed5, 3 epochs"

    content = recipe_file({name: RECIPES[name] for name in (whole, stored)}, [120, 7])

    assert list(content) == [f"{name}, seed {seed}" for name in (whole, stored) for seed in (120, 7)]
    assert content[f"{whole}, seed 7"]["shards"] == ["train-14000"]
    assert content[f"{stored}, seed 7"]["shards"] == ["train-14000", "train-14000-copies"]
    params = content[f"{whole}, seed 7"]["params"]
    assert (params["train"]["seed"], params["augment"]["seed"], params["partition"]["seed"]) == (7, 7, 120)
    assert (params["train"]["epochs"], params["augment"]["mode"]) == (4, "fresh")
    # Results are files of these names.
    assert list(recipe_file({"as in a/b": {}}, [1])) == ["as in a b, seed 1"]
    with pytest.raises(FacegenderError, match=r"train\.epoch: no such parameter"):
        recipe_file({"one": {"train.epoch": 4}}, [1])


def write_result(folder: Path, **test_sets: list[float]) -> Path:
    """Write a result, and its partition, whose temperature is 1 and whose threshold is 0.5."""
    (folder / "partition").mkdir()
    # At P = 3/4, three of four are right.
    splits = {"val": [-np.log(3)] * 4 + [np.log(3)] * 4, **test_sets}
    right = {"val": [0, 0, 0, 1, 1, 1, 1, 0]}
    arrays: list[tuple[str, Any]] = []
    for split, values in splits.items():
        labels = right.get(split, [number % 2 for number in range(len(values))])
        ids = [f"{split}{number}.jpg" for number in range(len(values))]
        arrays.append((f"{split}_logits", np.array([[1, 1 + value] for value in values], np.float32)))
        arrays += [(f"{split}_labels", np.array(labels, np.int8)), (f"{split}_ids", ids)]
        table = pd.DataFrame({"image_id": ids, "label": labels, "identity": range(len(ids))})
        write_csv(folder / "partition" / f"{split}.csv", table)
    write_arrays(folder / "one.npz", arrays)
    params = {"calibrate": {"threshold": "accuracy"}, "evaluate": {"resamples": 10, "seed": 1}}
    content = {
        "params": params,
        "training_images": 14000,
        "best": {"val_accuracy": 0.75},
        "seconds": 61.4,
        "device": "a GPU",
    }
    write_json(folder / "one.json", content)
    return folder / "one.json"


def test_logits_become_predictions_as_in_the_pipeline(tmp_path: Path) -> None:
    file = write_result(tmp_path, test=[-np.log(9), np.log(9), 0.1, -0.1])

    _, predictions = read_result(file, tmp_path / "partition")

    assert predictions.keys() == {"test"}
    table = predictions["test"]
    assert table["probability"].tolist() == pytest.approx([0.1, 0.9, 0.524979, 0.475021], abs=1e-4)
    assert table["predicted"].tolist() == [0, 1, 1, 0]
    assert table["label"].tolist() == [0, 1, 0, 1]
    assert table["identity"].tolist() == [0, 1, 2, 3]


def test_an_image_that_is_not_in_the_partition_is_one_line(tmp_path: Path) -> None:
    file = write_result(tmp_path, test=[-1, 1])
    (tmp_path / "partition" / "test.csv").write_text("image_id,label\ntest0.jpg,0\n", encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"test1\.jpg: was predicted but is not in this table"):
        read_result(file, tmp_path / "partition")


def test_the_table_shows_test_images_and_the_balanced_accuracy_of_further_test_sets(tmp_path: Path) -> None:
    # Of congress, the one wrong answer is the second of two males: (1 + 0.5) / 2.
    file = write_result(tmp_path, test=[-3, 3, -3, 3], congress=[-3, 3, -3, -3])

    rows = results_table({"one": read_result(file, tmp_path / "partition")}).splitlines()

    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    shown = dict(zip(cells[0], cells[2], strict=True))
    calibration = shown.pop("ECE (95%)")
    # All right at P = 1 / (1 + exp(-3)) = 0.9526.
    assert calibration.startswith("0.0474 ")
    assert shown == {
        "Recipe": "one",
        "Training images": "14,000",
        "Validation accuracy": "0.7500",
        "Test accuracy (95%)": "1.0000 (1.0000 to 1.0000)",
        "ROC AUC": "1.0000",
        "congress": "0.7500",
        "Training": "61 s",
        "Device": "a GPU",
    }
