"""Train recipes with Keras on JAX, for a GPU that TensorFlow cannot use, and write the logits of each model.

The network, the order of the batches and the transformations are the pipeline's own code. The loop over the steps is
not, because the pipeline's needs TensorFlow: here JAX compiles a step with Keras's Adam, and the rates, decay, label
smoothing, moving average, class weights and choice of epoch are those of `facegender.network.training`. Other processes
transform the images of the next epoch while the GPU trains on this one.

Runs in an environment of its own, with jax, keras, numpy, opencv-python-headless and zstandard:

    PYTHONPATH=src python -m benchmarks.jax_worker --recipes recipes.json --data FOLDER --results FOLDER

`benchmarks.recipes_in_jax` writes recipes.json and makes tables of the results. --data holds `backbone.keras`, which
the stage pretrained writes, and folders of shards, as the stages preprocess and augment write them: those of training
images have names that begin with `train`; all others, such as `val` and `test`, are predicted. A recipe that has a
result is not trained again. An epoch's images are in memory twice, at 116 kB each.
"""

import argparse
import json
import math
import mmap
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.images import Pixels, decode_image
from facegender.data.shards import Record, read_records, shard_paths
from facegender.data.streams import read_ahead
from facegender.errors import FacegenderError, one_line_errors
from facegender.files import write_arrays, write_json
from facegender.network.batches import image_batches, steps_per_epoch
from facegender.network.features import Examples, load_inputs
from facegender.network.sidecar import IMAGE, LOGITS, Precision
from facegender.preparation.augment import Ranges, fresh_image

if TYPE_CHECKING:
    import keras

BACKBONE, VAL, TRAIN = "backbone.keras", "val", "train"

_PREDICTED = 256
"""Images in a batch that is only predicted."""

_PARTS = 8
"""Parts of an epoch for each process, so that all end at about the same time."""

Arrays = Sequence[Any]
"""JAX's arrays, in the order of Keras's variables."""

Params = Mapping[str, Mapping[str, Any]]
"""The content of a params.yaml."""

Shards = tuple[Path, ...]
"""Folders of shards."""


class Part(NamedTuple):
    """A part of an epoch's images, for one process: where they come from and go to, and how they are transformed."""

    shards: Shards
    places: range
    buffer: int
    params: Params
    epoch: int


class Epoch(NamedTuple):
    """One epoch's images uint8 (n, height, width, 3), their labels (n,) and the images of each batch (steps, batch)."""

    pixels: Pixels
    labels: npt.NDArray[np.int8]
    batches: npt.NDArray[np.int64]


buffers: list[Pixels] = []
"""The images of two epochs, shared with the processes, which are forked after it is filled."""


@cache
def records_of(shards: Shards) -> list[Record]:
    """Read all records of folders of shards, in order."""
    return [record for folder in shards for record in read_records(folder)]


def fill(part: Part) -> None:
    """Write the images of a part into its buffer, as the epoch shows them."""
    augment = part.params["augment"]
    ranges = Ranges(**{name: augment[name] for name in Ranges._fields})
    records = records_of(part.shards)
    for place in part.places:
        record = records[place]
        if augment["mode"] == "fresh":
            pixels = fresh_image(record, ranges, augment["seed"], part.epoch + 1)
        else:
            pixels = decode_image(record.jpeg, record.image_id)
        buffers[part.buffer][place] = pixels


def batches_of(shards: Shards, params: Params, epoch: int) -> npt.NDArray[np.int64]:
    """Return the places in `records_of` of the images of each of the pipeline's batches: (steps, batch)."""
    places = {record: place for place, record in enumerate(records_of(shards))}
    # As facegender.network.features.tail_inputs sorts them.
    paths = sorted((path for folder in shards for path in shard_paths(folder)), key=lambda path: path.name)
    train = params["train"]

    def place_of(record: Record, _: int) -> Any:
        return np.array(places[record])

    batches = image_batches(paths, train["batch_size"], train["seed"], epoch, to_pixels=place_of)
    return np.stack([np.asarray(batch, np.int64) for batch, _ in batches])


