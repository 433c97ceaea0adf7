"""Training with a small network instead of InceptionV3: the recipe, resuming, and several devices."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from facegender.errors import FacegenderError
from facegender.network import training
from facegender.network.batches import Batch
from facegender.network.devices import dtype_policy, multiplies_bfloat16
from facegender.network.training import (
    History,
    Recipe,
    Schedule,
    TrainingBatches,
    balanced_weights,
    best_epoch,
    digest_training,
    fit,
)
from tests.paths import ROOT
from tests.small_network import IMAGES, LABELS, STEPS, of_epoch, small_network

pytestmark = pytest.mark.slow

RECIPE = Recipe(
    epochs=1,
    learning_rate=0.01,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0,
    label_smoothing=0,
    ema_momentum=0,
    monitor="val_loss",
    patience=9,
    seed=1,
)


def all_images() -> Iterator[Batch]:
    yield IMAGES, LABELS


def train(
    network: keras.Model,
    state: Path,
    recipe: Recipe = RECIPE,
    batches: TrainingBatches | None = None,
    val: Callable[[], Iterator[Batch]] = all_images,
    checkpoint_seconds: float = 3600,
    on_epoch: Callable[[dict[str, float]], None] = lambda numbers: None,
) -> History:
    return fit(
        network,
        batches or TrainingBatches(of_epoch, STEPS, (1, 1)),
        val,
        recipe,
        state,
        checkpoint_seconds=checkpoint_seconds,
        on_epoch=on_epoch,
    )


def test_training_stops_when_patience_is_over(tmp_path: Path) -> None:
    # A learning rate this small changes no float32 weight, and so the loss stays the same after the first epoch.
    history = train(small_network(), tmp_path, RECIPE._replace(epochs=9, learning_rate=1e-12, patience=2))

    assert len(history) == 3


def test_a_loss_that_is_nan_is_one_line(tmp_path: Path) -> None:
    network = small_network()
    network.get_layer("logits").bias.assign([np.nan, np.nan])

    with pytest.raises(FacegenderError, match=r"lower train\.learning_rate"):
        train(network, tmp_path)


@pytest.mark.parametrize(
    ("schedule", "warmup_steps", "rates"),
    [
        # Four epochs of five steps: 0.01 * (1 + cos(pi * step / 20)) / 2 after 5, 10, 15 and 20 steps.
        ("cosine", 0, [0.00853553, 0.005, 0.00146447, 0]),
        ("constant", 0, [0.01, 0.01, 0.01, 0.01]),
        # Up in a straight line over ten steps.
        ("constant", 10, [0.005, 0.01, 0.01, 0.01]),
        # Half a cosine over the ten steps after the warm-up.
        ("cosine", 10, [0.005, 0.01, 0.005, 0]),
    ],
)
def test_the_rate_follows_warm_up_and_schedule_by_step(
    tmp_path: Path, schedule: Schedule, warmup_steps: int, rates: list[float]
) -> None:
    recipe = RECIPE._replace(epochs=4, schedule=schedule, warmup_steps=warmup_steps)

    history = train(small_network(), tmp_path, recipe)

    assert [epoch["learning_rate"] for epoch in history] == pytest.approx(rates, abs=1e-8)


def test_weight_decay_shrinks_kernels_and_no_biases(tmp_path: Path) -> None:
    network = small_network()
    # Without input or bias all gradients of kernels are 0, and with balanced labels those of biases are too.
    network.get_layer("block").bias.assign([0, 0, 0, 0])
    network.get_layer("logits").bias.assign([0.5, 0.5])
    grey = np.zeros((4, 8, 6, 3), np.uint8) + 127
    network.layers[1].scale = network.layers[1].offset = 0.0
    before = network.get_layer("block").kernel.numpy()

    def batches(epoch: int, skipped: int) -> Iterator[Batch]:
        yield grey, LABELS[:4]

    recipe = RECIPE._replace(epochs=3, learning_rate=0.1, weight_decay=0.2, monitor="val_accuracy")
    train(network, tmp_path, recipe, TrainingBatches(batches, 1, (1, 1)), lambda: batches(0, 0))

    # The best epoch is the first, after one step: 1 - 0.1 * 0.2 by hand.
    assert network.get_layer("block").kernel.numpy() == pytest.approx(0.98 * before, rel=1e-6)
    assert network.get_layer("logits").bias.numpy().tolist() == [0.5, 0.5]


def test_label_smoothing_changes_the_loss_as_worked_out_by_hand(tmp_path: Path) -> None:
    network = small_network()
    network.get_layer("logits").kernel.assign(np.zeros((4, 2)))
    # P(Male) = 0.8 for every image.
    network.get_layer("logits").bias.assign([0, np.log(4)])

    [epoch] = train(network, tmp_path, RECIPE._replace(learning_rate=1e-12, label_smoothing=0.1))

    by_label = [-(0.95 * np.log(0.8) + 0.05 * np.log(0.2)), -(0.95 * np.log(0.2) + 0.05 * np.log(0.8))]
    assert epoch["loss"] == epoch["val_loss"] == pytest.approx(np.mean(by_label), abs=1e-6)


def test_class_weights_multiply_the_training_loss_of_their_class(tmp_path: Path) -> None:
    network = small_network()
    network.get_layer("logits").kernel.assign(np.zeros((4, 2)))
    network.get_layer("logits").bias.assign([0, np.log(4)])
    batches = TrainingBatches(of_epoch, STEPS, (0.5, 3))

    [epoch] = train(network, tmp_path, RECIPE._replace(learning_rate=1e-12), batches)

    assert epoch["loss"] == pytest.approx((0.5 * -np.log(0.2) + 3 * -np.log(0.8)) / 2, abs=1e-6)
    assert epoch["val_loss"] == pytest.approx((-np.log(0.2) - np.log(0.8)) / 2, abs=1e-6)


def test_balanced_weights_give_both_classes_the_same_share_of_the_loss() -> None:
    assert balanced_weights((300, 100)) == pytest.approx((2 / 3, 2))
    assert balanced_weights((50, 50)) == (1, 1)
    with pytest.raises(FacegenderError, match="only one class"):
        balanced_weights((0, 10))


def test_the_average_of_weights_is_validated_and_kept(tmp_path: Path) -> None:
    recipe = RECIPE._replace(epochs=3)
    steps: list[list[np.ndarray]] = []
    plain, averaged = small_network(), small_network()

    def one_step(epoch: int, skipped: int) -> Iterator[Batch]:
        yield IMAGES, LABELS

    batches = TrainingBatches(one_step, 1, (1, 1))
    train(plain, tmp_path / "plain", recipe, batches, on_epoch=lambda _: steps.append(plain.get_weights()))

    history = train(averaged, tmp_path / "averaged", recipe._replace(ema_momentum=0.75), batches)

    expected = steps[0]
    for weights in steps[1:]:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, weights, strict=True)]
    assert best_epoch(history, "val_loss") == 3
    for found, wanted in zip(averaged.get_weights(), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)
    of_labels = averaged.predict_on_batch(IMAGES)[np.arange(len(LABELS)), LABELS]
    assert -np.log(of_labels).mean() == pytest.approx(history[2]["val_loss"], abs=1e-6)


FULL = RECIPE._replace(
    epochs=3, schedule="cosine", warmup_steps=4, weight_decay=0.1, label_smoothing=0.1, ema_momentum=0.9
)


@pytest.mark.long
def test_training_interrupted_at_any_step_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = small_network(dropout=0.5)
    expected = train(undisturbed, tmp_path / "undisturbed", FULL)
    keep = training._Progress._keep
    # A state after every step of three epochs of five: the first, before, at and after an epoch's end, the last.
    for interrupted_at in (1, 4, 5, 6, 15):
        kept = 0

        def interrupted_keep(progress: training._Progress, steps: int, last: int = interrupted_at) -> None:
            nonlocal kept
            keep(progress, steps)
            kept += 1
            if kept == last:
                raise KeyboardInterrupt

        state = tmp_path / f"interrupted at {interrupted_at}"
        monkeypatch.setattr(training._Progress, "_keep", interrupted_keep)
        with pytest.raises(KeyboardInterrupt):
            train(small_network(dropout=0.5), state, FULL, checkpoint_seconds=0)
        monkeypatch.setattr(training._Progress, "_keep", keep)
        assert len(list(state.glob("epoch-*"))) in (1, 2)
        resumed = small_network(dropout=0.5)

        history = train(resumed, state, FULL)

        assert history == expected
        for one, other in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
            assert np.array_equal(one, other)


KILLED = """
import os, signal, sys
from pathlib import Path
import tensorflow as tf
from facegender.network import training
from tests.model.test_training import FULL, small_network, train

