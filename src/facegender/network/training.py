"""Train the tail, or the whole network, on batches that are read as needed; training can resume within an epoch."""

import hashlib
import json
import math
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf

from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError
from facegender.files import whole_folder, write_arrays, write_json
from facegender.imports import imported_files
from facegender.network.batches import Batch

_DECIMALS = 8
"""Decimals of recorded losses and accuracies: float32 has no more."""

_DIGESTS = "digests.json"
"""The file in a folder of the state with the digests of the others."""

Schedule = Literal["constant", "cosine"]
Monitor = Literal["val_loss", "val_accuracy"]
History = list[dict[str, float]]
"""For each epoch: loss, accuracy, val_loss, val_accuracy, and the learning_rate after its last step."""


class Recipe(NamedTuple):
    """How to train.

    Attributes:
        epochs: maximum number of epochs.
        learning_rate: Adam's highest learning rate.
        schedule: `constant`, or `cosine`: after the warm-up, the rate falls with every step along half a cosine that
            reaches 0 with the last step of the last epoch (Loshchilov and Hutter, SGDR, 2017, equation 5, without
            restarts).
        warmup_steps: the number of steps in which the rate rises from 0 to `learning_rate` in a straight line; fewer
            than all steps.
        weight_decay: share of `learning_rate` by which each kernel shrinks in a step, apart from the gradient
            (Loshchilov and Hutter, AdamW, 2019); biases do not shrink.
        label_smoothing: the loss asks for a probability of 1 - label_smoothing / 2 of an image's label.
        ema_momentum: the weights to validate and keep are an exponential moving average of those after each step, with
            this momentum; 0 for the weights themselves.
        monitor: the best epoch has the lowest `val_loss` or the highest `val_accuracy`. Losses include the smoothing.
        patience: training stops after this many epochs without a better one.
        seed: for dropout.
    """

    epochs: int
    learning_rate: float
    schedule: Schedule
    warmup_steps: int
    weight_decay: float
    label_smoothing: float
    ema_momentum: float
    monitor: Monitor
    patience: int
    seed: int


class TrainingBatches(NamedTuple):
    """The batches of every epoch.

    Attributes:
        of_epoch: called with the epoch, counted from 0, and the number of batches to skip; yields the rest.
        steps: the number of batches in an epoch.
        class_weights: factors of the loss for No male and Male.
    """

    of_epoch: Callable[[int, int], Iterator[Batch]]
    steps: int
    class_weights: tuple[float, float]


def balanced_weights(counts: tuple[int, int]) -> tuple[float, float]:
    """Return factors that give both classes the same share of the loss, 1 on average over the images.

    Args:
        counts: images of No male and of Male.

    Raises:
        FacegenderError: there are no images of a class.
    """
    if not all(counts):
        raise FacegenderError("data/preprocessed/train", "has images of only one class", "use another data set")
    no_male, male = (sum(counts) / (2 * count) for count in counts)
    return no_male, male


def fit(
    tail: keras.Model,
    train: TrainingBatches,
    val: Callable[[], Iterator[Batch]],
    recipe: Recipe,
    state: Path,
    *,
    checkpoint_seconds: float,
    on_epoch: Callable[[dict[str, float]], None],
) -> History:
    """Train the tail, which may be the whole network, and leave it with the weights of the best epoch.

    Call it under the scope of the distribution strategy under which the tail was built.

    Args:
        tail: features, or images, to probabilities (batch, 2); its weights are changed.
        train: to train on.
        val: yields batches to choose the epoch by.
        recipe: how to train.
        state: folder for the state after the best epoch and the last one, from which a call with the same arguments
            resumes. The caller deletes it when it is no longer needed.
        checkpoint_seconds: the state is kept after every epoch, and within an epoch when this time has passed.
        on_epoch: called with the values of every epoch when it ends, and at the start for the epochs in `state`.

    Returns:
        The values of all epochs.

    Raises:
        FacegenderError: a loss is NaN or infinite, or `state` is damaged.
    """
    history, skipped = _known_epochs(state)
    for numbers in history:
        on_epoch(numbers)
    # XLA does not support deterministic operations and is not always faster: benchmarks/tail_training.py.
    tail.compile(
        _optimizer(recipe, train.steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,
    )
    if history or skipped:
        tail.optimizer.build(tail.trainable_variables)
        _load(tail, _last(state))
    progress = _Progress(tail, train.steps, recipe, state, history, skipped, checkpoint_seconds, on_epoch)
    averaging = [keras.callbacks.SwapEMAWeights()] if recipe.ema_momentum else []
    while not _is_over(history, recipe):
        # First the rest of an epoch that was interrupted.
        first, last = len(history), len(history) + 1 if skipped else recipe.epochs
        with warnings.catch_warnings():
            # Keras warns when a stream of unknown length ends, as the validation images do.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            tail.fit(
                _dataset(tail, partial(_of_epochs, train, first, last, skipped)),
                validation_data=_dataset(tail, val),
                class_weight=dict(enumerate(train.class_weights)) if set(train.class_weights) != {1.0} else None,
                initial_epoch=first,
                epochs=last,
                # Without it, TensorFlow begins a step after the last one, which counts in the optimizer.
                steps_per_epoch=train.steps - skipped,
                # A progress bar on a terminal, a line per epoch in a log.
                verbose=1 if sys.stdout.isatty() else 2,
                callbacks=[*averaging, progress],
            )
        skipped = 0
        # Keras ends with the averages in place of the weights.
        _load(tail, _last(state))
    _load(tail, _epoch_folder(state, best_epoch(history, recipe.monitor)))
    if recipe.ema_momentum:
        # Replaces the weights by their average.
        tail.optimizer.finalize_variable_values(tail.trainable_variables)
    return history


