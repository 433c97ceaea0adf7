"""Fitting the tail on features that are read shard by shard."""

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from facegender.errors import FacegenderError
from facegender.features import Batch, ordered_batches, shuffled_batches

_DECIMALS = 8
"""Of what is recorded: a float32 holds no more."""


def fit_tail(
    tail: keras.Model,
    train: Sequence[Path],
    val: Sequence[Path],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    patience: int,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None],
) -> list[dict[str, float]]:
    """Fit the tail with Adam and leave it with the weights of the epoch that had the lowest validation loss.

    Args:
        tail: features to probabilities (batch, 2); is changed.
        train: feature shards to fit.
        val: feature shards to choose the epoch by.
        epochs: at most.
        batch_size: images a step.
        learning_rate: Adam's.
        patience: epochs without a lower validation loss after which training stops.
        seed: of the images' order.
        on_epoch: is given the numbers of every epoch when it ends.

    Raises:
        FacegenderError: a loss is no number.

    Returns:
        The numbers of each epoch: loss, accuracy, val_loss, val_accuracy, learning_rate.
    """
    current_epoch = 0
    history: list[dict[str, float]] = []

    def begin(epoch: int, logs: dict[str, float] | None) -> None:
        nonlocal current_epoch
        current_epoch = epoch

    def end(epoch: int, logs: dict[str, float]) -> None:
        numbers = {**logs, "learning_rate": tail.optimizer.learning_rate}
        if not all(math.isfinite(float(number)) for number in numbers.values()):
            raise FacegenderError(
                f"train: the loss is no number in epoch {epoch + 1}; lower train.learning_rate in params.yaml"
            )
        history.append({name: round(float(number), _DECIMALS) for name, number in numbers.items()})
        on_epoch(history[-1])

    # XLA: 1.5 to 1.8 times as fast on CPUs.
    tail.compile(
        keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True,
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras takes the end of a stream whose length it was not told for a mishap.
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        best = Path(folder, "best.weights.h5")
        tail.fit(
            _dataset(tail, lambda: shuffled_batches(train, batch_size, seed, current_epoch)),
            validation_data=_dataset(tail, lambda: ordered_batches(val)),
            epochs=epochs,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end),
                keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True, save_weights_only=True),
                keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience),
            ],
        )
        tail.load_weights(best)
    return history


def _dataset(tail: keras.Model, batches: Callable[[], Iterator[Batch]]) -> tf.data.Dataset:
    signature = (
        tf.TensorSpec((None, *tail.input_shape[1:]), tf.float16),
        tf.TensorSpec((None,), tf.int8),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)