tf.config.experimental.enable_op_determinism()
state, killed_at = Path(sys.argv[1]), int(sys.argv[2])
keep, kept = training._Progress._keep, []

def killed_keep(progress, steps):
    if len(kept) == killed_at:
        # What a kill leaves behind while a state is being saved.
        Path(state, ".partial-epoch-0009").mkdir()
        os.kill(os.getpid(), signal.SIGKILL)
    kept.append(steps)
    keep(progress, steps)

training._Progress._keep = killed_keep
network = small_network(dropout=0.5)
print(train(network, state, FULL, checkpoint_seconds=0))
network.save_weights(str(state) + ".weights.h5")
"""


def test_a_killed_training_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    def run(state: str, killed_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / state), str(killed_at)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    undisturbed = run("undisturbed", 99)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert run("killed", 7).returncode == -signal.SIGKILL

    resumed = run("killed", 99)

    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[-1] == undisturbed.stdout.splitlines()[-1]
    assert (tmp_path / "killed.weights.h5").read_bytes() == (tmp_path / "undisturbed.weights.h5").read_bytes()


@pytest.fixture(scope="module")
def two_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the states after the best epoch, the first, and after the last, the second."""
    state = tmp_path_factory.mktemp("interrupted") / "state"
    epochs = []

    def interrupt(numbers: dict[str, float]) -> None:
        epochs.append(numbers)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_network(), state, RECIPE._replace(epochs=9, learning_rate=1e-12), on_epoch=interrupt)
    assert sorted(path.name for path in state.iterdir()) == ["epoch-0001", "epoch-0002"]
    return state


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("file", ["history.json", "tail.npz", "metrics.npz", "digests.json"])
@pytest.mark.parametrize("damage", [cut, flipped, None])
@pytest.mark.parametrize("last", [True, False])
def test_a_damaged_state_is_one_line(
    tmp_path: Path, two_states: Path, file: str, damage: Callable[[bytes], bytes] | None, last: bool
) -> None:
    # Without a checksum, one wrong bit would train another model.
    state = tmp_path / "state"
    shutil.copytree(two_states, state)
    folder = state / ("epoch-0002" if last else "epoch-0001")
    if damage is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damage((folder / file).read_bytes()))

    with pytest.raises(FacegenderError, match=rf"{folder.name}: damaged training state; delete .*state and run"):
        train(small_network(), state)


