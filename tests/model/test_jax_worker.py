"""`benchmarks.jax_worker` trains as the pipeline does. Needs JAX: pip install jax."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegender.network.batches import Batch
from facegender.network.training import Recipe, TrainingBatches, balanced_weights, fit
from tests.model.jax_training import NUMBERS
from tests.paths import ROOT
from tests.small_network import IMAGES, STEPS, orders, small_network, uneven_labels

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not find_spec("jax"), reason="JAX is not installed")]

TRAIN: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "warmup_steps": 4,
    "weight_decay": 2.0,
    "label_smoothing": 0.1,
    "ema_momentum": 0.6,
    "monitor": "val_loss",
    "patience": 9,
    "seed": 1,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "constant", "warmup_steps": 0, "weight_decay": 0, "label_smoothing": 0, "ema_momentum": 0},
        # So high that the first epoch is the best one.
        {"learning_rate": 1.0, "schedule": "constant", "patience": 1},
    ],
)
def test_jax_trains_as_the_pipeline(tmp_path: Path, changes: dict[str, Any]) -> None:
    train = TRAIN | changes
    (tmp_path / "train.json").write_text(json.dumps(train), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "tests.model.jax_training",
        str(tmp_path / "train.json"),
        str(tmp_path / "jax.npz"),
    ]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}, check=True)
    with np.load(tmp_path / "jax.npz") as arrays:
        initial = [arrays[name] for name in arrays.files if name.startswith("initial_")]
        trained = [arrays[name] for name in arrays.files if name.startswith("trained_")]
        history = {name: arrays[name] for name in NUMBERS}
    labels = uneven_labels()

    def of_epoch(epoch: int, skipped: int) -> Iterator[Batch]:
        for chosen in orders(train["epochs"])[epoch][skipped:]:
            yield IMAGES[chosen], labels[chosen]

    network = small_network()
    network.set_weights(initial)
    expected = fit(
        network,
        TrainingBatches(of_epoch, STEPS, balanced_weights((15, 5))),
        lambda: iter([(IMAGES, labels)]),
        Recipe(**{name: train[name] for name in Recipe._fields}),
        tmp_path / "state",
        checkpoint_seconds=3600,
        on_epoch=lambda numbers: None,
    )

    assert len(history["loss"]) == len(expected) == (2 if train["patience"] == 1 else 3)
    for name, values in history.items():
        assert values == pytest.approx([epoch[name] for epoch in expected], rel=1e-4)
    for variable, value in zip(network.trainable_variables, trained, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), rtol=1e-3, atol=1e-5)
