"""Shows why OpenVINO in float32 runs the trunk on CPUs, and that the whole features stage is nearly as fast as that.

Each engine computes features of the same real images, decoded beforehand, and is compared with Keras's `model.predict`.
The features stage reads image shards, decodes, computes, compresses and writes, with an empty memo: once for the images
as they are and once for transformed copies of them. All take turns, round by round, so that whatever else the machine
does hits all alike. Networks are translated, compiled and used once before. Prints a Markdown table; bfloat16 is in it
to show what it costs in likeness.

    python -m benchmarks.trunk_engines --celeba data/celeba --weights inception_v3_notop.h5
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino
import pandas as pd
import tensorflow as tf

from benchmarks.measure import DATASET, say, table
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.image_sources import open_images
from facegender.data.images import Pixels, decode_image
from facegender.data.lists import read_partitions
from facegender.data.shards import Record, write_shards
from facegender.errors import one_line_errors
from facegender.network.backbone import build_model, load_backbone, pretrained_backbone, trunk_of
from facegender.network.engines.openvino import BATCH as OPENVINO_BATCH
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import feature_paths, load_shard, write_features
from facegender.preparation.augment import Ranges, augment_record
from facegender.preparation.preprocess import good_records, preprocess

Features = npt.NDArray[np.floating]
Engine = Callable[[Pixels], Features]
"""Takes decoded images uint8 RGB (images, height, width, 3), gives their features (images, …)."""

BATCH = 32

SAME = 0.9999
"""Features are the same from this cosine on."""

RANGES = Ranges(10, 0.2, True, False, 0, 0, 0)
"""As in params.yaml."""

PREDICT = "Keras model.predict"
STAGE, STAGE_OF_COPIES = "features stage, whole", "features stage, whole, transformed copies"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help=f"folder of {DATASET['images']} and the lists")
    parser.add_argument("--weights", required=True, help="as backbone.weights: imagenet or the path of an .h5 file")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--trainable-from", default="mixed8")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("images")
        images = prepare_images(arguments.celeba, arguments.images, folder)
        say("networks")
        weights = folder / "backbone.weights.h5"
        pretrained_backbone(arguments.weights).save_weights(weights)
        engines = make_engines(weights, arguments.trainable_from, folder)
        stage_engine = OpenVinoEngine(weights, arguments.trainable_from, folder / "networks")
        stage_engine(images[:OPENVINO_BATCH])

        ways: dict[str, Callable[[], object]] = {name: bind(engine, images) for name, engine in engines.items()}
        ways[STAGE] = lambda: run_stage(folder / "images", stage_engine, folder)
        ways[STAGE_OF_COPIES] = lambda: run_stage(folder / "copies", stage_engine, folder)

        say("comparison")
        reference = engines[PREDICT](images)
        agreement = {name: compare(engine(images), reference) for name, engine in engines.items()}
        agreement[STAGE] = compare(stored_features(run_stage(folder / "images", stage_engine, folder)), reference)
        seconds = take_turns(ways, arguments.rounds)

    print(
        f"{len(images)} images, trunk below {arguments.trainable_from}, median of {arguments.rounds} rounds. The "
        f"fastest is that of the engines alone whose features are Keras's (cosine above {SAME}). Differences are "
        "shares of the largest feature.\n"
    )
    print(report(seconds, agreement, len(images)))


def first_records(celeba: Path, count: int) -> list[Record]:
    """Give CelebA's first images as the stage preprocess makes them; their labels are not looked at."""
    image_ids = read_partitions(celeba / DATASET["partitions"]).index[:count]
    rows = pd.DataFrame({"image_id": image_ids, "label": 0})
    with open_images(celeba / DATASET["images"]) as source:
        return list(good_records(preprocess(rows, source, HEIGHT, WIDTH), "fail", "train", {}))


def prepare_images(celeba: Path, count: int, folder: Path) -> Pixels:
    """Write the shards `folder`/images and, of a transformed copy of each, `folder`/copies, and give all decoded."""
    records = first_records(celeba, count)
    for name in ("images", "copies"):
        (folder / name).mkdir()
    write_shards(folder / "images", records)
    write_shards(folder / "copies", (augment_record(record, RANGES, seed=0, copy=1) for record in records))
    return np.stack([decode_image(record.jpeg, record.image_id) for record in records])


