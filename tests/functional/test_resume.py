"""`kill -9` during a run, then `dvc repro`: finished work is kept, and the outs are those of an undisturbed run."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.functional.project import TINY, environment, make_project, run, use_small_backbone

pytestmark = [pytest.mark.slow, pytest.mark.long]

FOUR_SHARDS = TINY | {"synthetic_data.images": 900, "partition.train": 400}

IMAGES = TINY | {
    "partition.train": "all",
    "augment.mode": "fresh",
    "augment.copies": 0,
    "augment.brightness": 0.2,
    # The others are InceptionV3's.
    "backbone.weights": "random",
    "backbone.trainable_from": "image",
    "train.warmup_steps": 2,
    "train.weight_decay": 0.02,
    "train.label_smoothing": 0.05,
    "train.ema_momentum": 0.5,
    "train.precision": "bfloat16",
    "calibrate.mirror": True,
    "cache.checkpoint_minutes": 0.0001,
}
"""The whole network, with a state after every step."""


def stages_of(folder: Path) -> dict[str, Any]:
    """Read dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return stages


def copy_of(project: Path, target: Path) -> Path:
    """Copy a project in which the stages before the one to kill have run."""
    shutil.copytree(project, target, symlinks=True)
    return target


def kill_when(project: Path, target: str, ready: Callable[[], Any], dvc_too: bool) -> None:
    """Run `dvc repro` of a stage until `ready()`, and kill the stage's process, with DVC's if `dvc_too`."""
    log = project.parent / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro", target],
            cwd=project,
            env=environment(project),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        limit = time.monotonic() + 600
        while not ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.02)
        if dvc_too:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.wait(60)


def test_features_killed_halfway_keep_the_shards_that_were_computed(tmp_path: Path) -> None:
    undisturbed = make_project(tmp_path / "undisturbed", FOUR_SHARDS)
    run(undisturbed, "dvc", "repro", "preprocess@train", "pretrained")
    project = copy_of(undisturbed, tmp_path / "killed" / "project")
    run(undisturbed, "dvc", "repro", "features@train")
    memo = project / ".cache" / "features"

    kill_when(project, "features@train", lambda: len(list(memo.glob("*/[0-9a-f]*"))) >= 2, dvc_too=True)
    known = len(list(memo.glob("*/[0-9a-f]*")))
    assert 2 <= known < 4

    printed = run(project, "dvc", "repro", "features@train")
    assert re.findall(r"features train: (\d) shards computed", printed) == [str(4 - known)]
    assert stages_of(project) == stages_of(undisturbed)
    assert not list((project / "data").rglob(".partial*"))


def test_training_on_images_killed_within_an_epoch_has_the_outs_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = make_project(tmp_path / "undisturbed", IMAGES)
    use_small_backbone(undisturbed)
    run(undisturbed, "dvc", "repro", "features@train", "features@val", "features@train_copies")
    project = copy_of(undisturbed, tmp_path / "killed" / "project")
    run(undisturbed, "dvc", "repro", "calibrate")
    states = project / ".cache" / "training"

    # The loss can be watched during training: a header, then two lines per epoch.
    curve = project / "metrics" / "plots" / "train" / "loss.csv"
    within = partial(states.glob, "*/epoch-0001-step-*/tail.npz")
    kill_when(project, "train", lambda: list(within()) and len(curve.read_text().splitlines()) > 1, dvc_too=False)

    printed = run(project, "dvc", "repro", "train")
    assert re.findall(r"^Epoch (\d)/2", printed, flags=re.MULTILINE) == ["2"]
    assert stages_of(project)["train"] == stages_of(undisturbed)["train"]
    assert not list(states.glob("*"))

    program = (
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('models/gender.keras')\n"
        "layers = [layer for layer in model.layers if isinstance(layer, keras.Layer)]\n"
        "assert {layer.compute_dtype for layer in layers} <= {'float32', 'uint8'}\n"
        "images = np.random.default_rng(0).integers(0, 256, (4, *model.input_shape[1:]), np.uint8)\n"
        "one, other = model.predict_on_batch(images), model.predict_on_batch(images[:, :, ::-1])\n"
        "assert np.abs(one - other).max() < 1e-6, (one, other)\n"
        "assert one.std() > 1e-4\n"
    )
    run(undisturbed, "python", "-c", program)