class _Progress(keras.callbacks.Callback):
    """Makes every step independent of what ran before in this process, and keeps the state."""

    def __init__(
        self,
        tail: keras.Model,
        steps: int,
        recipe: Recipe,
        state: Path,
        history: History,
        skipped: int,
        checkpoint_seconds: float,
        on_epoch: Callable[[dict[str, float]], None],
    ) -> None:
        super().__init__()
        self._tail, self._steps, self._recipe = tail, steps, recipe
        self._state, self._history, self._skipped = state, history, skipped
        self._checkpoint_seconds, self._on_epoch = checkpoint_seconds, on_epoch
        self._dropouts = [layer for layer in tail.layers if isinstance(layer, keras.layers.Dropout) and layer.rate]
        self._epoch, self._kept_at = 0, time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch
        if self._skipped:
            _restore_metrics(self._tail, _last(self._state))

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # Keras does not save the state of random generators, so dropout is seeded again in every step. With several
        # GPUs, each drops the same features of its part of the batch.
        for layer in self._dropouts:
            seed = np.random.SeedSequence([self._recipe.seed, self._epoch, self._skipped + batch])
            layer.seed_generator.state.assign(seed.generate_state(2))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = self._skipped + batch + 1
        if done < self._steps and time.monotonic() - self._kept_at >= self._checkpoint_seconds:
            self._keep(done)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        numbers = {**(logs or {}), "learning_rate": self._tail.optimizer.learning_rate}
        if not all(math.isfinite(float(number)) for number in numbers.values()):
            raise FacegenderError(
                f"train: epoch {epoch + 1}", "the loss is NaN or infinite", "lower train.learning_rate in params.yaml"
            )
        # Sorted as in the state's JSON, so that a resumed run logs the same columns in the same order.
        self._history.append({name: round(float(number), _DECIMALS) for name, number in sorted(numbers.items())})
        self._skipped = 0
        self._keep(0)
        self._on_epoch(self._history[-1])
        self._tail.stop_training = _is_over(self._history, self._recipe)

    def _keep(self, steps: int) -> None:
        """Save the state after the last epoch and `steps` steps of the next; delete all others but the best epoch's."""
        last = _epoch_folder(self._state, len(self._history), steps)
        with whole_folder(last) as partial:
            # Not Keras's HDF5 files: HDF5 crashes where the disk is full.
            write_arrays(partial / "tail.npz", _numbered(_state_of(self._tail)))
            write_arrays(partial / "metrics.npz", _numbered(self._tail.metrics_variables))
            write_json(partial / "history.json", {"epochs": self._history, "steps": steps})
            write_json(partial / _DIGESTS, _digests(partial))
        wanted = {last}
        if self._history:
            wanted.add(_epoch_folder(self._state, best_epoch(self._history, self._recipe.monitor)))
        # Including what kills left behind.
        for folder in set(self._state.iterdir()) - wanted:
            shutil.rmtree(folder)
        self._kept_at = time.monotonic()


def _of_epochs(train: TrainingBatches, first: int, last: int, skipped: int) -> Iterator[Batch]:
    for epoch in range(first, last):
        yield from train.of_epoch(epoch, skipped if epoch == first else 0)


def _optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.Optimizer:
    rates = keras.optimizers.schedules.CosineDecay(
        0.0 if recipe.warmup_steps else recipe.learning_rate,
        recipe.epochs * steps_per_epoch - recipe.warmup_steps,
        # The lowest rate, as a share of the highest.
        alpha=1.0 if recipe.schedule == "constant" else 0.0,
        warmup_target=recipe.learning_rate if recipe.warmup_steps else None,
        warmup_steps=recipe.warmup_steps,
    )
    averaging = {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}
    # Keras's Adam decays weights as AdamW does.
    optimizer = keras.optimizers.Adam(rates, weight_decay=recipe.weight_decay or None, **averaging)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def best_epoch(history: History, monitor: Monitor) -> int:
    """Return the epoch, counted from 1, with the lowest `val_loss` or highest `val_accuracy`; the first in a tie."""
    sign = 1 if monitor == "val_loss" else -1
    return min(range(len(history)), key=lambda epoch: sign * history[epoch][monitor]) + 1


