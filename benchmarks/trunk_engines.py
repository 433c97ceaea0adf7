"""Compare engines for the trunk on CPUs, and the whole features stage, which uses OpenVINO in float32.

Each engine computes the features of the same real images, decoded beforehand, and is compared with Keras's
`model.predict`. The features stage reads image shards, decodes, computes, compresses and writes, with an empty memo:
once for the images themselves and once for transformed copies of them. All ways take turns, round by round, so that
other load on the machine affects all of them equally. Before that, networks are translated, compiled and used once.
Prints a Markdown table; bfloat16 is in it to show how much its features differ.

    python -m benchmarks.trunk_engines --celeba FOLDER --weights inception_v3_notop.h5
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import tensorflow as tf

from benchmarks.features_stage import first_records, run_features, save_backbone, trunk_network
from benchmarks.measure import PLAIN, argument_parser, median_rate, rate_cells, say, table, take_turns, timed
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.images import Pixels, decode_image
from facegender.data.shards import write_shards
from facegender.errors import one_line_errors
from facegender.network.backbone import build_model, load_backbone, trunk_of
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import feature_paths, load_shard
from facegender.network.weights import pretrained_backbone
from facegender.preparation.augment import Ranges, augment_record

Features = npt.NDArray[np.floating]
Engine = Callable[[Pixels], Features]
"""Takes decoded images, uint8 RGB (images, height, width, 3), and returns their features (images, …)."""

BATCH = 32

SAME = 0.9999
"""Features with at least this cosine count as the same."""

RANGES = Ranges(**{name.removeprefix("augment."): value for name, value in PLAIN.items()})
PREDICT = "Keras model.predict"
STAGE, STAGE_OF_COPIES = "features stage, whole", "features stage, whole, transformed copies"


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--trainable-from", default="mixed8")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        say("images")
        images = prepare_images(options.celeba, options.images, folder)
        say("networks")
        backbone = folder / "backbone.keras"
        save_backbone(pretrained_backbone(options.weights), backbone)
        network = trunk_network(backbone, options.trainable_from)
        engines = make_engines(backbone, network, options.trainable_from)
        stage_engine = OpenVinoEngine(network)
        stage_engine(images[:BATCH])

        say("comparison")
        reference = engines[PREDICT](images)
        agreement = {name: compare(engine(images), reference) for name, engine in engines.items()}
        agreement[STAGE] = compare(stored_features(run_features(folder / "images", stage_engine, folder)), reference)

        ways = {name: partial(timed, partial(engine, images)) for name, engine in engines.items()}
        for name, shards in {STAGE: "images", STAGE_OF_COPIES: "copies"}.items():
            ways[name] = partial(timed, partial(run_features, folder / shards, stage_engine, folder))
        seconds = take_turns(ways, options.rounds)

    print(
        f"{len(images)} images, trunk below {options.trainable_from}, median of {options.rounds} rounds. The fastest "
        f"is the fastest engine, without the stage, whose features are the same as Keras's (cosine above {SAME}). "
        "Differences are shares of the largest feature.\n"
    )
    print(engine_table(seconds, agreement, len(images)))


def prepare_images(celeba: Path, count: int, folder: Path) -> Pixels:
    """Write shards of images to `folder`/images and of a transformed copy of each to `folder`/copies.

    Returns:
        The images, decoded: uint8 RGB (count, height, width, 3).
    """
    records = first_records(celeba, count)
    for name in ("images", "copies"):
        (folder / name).mkdir()
    write_shards(folder / "images", records)
    write_shards(folder / "copies", (augment_record(record, RANGES, seed=0, copy=1) for record in records))
    return np.stack([decode_image(record.jpeg, record.image_id) for record in records])


def make_engines(backbone: Path, network: onnx.ModelProto, trainable_from: str) -> dict[str, Engine]:
    """Make the engines, by name, and use each once."""
    model = build_model(HEIGHT, WIDTH)
    load_backbone(model, backbone)
    trunk = trunk_of(model, trainable_from)
    return {
        PREDICT: lambda images: trunk.predict(images, batch_size=BATCH, verbose=0),
        "TensorFlow tf.function": graph_engine(trunk),
        "onnxruntime float32": onnx_engine(network),
        "OpenVINO float32": OpenVinoEngine(network),
        "OpenVINO bfloat16": OpenVinoEngine(network, "bfloat16"),
    }


def graph_engine(trunk: keras.Model) -> Engine:
    """Make an engine of the trunk as a TensorFlow graph."""
    signature = [tf.TensorSpec((None, HEIGHT, WIDTH, 3), tf.uint8)]
    compute = tf.function(lambda images: trunk(images, training=False), signature)
    return lambda images: np.concatenate([compute(batch).numpy() for batch in batches(images, BATCH)])


def onnx_engine(network: onnx.ModelProto) -> Engine:
    """Make an engine of the trunk in onnxruntime."""
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.concatenate([session.run(None, {name: batch})[0] for batch in batches(images, BATCH)])


def batches(images: Pixels, size: int) -> Iterator[Pixels]:
    """Yield the images in batches of `size`."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


def stored_features(folder: Path) -> Features:
    """Read all features of a folder of feature shards."""
    return np.concatenate([load_shard(path).features for path in feature_paths(folder)])


def compare(features: Features, reference: Features) -> tuple[float, float]:
    """Return the largest difference as a share of the largest feature, and the lowest cosine of an image's features."""
    difference, cosine = 0.0, 1.0
    for one, other in zip(features, reference, strict=True):
        # In float64, because a float32 sum of so many products is not accurate to the digits shown.
        one, other = one.astype(float).ravel(), other.astype(float).ravel()
        difference = max(difference, float(np.abs(one - other).max()))
        cosine = min(cosine, float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    return difference / float(np.abs(reference).max()), cosine


def engine_table(seconds: Mapping[str, list[float]], agreement: Mapping[str, tuple[float, float]], images: int) -> str:
    """Return the table of rates and agreement by way."""
    rates = {name: median_rate(images, times) for name, times in seconds.items()}
    same = {name for name, (_, cosine) in agreement.items() if cosine > SAME}
    fastest = max(rate for name, rate in rates.items() if name in same and name != STAGE)
    rows = []
    for name, rate in rates.items():
        difference, cosine = agreement.get(name, (None, None))
        rows.append(
            (
                name,
                *rate_cells(images, seconds[name]),
                f"{rate / fastest:.0%}",
                "" if difference is None else f"{difference:.1e}",
                "" if cosine is None else f"{cosine:.7f}",
            )
        )
    header = ("", "images/s", "all rounds", "of the fastest", "largest difference", "lowest cosine")
    return table(header, rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
