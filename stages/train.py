"""Stage train: train the tail on features, or the whole network on images, and write the whole network."""

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from dvclive import Live
from dvclive.utils import standardize_metric_name

from facegender.cache import CACHE, TRAINING, alone
from facegender.data.images import Pixels, decode_image
from facegender.data.shards import Record, count_labels, shard_paths
from facegender.data.tables import write_csv
from facegender.errors import FacegenderError, one_line_errors
from facegender.files import md5_of
from facegender.network.backbone import build_head, build_model, load_backbone, tail_of
from facegender.network.batches import Batch, feature_batches, image_batches, ordered_batches, steps_per_epoch
from facegender.network.devices import POLICIES, dtype_policy, multiplies_bfloat16, training_strategy
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import check_same_trunk, load_inputs, read_trunk, tail_inputs
from facegender.network.model_file import read_layers, save_joined, save_model
from facegender.network.onnx_file import check_conversion, convert, part
from facegender.network.sidecar import FEATURES, HEAD, IMAGE, PROBABILITIES, TrunkSpec
from facegender.network.training import (
    Recipe,
    TrainingBatches,
    balanced_weights,
    best_epoch,
    digest_training,
    fit,
    learning_curves,
)
from facegender.params import Train, load_params
from facegender.preparation.augment import fresh_image, read_transformations
from facegender.reporting.costs import recorded_cost

BACKBONE = Path("models/backbone.keras")
CURVES = Path("metrics/plots/train")
MODEL = "models/uncalibrated.keras"
CHECKED = 8
TRAIN, COPIES, VAL = "train", "train_copies", "val"
STORED, IMAGES = Path("data/features"), Path("data/preprocessed")


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write models/uncalibrated.keras, metrics/train/metrics.json and the curves in metrics/plots/train."""
    params = load_params()
    group = params.train
    trunk = check_same_trunk({str(STORED / split): read_trunk(STORED / split) for split in (TRAIN, COPIES, VAL)})
    if md5_of(BACKBONE) != trunk["weights_md5"]:
        raise FacegenderError(BACKBONE, f"does not have the weights that computed {STORED / VAL}", "run: dvc repro")
    if group.precision == "bfloat16" and not multiplies_bfloat16():
        print("train: this processor has no bfloat16 instructions; float32 is many times faster on it", flush=True)
    shards = inputs_of(trunk, TRAIN, COPIES)
    batches = training_batches(trunk, shards, group)
    check_steps(batches.steps, group)
    val = inputs_of(trunk, VAL)
    transformations = IMAGES.glob(f"{COPIES}/*.json")
    files = [BACKBONE, *transformations, *shards, *val]
    states = CACHE / TRAINING
    devices = [device.device_type for device in tf.config.list_logical_devices()]
    settings = {"train": group.model_dump(), "trunk": trunk, "inputs": len(shards), "devices": devices}
    state = states / digest_training(Path(__file__), files, settings)
    for other in set(states.glob("*")) - {state}:
        shutil.rmtree(other)

    keras.utils.set_random_seed(group.seed)
    tf.config.experimental.enable_op_determinism()
    print(
        f"train: from {trunk['trainable_from']}; epochs: at most {group.epochs}, steps in each: {batches.steps:,}",
        flush=True,
    )
    epoch_began = time.monotonic()
    with training_strategy().scope(), Live("metrics/train", dvcyaml=None, save_dvc_exp=False) as live:
        with dtype_policy(POLICIES[group.precision]):
            model = make_model(trunk, group)
            tail = tail_in(model, trunk)

        # Epochs count from 1.
        live.step = 1
        epochs: list[dict[str, float]] = []

        def log(numbers: dict[str, float]) -> None:
            for name, number in numbers.items():
                live.log_metric(standardize_metric_name(name, "dvclive.keras"), number, plot=False)
            live.next_step()
            epochs.append(numbers)
            for name, curve in learning_curves(epochs).items():
                write_csv(CURVES / f"{name}.csv", curve)
            nonlocal epoch_began
            minutes, epoch_began = (time.monotonic() - epoch_began) / 60, time.monotonic()
            if minutes >= 1 and len(epochs) < group.epochs:
                print(f"train: about {minutes * (group.epochs - len(epochs)):.0f} minutes left", flush=True)

        history = fit(
            tail,
            batches,
            partial(ordered_batches, val),
            Recipe(**group.model_dump(include=set(Recipe._fields))),
            state,
            checkpoint_seconds=60 * params.cache.checkpoint_minutes,
            on_epoch=log,
        )
        best = best_epoch(history, group.monitor)
        live.summary["best"] = {"epoch": best} | history[best - 1]
        accuracy, loss = history[best - 1]["val_accuracy"], history[best - 1]["val_loss"]
        print(f"train: best epoch {best} of {len(history)}: validation accuracy {accuracy:.4f}, loss {loss:.4f}")
    # Whatever the precision of training, the model is used in float32.
    if group.precision != "float32":
        trained = make_model(trunk, group)
        trained.set_weights(model.get_weights())
        model = trained
    if trunk["trainable_from"] == HEAD:
        save_joined(BACKBONE, model, MODEL, trunk)
    else:
        save_model(model, MODEL, trunk)
    check(tail_in(model, trunk), trunk, val[0])
    shutil.rmtree(state)


def check(tail: keras.Model, trunk: TrunkSpec, shard: Path) -> None:
    """Check the tail's conversion, which later stages use, on some images of a shard."""
    inputs = load_inputs(shard).inputs[:CHECKED]
    network = part(convert(read_layers(MODEL), trunk), FEATURES, PROBABILITIES)
    # GPUs round float32 to TensorFloat-32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    check_conversion(MODEL, OpenVinoEngine(network)(inputs), np.asarray(tail(inputs, training=False)))


