"""Train the tail on features that are read shard by shard; training can resume after every epoch."""

import hashlib
import json
import math
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError
from facegender.files import whole_folder, write_json
from facegender.imports import PACKAGE, imported_files
from facegender.network.batches import Batch, ordered_batches, shuffled_batches

_DECIMALS = 8
"""Decimals of recorded losses and accuracies: float32 has no more."""

Schedule = Literal["constant", "cosine"]
Monitor = Literal["val_loss", "val_accuracy"]
History = list[dict[str, float]]
"""For each epoch: loss, accuracy, val_loss, val_accuracy, learning_rate."""


def fit_tail(
    tail: keras.Model,
    train: Sequence[Path],
    val: Sequence[Path],
    state: Path,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    schedule: Schedule,
    monitor: Monitor,
    patience: int,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None],
) -> History:
    """Train the tail with Adam and leave it with the weights of the best epoch.

    Args:
        tail: features to probabilities (batch, 2); its weights are changed.
        train: feature shards to train on.
        val: feature shards to choose the epoch by.
        state: folder for the last and the best epoch, from which a call with the same arguments resumes. The caller
            deletes it when it is no longer needed.
        epochs: maximum number of epochs.
        batch_size: images per step.
        learning_rate: Adam's learning rate in the first epoch.
        schedule: `constant`, or `cosine`: each epoch has a lower rate, along half a cosine that would end at 0 after
            `epochs` (Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts).
        monitor: the best epoch has the lowest `val_loss` or the highest `val_accuracy`.
        patience: training stops after this many epochs without a better one.
        seed: for the order of images and for dropout.
        on_epoch: called with the values of every epoch when it ends, and at the start for the epochs in `state`.

    Returns:
        The values of all epochs.

    Raises:
        FacegenderError: a loss is NaN or infinite, or `state` is damaged.
    """
    history = _known_epochs(state)
    for numbers in history:
        on_epoch(numbers)
    current_epoch = len(history)

    def begin(epoch: int, logs: dict[str, float] | None) -> None:
        nonlocal current_epoch
        current_epoch = epoch
        # Keras does not save the state of random generators, so dropout is seeded again in every epoch.
        for layer in tail.layers:
            if isinstance(layer, keras.layers.Dropout) and layer.rate:
                layer.seed_generator.state.assign(np.random.SeedSequence([seed, epoch]).generate_state(2))

    def end(epoch: int, logs: dict[str, float]) -> None:
        numbers = {**logs, "learning_rate": tail.optimizer.learning_rate}
        if not all(math.isfinite(float(number)) for number in numbers.values()):
            raise FacegenderError(
                f"train: epoch {epoch + 1}", "the loss is NaN or infinite", "lower train.learning_rate in params.yaml"
            )
        # Sorted as in the state's JSON, so that a resumed run logs the same columns in the same order.
        history.append({name: round(float(number), _DECIMALS) for name, number in sorted(numbers.items())})
        _keep(tail, history, monitor, state)
        on_epoch(history[-1])
        tail.stop_training = _is_over(history, epochs, monitor, patience)

    # XLA does not support deterministic operations and is not always faster: benchmarks/tail_training.py.
    tail.compile(
        keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    if history:
        tail.optimizer.build(tail.trainable_variables)
        _load(tail, _weights(state, len(history)))
    if not _is_over(history, epochs, monitor, patience):
        with warnings.catch_warnings():
            # Keras warns when a stream of unknown length ends, as each epoch here does.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            tail.fit(
                _dataset(tail, lambda: shuffled_batches(train, batch_size, seed, current_epoch)),
                validation_data=_dataset(tail, lambda: ordered_batches(val)),
                initial_epoch=len(history),
                epochs=epochs,
                # A progress bar on a terminal, a line per epoch in a log.
                verbose=1 if sys.stdout.isatty() else 2,
                callbacks=[
                    keras.callbacks.LearningRateScheduler(
                        lambda epoch: scheduled_rate(learning_rate, schedule, epoch, epochs)
                    ),
                    keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end),
                ],
            )
    _load(tail, _weights(state, best_epoch(history, monitor)))
    return history


def best_epoch(history: History, monitor: Monitor) -> int:
    """Return the epoch, counted from 1, with the lowest `val_loss` or highest `val_accuracy`; the first in a tie."""
    sign = 1 if monitor == "val_loss" else -1
    return min(range(len(history)), key=lambda epoch: sign * history[epoch][monitor]) + 1


def scheduled_rate(learning_rate: float, schedule: Schedule, epoch: int, epochs: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    return learning_rate if schedule == "constant" else learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2


def digest_training(files: Sequence[Path], settings: dict[str, Any]) -> str:
    """Compute a digest of everything that determines the result of training: files, settings, code and libraries."""
    sources = sorted(imported_files([Path(__file__), PACKAGE / "network/backbone.py"]))
    parts = [hashlib.sha256(path.read_bytes()).digest() for path in (*sources, *files)]
    parts.append(json.dumps(settings, sort_keys=True).encode())
    parts += [f"{name}=={version(name)}".encode() for name in ("keras", "numpy", "tensorflow")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _is_over(history: History, epochs: int, monitor: Monitor, patience: int) -> bool:
    return bool(history) and (len(history) >= epochs or len(history) - best_epoch(history, monitor) >= patience)


def _weights(state: Path, epoch: int) -> Path:
    return state / f"epoch-{epoch:04}" / "tail.weights.h5"


def _known_epochs(state: Path) -> History:
    folders = sorted(state.glob("epoch-*"))
    if not folders:
        return []
    try:
        history: History = json.loads((folders[-1] / "history.json").read_text(encoding="utf-8"))["epochs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folders[-1]) from error
    return history


def _load(tail: keras.Model, weights: Path) -> None:
    try:
        tail.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(weights.parent) from error


def _damaged(epoch: Path) -> FacegenderError:
    return FacegenderError(epoch, "damaged training state", f"delete {epoch.parent} and run: dvc repro")


def _keep(tail: keras.Model, history: History, monitor: Monitor, state: Path) -> None:
    """Save the epoch that just ended, with Adam's moments, and delete all others except the best."""
    last = _weights(state, len(history)).parent
    with whole_folder(last) as partial:
        tail.save_weights(partial / "tail.weights.h5")
        write_json(partial / "history.json", {"epochs": history})
    for folder in state.glob("epoch-*"):
        if folder not in (last, _weights(state, best_epoch(history, monitor)).parent):
            shutil.rmtree(folder)


def _dataset(tail: keras.Model, batches: Callable[[], Iterator[Batch]]) -> tf.data.Dataset:
    signature = (
        tf.TensorSpec((None, *tail.input_shape[1:]), tf.float16),
        tf.TensorSpec((None,), tf.int8),
    )
    # With deterministic operations, tf.data does not prepare a batch during the previous step.
    return tf.data.Dataset.from_generator(lambda: read_ahead(batches()), output_signature=signature)
