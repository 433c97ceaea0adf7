"""Stage train: train the tail on the features, and join it to the trunk."""

import shutil
from pathlib import Path

import keras
import tensorflow as tf
from dvclive import Live
from dvclive.utils import standardize_metric_name

from facegender.cache import TRAINING, sole_run
from facegender.errors import FacegenderError, one_line_errors
from facegender.files import md5_of
from facegender.network.backbone import build_model, load_backbone, tail_of
from facegender.network.features import check_same_trunk, feature_paths, read_trunk
from facegender.network.model_file import save_model
from facegender.network.training import best_epoch, digest_training, fit_tail
from facegender.params import Params, load_params
from facegender.reporting.costs import recorded_cost

WEIGHTS = Path("models/backbone.weights.h5")
CACHE = Path(".cache")
TRAIN, VAL = ("data/features/train", "data/features/train_copies"), "data/features/val"


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/uncalibrated.keras and the curves in metrics/train."""
    with sole_run(CACHE, "train"):
        train(load_params())


def train(params: Params) -> None:
    """Train, or resume training, and write the model."""
    group = params.train
    trunk = check_same_trunk({folder: read_trunk(folder) for folder in (*TRAIN, VAL)})
    if md5_of(WEIGHTS) != trunk["weights_md5"]:
        raise FacegenderError(WEIGHTS, f"not the weights that computed {VAL}", "run: dvc repro")
    training, val = feature_paths(*TRAIN), feature_paths(VAL)
    files = [Path(__file__), WEIGHTS, *training, *val]
    states = CACHE / TRAINING
    state = states / digest_training(files, {"train": group.model_dump(), "trunk": trunk})
    for other in set(states.glob("*")) - {state}:
        shutil.rmtree(other)

    keras.utils.set_random_seed(group.seed)
    tf.config.experimental.enable_op_determinism()
    model = build_model(trunk["height"], trunk["width"], group.dropout, group.hidden_units)
    load_backbone(model, WEIGHTS)
    with Live("metrics/train", dvcyaml=None, save_dvc_exp=False) as live:

        def log(numbers: dict[str, float]) -> None:
            for name, number in numbers.items():
                live.log_metric(standardize_metric_name(name, "dvclive.keras"), number)
            live.next_step()

        settings = group.model_dump(exclude={"dropout", "hidden_units"})
        history = fit_tail(tail_of(model, trunk["trainable_from"]), training, val, state, **settings, on_epoch=log)
        best = best_epoch(history, group.monitor)
        live.summary["best"] = {"epoch": best} | history[best - 1]
    save_model(model, "models/uncalibrated.keras", trunk)
    shutil.rmtree(state)


if __name__ == "__main__":
    main()