def check_steps(steps: int, group: Train) -> None:
    """Check that there are steps after the warm-up, and that all GPUs get images in every step."""
    if group.warmup_steps >= group.epochs * steps:
        what = f"train.warmup_steps is {group.warmup_steps}, but training has {group.epochs * steps} steps"
        raise FacegenderError("params.yaml", what, "lower it, or train for more epochs")
    gpus = len(tf.config.list_physical_devices("GPU"))
    # TensorFlow gives all but the last GPU the same number of images, rounded up.
    if (gpus - 1) * math.ceil(group.batch_size / max(1, gpus)) >= group.batch_size:
        what = f"train.batch_size is {group.batch_size}, but there are {gpus} GPUs"
        raise FacegenderError("params.yaml", what, f"use a multiple of {gpus}")


def inputs_of(trunk: TrunkSpec, *splits: str) -> list[Path]:
    """List the shards of splits that the tail takes."""
    return tail_inputs(trunk, [STORED / split for split in splits], [IMAGES / split for split in splits])


def make_model(trunk: TrunkSpec, group: Train) -> keras.Model:
    """Build the whole network with the backbone's pretrained weights; of the cut `head`, only the tail."""
    if trunk["trainable_from"] == HEAD:
        return build_head(group.dropout, group.hidden_units)
    model = build_model(trunk["height"], trunk["width"], group.dropout, group.hidden_units)
    load_backbone(model, BACKBONE)
    return model


def tail_in(model: keras.Model, trunk: TrunkSpec) -> keras.Model:
    """Return the trained part of what `make_model` returned. It shares its layers with it."""
    return model if trunk["trainable_from"] == HEAD else tail_of(model, trunk["trainable_from"])


def training_batches(trunk: TrunkSpec, shards: Sequence[Path], group: Train) -> TrainingBatches:
    """Choose batches of features, of images as they are, or of images that are transformed anew in every epoch."""
    counts = count_labels([path for split in (TRAIN, COPIES) for path in shard_paths(IMAGES / split)])
    transformations = read_transformations(IMAGES / COPIES)

    def to_pixels(record: Record, epoch: int) -> Pixels:
        if transformations is None:
            return decode_image(record.jpeg, record.image_id)
        return fresh_image(record, *transformations, epoch + 1)

    def of_epoch(epoch: int, skipped: int) -> Iterator[Batch]:
        arguments = (shards, group.batch_size, group.seed, epoch, skipped)
        if trunk["trainable_from"] == IMAGE:
            return image_batches(*arguments, to_pixels=to_pixels)
        return feature_batches(*arguments)

    return TrainingBatches(of_epoch, steps_per_epoch(sum(counts), group.batch_size), balanced_weights(counts))


if __name__ == "__main__":
    main()
