"""`kill -9` during a run, then `dvc repro`: finished work is kept, and the outs are those of an undisturbed run."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.functional.project import TINY, environment, make_project, run

pytestmark = pytest.mark.slow

CHANGES = TINY | {
    "synthetic_data.images": 900,
    "partition.train": 400,
    "train.epochs": 4,
    "train.learning_rate": 0.001,
    "train.dropout": 0.5,
}
"""Four shards of images and four of copies, and four epochs."""


def stages_of(folder: Path) -> dict[str, Any]:
    """Read dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert "train" in stages
    return stages


IMAGES = TINY | {
    "partition.train": "all",
    "augment.mode": "fresh",
    "augment.copies": 0,
    "augment.brightness": 0.2,
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


def kill_when(project: Path, ready: Callable[[], Any], dvc_too: bool) -> str:
    """Run `dvc repro` until `ready()`, kill the stage's process, with DVC's if `dvc_too`, and return the output."""
    log = project.parent / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dvc", "repro", "train"],
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
    return log.read_text()


def test_a_run_killed_in_features_and_in_train_has_the_outs_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = make_project(tmp_path / "undisturbed", CHANGES)
    run(undisturbed, "dvc", "repro", "train")
    project = make_project(tmp_path / "killed" / "project", CHANGES)
    memo, states = project / ".cache" / "features", project / ".cache" / "training"

    kill_when(project, lambda: len(list(memo.glob("*/[0-9a-f]*"))) >= 2, dvc_too=True)
    known = len(list(memo.glob("*/[0-9a-f]*")))
    assert 2 <= known < 8

    # The curve of validation loss can be watched during training: a header, then a line per epoch.
    curve = project / "metrics" / "train" / "plots" / "metrics" / "eval" / "loss.tsv"
    printed = kill_when(project, lambda: curve.exists() and len(curve.read_text().splitlines()) > 1, dvc_too=False)
    computed = re.findall(r"features train(?:_copies)?: (\d) shards computed", printed)
    assert sum(map(int, computed)) == 8 - known
    done = max(int(folder.name[-4:]) for folder in states.glob("*/epoch-*"))
    assert 1 <= done < 4

    printed = run(project, "dvc", "repro", "train")
    assert re.findall(r"^Epoch (\d)/4", printed, flags=re.MULTILINE) == [str(epoch) for epoch in range(done + 1, 5)]
    assert stages_of(project) == stages_of(undisturbed)
    assert not list(states.glob("*"))
    assert not list((project / "data").rglob(".partial*"))


def test_training_on_images_killed_within_an_epoch_has_the_outs_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = make_project(tmp_path / "undisturbed", IMAGES)
    run(undisturbed, "dvc", "repro", "evaluate")
    project = make_project(tmp_path / "killed" / "project", IMAGES)

    states = project / ".cache" / "training"
    kill_when(project, lambda: list(states.glob("*/epoch-0001-step-*/tail.weights.h5")), dvc_too=True)

    run(project, "dvc", "repro", "train")
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
