"""The stage train: what it trains on. tests/functional/test_resume.py runs it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from facegender.data.images import decode_image, encode_jpeg
from facegender.data.shards import Record, shard_paths, write_shards
from facegender.errors import FacegenderError
from facegender.files import md5_of, write_json
from facegender.network.backbone import build_backbone, build_head
from facegender.network.features import FeatureShard, load_inputs, pack_shard, tail_inputs
from facegender.network.model_file import save_joined, save_model
from facegender.network.sidecar import TrunkSpec
from facegender.params import Train, load_params
from facegender.preparation.augment import Ranges, fresh_image, write_transformations
from stages.train import check, check_steps, training_batches
from stages.train import main as train
from tests.paths import ROOT

pytestmark = pytest.mark.slow

WHOLE = TrunkSpec(trainable_from="image", weights_md5="0123", height=20, width=16)
NONE = Ranges(0, 0, False, False, 0, 0, 0, 0, 0, 0)


def settings(**changes: Any) -> Train:
    return load_params(ROOT / "params.yaml").train.model_copy(update=changes)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Record]:
    """Write shards of four images of No male and two of Male, and return their records."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 20, 16, 3), np.uint8)
    records = [Record(f"{number}.jpg", int(number > 3), encode_jpeg(image)) for number, image in enumerate(images)]
    for split in ("train", "train_copies"):
        (tmp_path / "data" / "preprocessed" / split).mkdir(parents=True)
    write_shards(tmp_path / "data" / "preprocessed" / "train", records)
    monkeypatch.chdir(tmp_path)
    return {record.image_id: record for record in records}


def test_a_conversion_that_differs_from_keras_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trunk = TrunkSpec(trainable_from="head", weights_md5="", height=218, width=178)
    save_model(build_backbone(), tmp_path / "backbone.keras", {})
    head, other = (build_head(0.5, 0) for _ in range(2))
    save_joined(tmp_path / "backbone.keras", head, Path("models/uncalibrated.keras"), trunk)
    features = np.abs(np.random.default_rng(0).normal(size=(9, 2048))).astype(np.float32)
    shard = FeatureShard(np.array([f"{number}.jpg" for number in range(9)]), np.zeros(9, np.int8), features)
    (tmp_path / "00000.npz.zst").write_bytes(pack_shard(shard, "shard"))

    check(head, trunk, tmp_path / "00000.npz.zst")

    with pytest.raises(
        FacegenderError, match=r"uncalibrated\.keras: the converted network differs from Keras's by 0\.\d+ of"
    ):
        check(other, trunk, tmp_path / "00000.npz.zst")


def test_images_are_transformed_anew_in_every_epoch(records: dict[str, Record]) -> None:
    ranges = NONE._replace(rotation=20, brightness=0.3)
    write_transformations("data/preprocessed/train_copies", ranges, 5)
    batches = training_batches(WHOLE, shard_paths("data/preprocessed/train"), settings(batch_size=2))

    assert batches.steps == 3
    for epoch in (0, 2):
        expected = [fresh_image(record, ranges, 5, epoch + 1) for record in records.values()]
        inputs = np.concatenate([images for images, _ in batches.of_epoch(epoch, 0)])
        rest = np.concatenate([images for images, _ in batches.of_epoch(epoch, 1)])
        assert sorted(image.tobytes() for image in inputs) == sorted(image.tobytes() for image in expected)
        assert np.array_equal(rest, inputs[2:])


def test_originals_and_their_copies_are_taken_as_they_are_without_fresh_transformations(
    records: dict[str, Record],
) -> None:
    write_shards(Path("data/preprocessed/train_copies"), [records["5.jpg"], records["4.jpg"]])
    Path("data/preprocessed/train_copies/00000.zip").rename("data/preprocessed/train_copies/00000-copy-1.zip")
    folders = [f"data/preprocessed/{split}" for split in ("train", "train_copies")]
    shards = tail_inputs(WHOLE, [], folders)

    batches = training_batches(WHOLE, shards, settings(batch_size=8))

    assert [path.name for path in shards] == ["00000-copy-1.zip", "00000.zip"]
    assert load_inputs(shards[1]).image_ids == list(records)
    assert np.array_equal(load_inputs(shards[0]).inputs[0], decode_image(records["5.jpg"].jpeg, "5.jpg"))
    [(images, labels)] = batches.of_epoch(0, 0)
    assert sorted(labels.tolist()) == [0] * 4 + [1] * 4
    expected = [decode_image(record.jpeg, name) for name, record in records.items()]
    expected += expected[4:]
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in expected)


def test_the_smaller_class_has_the_larger_weight(records: dict[str, Record]) -> None:
    batches = training_batches(WHOLE, shard_paths("data/preprocessed/train"), settings())

    assert batches.class_weights == (6 / 8, 6 / 4)


@pytest.mark.parametrize(
    ("is_fast", "precision", "told"), [(False, "bfloat16", 1), (True, "bfloat16", 0), (False, "float32", 0)]
)
def test_bfloat16_on_a_processor_without_it_is_told(
    is_fast: bool,
    precision: str,
    told: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.train.multiplies_bfloat16", lambda: is_fast)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"]["precision"] = precision
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    Path("models").mkdir()
    Path("models/backbone.keras").touch()
    for split in ("train", "train_copies", "val"):
        write_json(
            Path("data/features", split, "trunk.json"), {**WHOLE, "weights_md5": md5_of("models/backbone.keras")}
        )
        Path("data/preprocessed", split).mkdir(parents=True)

    with pytest.raises(SystemExit, match=r"^error: "):  # There are no images.
        train()

    line = "train: this processor has no bfloat16 instructions; float32 is many times faster on it\n"
    assert capsys.readouterr().out.count(line) == told


@pytest.mark.parametrize(("warmup_steps", "steps"), [(6, 3), (7, 3)])
def test_a_warm_up_as_long_as_training_is_one_line(warmup_steps: int, steps: int) -> None:
    group = settings(epochs=2, warmup_steps=warmup_steps)

    check_steps(steps + 1, group)
    with pytest.raises(FacegenderError, match=rf"train\.warmup_steps is {warmup_steps}, but training has 6 steps"):
        check_steps(steps, group)


@pytest.mark.parametrize(("gpus", "batch_size", "fits"), [(1, 1, True), (2, 1, False), (3, 4, False), (3, 5, True)])
def test_a_step_must_have_images_for_every_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: int, batch_size: int, fits: bool
) -> None:
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["GPU"] * gpus)
    group = settings(batch_size=batch_size)

    if fits:
        check_steps(9, group)
    else:
        with pytest.raises(FacegenderError, match=f"train.batch_size is {batch_size}, but there are {gpus} GPUs"):
            check_steps(9, group)
