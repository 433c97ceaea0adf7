"""What Keras can train on several machines today, which docs/cluster.md tells.

If a test fails because Keras can do more, training can use it: `training_strategy` in network/devices.py.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Not because Ray is used: so that only `make test-ray` takes the time.
pytest.importorskip("ray", reason="Ray is not installed; run: make test-ray")
pytestmark = pytest.mark.slow

WORKER = """\
import sys
import keras, numpy as np, tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
images = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
labels = keras.utils.to_categorical(images[:, 0] > 0, 2)
batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
with strategy.scope():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    optimizer = keras.optimizers.Adam(0.01)
    network.compile(optimizer, "categorical_crossentropy")

if sys.argv[1] == "fit":
    network.fit(batches, epochs=1, verbose=0)
else:
    with strategy.scope():
        optimizer.build(network.trainable_variables)

    @tf.function
    def step(batch):
        def part(images, labels):
            with tf.GradientTape() as tape:
                losses = keras.losses.categorical_crossentropy(labels, network(images, training=True))
                loss = tf.reduce_sum(losses) / 8
            optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
            return loss

        return strategy.reduce("SUM", strategy.run(part, args=batch), axis=None)

    for batch in strategy.experimental_distribute_dataset(batches):
        step(batch)
np.save(sys.argv[2], network.get_weights()[0])
"""


def work_on_two_machines(folder: Path, how: str) -> list[str]:
    """Run WORKER in two processes, which know each other only by address, and return what they print in the end."""
    with socket.socket() as first, socket.socket() as second:
        for reserved in (first, second):
            reserved.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{reserved.getsockname()[1]}" for reserved in (first, second)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", WORKER, how, str(folder / f"{index}.npy")]
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        return [worker.communicate(timeout=300)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def test_fit_does_not_work_on_several_machines(tmp_path: Path) -> None:
    for printed in work_on_two_machines(tmp_path, "fit"):
        assert "ValueError: Attempt to convert a value (PerReplica:" in printed
    assert not list(tmp_path.iterdir())


def test_a_loop_of_steps_trains_on_two_machines_what_it_trains_on_one(tmp_path: Path) -> None:
    work_on_two_machines(tmp_path, "steps")
    first, second = (np.load(tmp_path / f"{index}.npy") for index in range(2))

    assert np.array_equal(first, second)
    assert np.abs(first - np.load(one_machine(tmp_path))).max() < 1e-6


def one_machine(folder: Path) -> Path:
    """Run the loop on this machine alone."""
    alone = WORKER.replace("MultiWorkerMirroredStrategy()", "get_strategy()").replace("sync == 2", "sync == 1")
    subprocess.run([sys.executable, "-c", alone, "steps", str(folder / "one.npy")], check=True, capture_output=True)
    return folder / "one.npy"