def learning_curves(history: History) -> dict[str, pd.DataFrame]:
    """Arrange the values of all epochs for plots.

    Returns:
        Tables `loss`, `accuracy` and `learning_rate`: epoch (from 1), images (`training`, or in a further row of the
        same epoch `validation`, except for the learning rate) and the value, in a column of the table's name.
    """
    parts = (("training", ""), ("validation", "val_"))
    return {
        key: pd.DataFrame(
            [
                {"epoch": epoch, "images": images, key: numbers[prefix + key]}
                for epoch, numbers in enumerate(history, start=1)
                for images, prefix in parts
                if prefix + key in numbers
            ]
        )
        for key in ("loss", "accuracy", "learning_rate")
    }


def digest_training(script: Path, inputs: Sequence[Path], settings: Mapping[str, Any]) -> str:
    """Compute a digest of everything that determines the result of training: inputs, settings, code and libraries.

    Args:
        script: that trains; with all that it imports from this package.
        inputs: the files that it reads.
        settings: as JSON can hold them.
    """
    files = (*sorted(imported_files([script])), *inputs)
    parts = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    parts.append(json.dumps(settings, sort_keys=True).encode())
    names = ("keras", "numpy", "opencv-python-headless", "tensorflow")
    parts += [f"{name}=={version(name)}".encode() for name in names]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _is_over(history: History, recipe: Recipe) -> bool:
    since_best = len(history) - best_epoch(history, recipe.monitor) if history else 0
    return len(history) >= recipe.epochs or since_best >= recipe.patience


def _epoch_folder(state: Path, epoch: int, steps: int = 0) -> Path:
    """Return the folder of the state after so many epochs and steps of the next; names sort by time."""
    return state / (f"epoch-{epoch:04}" + (f"-step-{steps:07}" if steps else ""))


def _last(state: Path) -> Path:
    return max(state.glob("epoch-*"), default=_epoch_folder(state, 0))


def _known_epochs(state: Path) -> tuple[History, int]:
    """Return the history of all complete epochs, and the number of steps of the next that are done."""
    folder = _last(state)
    if not folder.exists():
        return [], 0
    for kept in state.glob("epoch-*"):
        _check_whole(kept)
    content = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return content["epochs"], content["steps"]


def _check_whole(folder: Path) -> None:
    try:
        whole = json.loads((folder / _DIGESTS).read_text(encoding="utf-8")) == _digests(folder)
    except (OSError, ValueError):
        whole = False
    if not whole:
        raise FacegenderError(folder, "damaged training state", f"delete {folder.parent} and run: dvc repro")


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digest of each file, as a power loss may damage files."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != _DIGESTS
    }


def _state_of(tail: keras.Model) -> list[keras.Variable]:
    """Return weights, random generators, Adam's moments and the moving average of the weights."""
    return [*tail.variables, *tail.optimizer.variables]


def _numbered(variables: Iterable[keras.Variable]) -> Iterator[tuple[str, keras.Variable]]:
    return ((f"{number:05}", variable) for number, variable in enumerate(variables))


def _load(tail: keras.Model, folder: Path) -> None:
    _assign(_state_of(tail), folder / "tail.npz")


def _assign(variables: Sequence[keras.Variable], path: Path) -> None:
    with np.load(path) as arrays:
        for variable, name in zip(variables, arrays.files, strict=True):
            variable.assign(arrays[name])


def _restore_metrics(tail: keras.Model, folder: Path) -> None:
    """Set the sums of loss and accuracy over the epoch so far."""
    # Keras makes the variables with the first batch.
    tail.test_on_batch(np.zeros((1, *tail.input_shape[1:])), np.eye(2)[:1])
    _assign(tail.metrics_variables, folder / "metrics.npz")


def _dataset(tail: keras.Model, batches: Callable[[], Iterator[Batch]]) -> tf.data.Dataset:
    inputs = tf.TensorSpec((None, *tail.input_shape[1:]), tf.uint8 if tail.input.dtype == "uint8" else tf.float16)
    signature = (inputs, tf.TensorSpec((None, 2), tf.float32))

    def with_shares() -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.float32]]]:
        for images, labels in batches():
            yield images, np.eye(2, dtype=np.float32)[labels]

    # With deterministic operations, tf.data does not prepare a batch during the previous step.
    return tf.data.Dataset.from_generator(lambda: read_ahead(with_shares()), output_signature=signature)