class Epochs:
    """Prepares the images of epochs in other processes, each while the one before is in use."""

    def __init__(self, most_images: int, processes: int) -> None:
        for _ in range(2):
            memory = mmap.mmap(-1, most_images * HEIGHT * WIDTH * 3)
            buffers.append(np.frombuffer(memory, np.uint8).reshape(most_images, HEIGHT, WIDTH, 3))
        self._processes = processes
        context = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(processes, context, cv2.setNumThreads, (1,))
        # Forks all processes, before JAX starts its threads.
        self._pool.submit(int).result()

    def of(self, plan: Sequence[tuple[Shards, Params, int]]) -> Iterator[Epoch]:
        """Yield epochs, each given by its training images, its parameters and its number from 0.

        An epoch is overwritten as soon as the next one is asked for.
        """
        return read_ahead(self._prepared(plan))

    def _prepared(self, plan: Sequence[tuple[Shards, Params, int]]) -> Iterator[Epoch]:
        for number, (shards, params, epoch) in enumerate(plan):
            labels = np.array([record.label for record in records_of(shards)], np.int8)
            batches = self._pool.submit(batches_of, shards, params, epoch)
            size = max(1, len(labels) // (_PARTS * self._processes))
            places = [range(start, min(start + size, len(labels))) for start in range(0, len(labels), size)]
            buffer = number % len(buffers)
            for _ in self._pool.map(fill, [Part(shards, part, buffer, params, epoch) for part in places]):
                pass
            yield Epoch(buffers[buffer][: len(labels)], labels, batches.result())


class Network:
    """A network with its compiled step. What differs between recipes are arguments of the step."""

    def __init__(self, model: "keras.Model") -> None:
        import jax
        import keras

        self.model = model
        # Without dropout, its layer has no generator.
        seeds = [layer.seed_generator.state for layer in model.layers if hasattr(layer, "seed_generator")]
        others = model.non_trainable_variables
        self._seeds = {place for place, variable in enumerate(others) if any(variable is seed for seed in seeds)}
        self._to_logits = keras.Model(model.input, model.get_layer(LOGITS).output)
        # `_step` replaces these numbers; with a momentum of 0, the average is the weights themselves.
        self._optimizer = keras.optimizers.Adam(0.001, weight_decay=1.0, use_ema=True, ema_momentum=0.5)
        self._optimizer.exclude_from_weight_decay(var_names=["bias"])
        self._optimizer.build(model.trainable_variables)
        self._initial = [variable.numpy() for variable in model.variables]
        self.step = jax.jit(self._step, donate_argnums=(0, 1, 2))
        self._predict = jax.jit(self._logits)

    def start(self, seed: int) -> tuple[Arrays, Arrays, Arrays]:
        """Return the trainable variables, the others and the optimizer's, as they are before the first step."""
        import keras

        for variable, value in zip(self.model.variables, self._initial, strict=True):
            variable.assign(value)
        for layer in [layer for layer in self.model.layers if layer.name in ("hidden", LOGITS)]:
            layer.kernel.assign(keras.initializers.GlorotUniform(seed)(layer.kernel.shape))
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        state = (self.model.trainable_variables, self.model.non_trainable_variables, self._optimizer.variables)
        trainable, others, optimizer = ([variable.value.copy() for variable in variables] for variables in state)
        return trainable, others, optimizer

    def seeded(self, others: Arrays, seed: Sequence[int]) -> Arrays:
        """Return the variables that are not trained, with dropout seeded for one step as in the pipeline."""
        state = np.random.SeedSequence(list(seed)).generate_state(2)
        return [state if place in self._seeds else value for place, value in enumerate(others)]

    def averages(self, optimizer: Arrays) -> Arrays:
        """Return the moving averages of the trainable variables, from the optimizer's variables."""
        places = {id(variable): place for place, variable in enumerate(self._optimizer.variables)}
        averages = self._optimizer._model_variables_moving_average
        return [optimizer[places[id(variable)]].copy() for variable in averages]

    def predict(self, trainable: Arrays, others: Arrays, images: Pixels, *, mirror: bool) -> npt.NDArray[np.float32]:
        """Return logits (n, 2) of images; with `mirror`, averaged over each image and its mirror image."""
        import jax

        views = [images, images[:, :, ::-1]] if mirror else [images]
        starts = range(0, len(images), _PREDICTED)
        outputs = np.empty((len(views), len(starts) * _PREDICTED, 2), np.float32)
        # Not TensorFloat-32.
        with jax.default_matmul_precision("highest"):
            for view, output in zip(views, outputs, strict=True):
                for start in starts:
                    part = view[start : start + _PREDICTED]
                    # Always the same shape, for which it is compiled.
                    batch = np.concatenate([part, np.zeros((_PREDICTED - len(part), *part.shape[1:]), np.uint8)])
                    output[start : start + _PREDICTED] = self._predict(trainable, others, batch)
        logits: npt.NDArray[np.float32] = outputs.mean(axis=0)[: len(images)]
        return logits

    def _step(
        self,
        trainable: Arrays,
        others: Arrays,
        optimizer: Arrays,
        images: Any,
        labels: Any,
        weights: Any,
        rate: Any,
        decay: Any,
        momentum: Any,
    ) -> tuple[Arrays, Arrays, Arrays, Any, Any]:
        """Take one step. Labels are the shares that the loss asks for (batch, 2), weights are of its terms (batch,)."""
        import jax
        import keras

        def loss_of(trainable: Arrays) -> tuple[Any, tuple[Any, Arrays]]:
            logits, changed = self._to_logits.stateless_call(trainable, others, images, training=True)
            # As TensorFlow computes it, which finds the logits behind the probabilities.
            loss = keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits, sample_weight=weights)
            return loss, (logits, changed)

        (loss, (logits, changed)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        self._optimizer.weight_decay, self._optimizer.ema_momentum = decay, momentum
        with_rate = [
            rate if variable is self._optimizer._learning_rate else value
            for variable, value in zip(self._optimizer.variables, optimizer, strict=True)
        ]
        trainable, optimizer = self._optimizer.stateless_apply(with_rate, gradients, trainable)
        right = (logits.argmax(axis=1) == labels.argmax(axis=1)).mean()
        return trainable, changed, optimizer, loss, right

    def _logits(self, trainable: Arrays, others: Arrays, images: Any) -> Any:
        return self._to_logits.stateless_call(trainable, others, images, training=False)[0]


def build_network(backbone: Path, cut: str, precision: Precision, dropout: float, hidden_units: int) -> Network:
    """Build the pipeline's network with the backbone's weights; what lies below the cut is frozen."""
    import keras

    from facegender.network.backbone import build_model, cut_layer, load_backbone

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    model = build_model(HEIGHT, WIDTH, dropout, hidden_units)
    load_backbone(model, backbone)
    if cut != IMAGE:
        for layer in model.layers[: model.layers.index(cut_layer(model, cut)) + 1]:
            layer.trainable = False
    return Network(model)


def rates_of(train: Mapping[str, Any], steps: int) -> npt.NDArray[np.float32]:
    """Return the learning rates of all steps (steps,), as in `facegender.network.training`."""
    import jax
    import keras

    rate, warmup = train["learning_rate"], train["warmup_steps"]
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        steps - warmup,
        alpha=1.0 if train["schedule"] == "constant" else 0.0,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
    return np.asarray(jax.vmap(schedule)(np.arange(steps)), np.float32)


def train_recipe(
    network: Network,
    params: Params,
    epochs: Iterator[Epoch],
    val: Examples,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[Arrays, Arrays, dict[str, float]]:
    """Train as `facegender.network.training.fit` does.

    Returns:
        The trainable and the other variables of the best epoch, and its values.

    Raises:
        FacegenderError: a loss is NaN or infinite.
    """
    import jax

    train = params["train"]
    smoothing, momentum, decay = (train[name] for name in ("label_smoothing", "ema_momentum", "weight_decay"))
    shares = np.eye(2, dtype=np.float32) * (1 - smoothing) + smoothing / 2
    sign = 1 if train["monitor"] == "val_loss" else -1
    trainable, others, optimizer = network.start(train["seed"])
    best: tuple[Arrays, Arrays, dict[str, float]] = ((), (), {})
    history: list[dict[str, float]] = []
    for epoch in range(train["epochs"]):
        images = next(epochs)
        began = time.monotonic()
        if not epoch:
            steps = steps_per_epoch(len(images.labels), train["batch_size"])
            rates = rates_of(train, steps * train["epochs"])
            weights = len(images.labels) / (2 * np.bincount(images.labels, minlength=2)).astype(np.float32)
        batches = read_ahead((jax.device_put(images.pixels[batch]), images.labels[batch]) for batch in images.batches)
        values = []
        for step, (pixels, labels) in enumerate(batches):
            trainable, others, optimizer, *value = network.step(
                trainable,
                network.seeded(others, [train["seed"], epoch, step]),
                optimizer,
                pixels,
                shares[labels],
                weights[labels].astype(np.float32),
                rates[epoch * steps + step],
                np.float32(decay),
                np.float32(momentum),
            )
            values.append(value)
        averages = network.averages(optimizer)
        logits = network.predict(averages, others, val.inputs, mirror=False).astype(np.float64)
        losses = -(shares[val.labels] * (logits - np.logaddexp(*logits.T)[:, None])).sum(axis=1)
        loss, accuracy = np.mean([[float(number) for number in value] for value in values], axis=0).tolist()
        numbers = {
            "loss": loss,
            "accuracy": accuracy,
            "val_loss": float(losses.mean()),
            "val_accuracy": float((logits.argmax(axis=1) == val.labels).mean()),
            "seconds": time.monotonic() - began,
        }
        if not all(map(math.isfinite, numbers.values())):
            raise FacegenderError(f"epoch {epoch + 1}", "the loss is NaN or infinite", "lower train.learning_rate")
        history.append(numbers)
        on_epoch(numbers)
        best_number = int(np.argmin([sign * past[train["monitor"]] for past in history]))
        if best_number == epoch:
            best = averages, [value.copy() for value in others], numbers
        if epoch - best_number >= train["patience"]:
            for _ in range(epoch + 1, train["epochs"]):
                next(epochs)
            break
    return best


@cache
def examples_of(folder: Path) -> Examples:
    """Read a split that is predicted."""
    image_ids, labels, images = zip(*map(load_inputs, shard_paths(folder)), strict=True)
    return Examples(np.concatenate(image_ids).tolist(), np.concatenate(labels), np.concatenate(images))


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    options.results.mkdir(parents=True, exist_ok=True)
    recipes = json.loads(options.recipes.read_text(encoding="utf-8"))
    recipes = {name: recipe for name, recipe in recipes.items() if not (options.results / f"{name}.json").exists()}
    shards = {name: tuple(options.data / folder for folder in recipe["shards"]) for name, recipe in recipes.items()}
    plan = [
        (shards[name], recipe["params"], epoch)
        for name, recipe in recipes.items()
        for epoch in range(recipe["params"]["train"]["epochs"])
    ]
    if not recipes:
        return
    # Read before the processes are forked, which share it.
    most_images = max(len(records_of(folders)) for folders in shards.values())
    epochs = Epochs(most_images, len(os.sched_getaffinity(0))).of(plan)

    import jax
    import keras

    @cache
    def network_of(precision: Precision, cut: str, dropout: float, hidden_units: int) -> Network:
        return build_network(options.data / BACKBONE, cut, precision, dropout, hidden_units)

    versions = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "keras": keras.__version__}
    for name, recipe in recipes.items():
        params = recipe["params"]
        train = params["train"]
        kind = (params["backbone"]["trainable_from"], train["dropout"], train["hidden_units"])
        network = network_of(train["precision"], *kind)
        began = time.monotonic()

        history: list[dict[str, float]] = []

        def keep(numbers: dict[str, float], name: str = name, history: list[dict[str, float]] = history) -> None:
            history.append(numbers)
            print(name, json.dumps(numbers), flush=True)

        trainable, others, best = train_recipe(network, params, epochs, examples_of(options.data / VAL), keep)
        seconds = time.monotonic() - began
        # Whatever the precision of training, the model is used in float32.
        used = network_of("float32", *kind)
        arrays: dict[str, npt.ArrayLike] = {}
        for folder in sorted(options.data.glob("[!.]*/")):
            if not folder.name.startswith(TRAIN):
                split = examples_of(folder)
                logits = used.predict(trainable, others, split.inputs, mirror=params["calibrate"]["mirror"])
                arrays[f"{folder.name}_logits"] = logits
                arrays[f"{folder.name}_labels"] = split.labels
                arrays[f"{folder.name}_ids"] = split.image_ids
        write_arrays(options.results / f"{name}.npz", arrays.items())
        result = {**recipe, "training_images": len(records_of(shards[name])), "history": history, "best": best}
        write_json(options.results / f"{name}.json", result | {"seconds": seconds} | versions)
        print(f"{name}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