def make_engines(weights: Path, trainable_from: str, folder: Path) -> dict[str, Engine]:
    """Give the engines by name."""
    model = build_model(HEIGHT, WIDTH)
    load_backbone(model, weights)
    trunk = trunk_of(model, trainable_from)
    trunk.export(folder / "trunk", verbose=False)
    engines: dict[str, Engine] = {
        PREDICT: lambda images: trunk.predict(images, batch_size=BATCH, verbose=0),
        "TensorFlow tf.function": graph_engine(trunk),
        "onnxruntime float32": onnx_engine(trunk, folder / "trunk.onnx"),
    }
    for precision in ("f32", "bf16"):
        engines[f"OpenVINO {precision}"] = openvino_engine(folder / "trunk", precision)
    return engines


def graph_engine(trunk: keras.Model) -> Engine:
    """Give the trunk as a graph of TensorFlow's."""
    signature = [tf.TensorSpec((None, HEIGHT, WIDTH, 3), tf.uint8)]
    compute = tf.function(lambda images: trunk(images, training=False), signature)
    return lambda images: np.concatenate([compute(batch).numpy() for batch in batches(images, BATCH)])


def onnx_engine(trunk: keras.Model, path: Path) -> Engine:
    """Give the trunk in onnxruntime."""
    # Keras refuses to export to ONNX what was never called.
    trunk(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8))
    trunk.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.concatenate([session.run(None, {name: batch})[0] for batch in batches(images, BATCH)])


def openvino_engine(network: Path, precision: str) -> Engine:
    """Give the trunk in OpenVINO with the settings of facegender.network.engines.choice, or in another precision."""
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    requests = openvino.AsyncInferQueue(core.compile_model(core.read_model(network), "CPU", options))

    def compute(images: Pixels) -> Features:
        outputs: dict[int, Features] = {}
        requests.set_callback(
            lambda request, index: outputs.__setitem__(index, request.get_output_tensor().data.copy())
        )
        for index, batch in enumerate(batches(images, OPENVINO_BATCH)):
            requests.start_async(batch, index)
        requests.wait_all()
        return np.concatenate([outputs[index] for index in range(len(outputs))])

    return compute


def batches(images: Pixels, size: int) -> Iterator[Pixels]:
    """Yield images by `size`."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


def bind(engine: Engine, images: Pixels) -> Callable[[], object]:
    """Give a function of no arguments that computes the images' features."""
    return lambda: engine(images)


def run_stage(images: Path, engine: OpenVinoEngine, folder: Path) -> Path:
    """Do what the stage features does, into a fresh folder under `folder`, with a memo that knows nothing."""
    target = Path(tempfile.mkdtemp(dir=folder))
    (target / "features").mkdir()
    for computed in write_features(images, target / "features", "trunk", engine, target / "memo"):
        assert computed
    return target / "features"


def stored_features(folder: Path) -> Features:
    """Read all features of a folder of feature shards."""
    return np.concatenate([load_shard(path).features for path in feature_paths(folder)])


def compare(features: Features, reference: Features) -> tuple[float, float]:
    """Give the largest difference as a share of the largest feature, and the least cosine of an image's features."""
    difference, cosine = 0.0, 1.0
    for one, other in zip(features, reference, strict=True):
        # In float64, as a float32 sum of so many products is not exact to the digits shown.
        one, other = one.astype(float).ravel(), other.astype(float).ravel()
        difference = max(difference, float(np.abs(one - other).max()))
        cosine = min(cosine, float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    return difference / float(np.abs(reference).max()), cosine


def take_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each way once a round, and give each one's seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, run in ways.items():
            say(f"round {number}: {name}")
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(seconds: Mapping[str, list[float]], agreement: Mapping[str, tuple[float, float]], images: int) -> str:
    """Give the table."""
    rates = {name: images / statistics.median(times) for name, times in seconds.items()}
    same = {name for name, (_, cosine) in agreement.items() if cosine > SAME}
    fastest = max(rate for name, rate in rates.items() if name in same and name != STAGE)
    rows = []
    for name, rate in rates.items():
        difference, cosine = agreement.get(name, (None, None))
        rows.append(
            (
                name,
                f"{rate:.1f}",
                f"{images / max(seconds[name]):.1f} to {images / min(seconds[name]):.1f}",
                f"{rate / fastest:.0%}",
                "" if difference is None else f"{difference:.1e}",
                "" if cosine is None else f"{cosine:.7f}",
            )
        )
    header = ("", "images/s", "all rounds", "of the fastest", "largest difference", "least cosine")
    return table(header, rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