def test_the_best_epoch_is_the_first_with_the_lowest_loss_or_the_highest_accuracy() -> None:
    losses, accuracies = (0.3, 0.1, 0.1, 0.2), (0.7, 0.8, 0.9, 0.9)
    history = [{"val_loss": loss, "val_accuracy": share} for loss, share in zip(losses, accuracies, strict=True)]

    assert best_epoch(history, "val_loss") == 2
    assert best_epoch(history, "val_accuracy") == 3


def test_a_training_state_belongs_to_one_set_of_files_and_settings(tmp_path: Path) -> None:
    script, first, second = tmp_path / "train.py", tmp_path / "first", tmp_path / "second"
    script.write_bytes(b"import facegender.network.training")
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    digest = digest_training(script, [first, second], {"epochs": 2})

    assert digest_training(script, [first, second], {"epochs": 2}) == digest
    assert digest_training(script, [first, second], {"epochs": 3}) != digest
    assert digest_training(script, [first], {"epochs": 2}) != digest
    second.write_bytes(b"3")
    assert digest_training(script, [first, second], {"epochs": 2}) != digest


def test_bfloat16_is_for_computing_only() -> None:
    with dtype_policy("mixed_bfloat16"):
        network = small_network()

    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network.get_layer("block").compute_dtype == "bfloat16"
    assert network.get_layer("logits").compute_dtype == "float32"
    assert network.output.dtype == "float32"
    assert small_network().get_layer("block").compute_dtype == "float32"


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("flags : fpu avx512f avx512_bf16", True),
        ("flags : fpu amx_bf16", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx2 avx512f", False),
    ],
)
def test_the_processor_says_whether_it_multiplies_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, description: str, expected: bool
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{description}\n")

    assert multiplies_bfloat16(tmp_path / "cpuinfo") is expected
    assert multiplies_bfloat16(tmp_path / "missing") is False


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), (None, False)])
def test_the_gpu_s_generation_decides_whether_it_multiplies_bfloat16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None, expected: bool
) -> None:
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)

    assert multiplies_bfloat16() is expected


TWO_DEVICES = """
import sys
from pathlib import Path
import numpy as np, tensorflow as tf
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])
from facegender.network import training
from tests.model.test_training import FULL, small_network, train

folder = Path(sys.argv[1])
RECIPE = FULL._replace(epochs=2)
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2

def trained(strategy, name, dropout=0):
    with strategy.scope():
        network = small_network(dropout)
        history = train(network, folder / name, RECIPE, checkpoint_seconds=0)
    return history, network.get_weights()

def compare(one, two, tolerance):
    for first, second in zip(one[0], two[0], strict=True):
        assert first.keys() == second.keys()
        assert all(abs(first[name] - second[name]) <= tolerance for name in first), (first, second)
    for first, second in zip(one[1], two[1], strict=True):
        assert np.abs(first - second).max() <= tolerance

compare(trained(tf.distribute.get_strategy(), "one"), trained(mirrored, "two"), 1e-4)

undisturbed = trained(mirrored, "undisturbed", dropout=0.5)
keep, kept = training._Progress._keep, []
def interrupted_keep(progress, steps):
    keep(progress, steps)
    kept.append(steps)
    if len(kept) == 7:
        raise KeyboardInterrupt
training._Progress._keep = interrupted_keep
try:
    trained(mirrored, "interrupted", dropout=0.5)
except KeyboardInterrupt:
    training._Progress._keep = keep
compare(undisturbed, trained(mirrored, "interrupted", dropout=0.5), 0)
"""


@pytest.mark.long
def test_two_devices_train_what_one_trains_and_resume(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_DEVICES, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
