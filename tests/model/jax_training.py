"""Train the small network with `benchmarks.jax_worker`, in a process of its own: Keras has one backend in a process.

    KERAS_BACKEND=jax python -m tests.model.jax_training TRAIN.json RESULT.npz

TRAIN.json holds parameters of `train`. The result has the weights before training, the trained ones after it, and the
training loss, validation loss and validation accuracy of each epoch.
"""

import json
import sys

import numpy as np

from benchmarks.jax_worker import Epoch, Network, train_recipe
from facegender.files import write_arrays
from facegender.network.features import Examples
from tests.small_network import IMAGES, orders, small_network, uneven_labels

NUMBERS = ("loss", "val_loss", "val_accuracy")


def main(train_file: str, result_file: str) -> None:
    """Run with the arguments of the command line."""
    with open(train_file, encoding="utf-8") as file:
        train = json.load(file)
    network = Network(small_network())
    network.start(train["seed"])
    initial = network.model.get_weights()
    labels = uneven_labels()
    epochs = (Epoch(IMAGES, labels, order) for order in orders(train["epochs"]))
    val = Examples([], labels, IMAGES)
    history: list[dict[str, float]] = []
    trained, _, _ = train_recipe(network, {"train": train}, epochs, val, history.append)
    arrays = [(f"initial_{number}", value) for number, value in enumerate(initial)]
    arrays += [(f"trained_{number}", np.asarray(value)) for number, value in enumerate(trained)]
    arrays += [(name, np.array([epoch[name] for epoch in history])) for name in NUMBERS]
    write_arrays(result_file, arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
