"""Compare the speed of `facegender predict` with the features stage, and measure how long one picture takes.

The features stage runs the whole trunk (`head`), as a prediction does, over shards of the same real images, with an
empty memo; predictions read a folder of them. All ways take turns. Then a process of its own predicts a single picture:
one that is aligned, and one that must be aligned first. Prints Markdown tables.

    python -m benchmarks.prediction --celeba FOLDER --model models/gender.onnx --weights inception_v3_notop.h5
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.features_stage import first_records, run_features, save_backbone, trunk_network
from benchmarks.measure import (
    argument_parser,
    measured,
    median_rate,
    megabytes,
    rate_cells,
    say,
    table,
    take_turns,
    timed,
)
from facegender.data.images import decode_image, encode_jpeg
from facegender.data.shards import read_records, write_shards
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.weights import pretrained_backbone
from facegender.serving.classifier import load_classifier
from facegender.serving.photographs import find_photographs, predict_photographs, read_photographs

STAGE = "features stage, whole trunk"


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights")
    parser.add_argument(
        "--model", type=Path, required=True, help=".onnx file of the stage calibrate; the .keras file is beside it"
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5, help="processes for each single picture")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        say("images")
        faces = prepare(options.celeba, options.images, folder)
        say("models")
        models = (options.model.with_suffix(".keras"), options.model)
        save_backbone(pretrained_backbone(options.weights), folder / "backbone.keras")
        engine = OpenVinoEngine(trunk_network(folder / "backbone.keras", "head"))
        first = next(read_records(folder / "images"))
        engine([decode_image(first.jpeg, first.image_id)])

        ways = {STAGE: partial(timed, partial(run_features, folder / "images", engine, folder))}
        for model in models:
            ways[f"predict, {model.suffix}"] = partial(timed, predicting(faces, model))
        seconds = take_turns(ways, options.rounds)
        one_picture = start_rows(faces, folder, models, options.starts)
    print(rate_table(seconds, options.images))
    print(table(["One picture in a process of its own", "median", "all", "peak memory"], one_picture))


def prepare(celeba: Path, count: int, folder: Path) -> Path:
    """Write images as shards to `folder`/images and as files to `folder`/faces, and return the latter."""
    records = first_records(celeba, count)
    for name in ("images", "faces"):
        (folder / name).mkdir()
    write_shards(folder / "images", records)
    for record in records:
        (folder / "faces" / record.image_id).write_bytes(record.jpeg)
    return folder / "faces"


def predicting(faces: Path, model: Path) -> Callable[[], object]:
    """Load a model, use it once, and return a function that predicts all pictures of a folder with it."""
    classifier = load_classifier(model)

    def predict() -> int:
        predictions = predict_photographs(
            read_photographs(find_photographs([str(faces)]).photographs), classifier, "auto", 0.1
        )
        return sum(prediction.error is None for prediction in predictions)

    next(predict_photographs(read_photographs(find_photographs([str(faces)]).photographs), classifier, "auto", 0.1))
    return predict


def start_rows(faces: Path, folder: Path, models: tuple[Path, ...], starts: int) -> list[tuple[str, ...]]:
    """Predict a picture, aligned and on a larger canvas, in `starts` processes each."""
    aligned = min(faces.iterdir())
    face = decode_image(aligned.read_bytes(), aligned.name)
    canvas = folder / "canvas.jpg"
    canvas.write_bytes(encode_jpeg(np.pad(face, ((200, 300), (100, 400), (0, 0)), mode="edge")))
    rows: list[tuple[str, ...]] = []
    for model in models:
        for name, picture in (("aligned", aligned), ("to be aligned", canvas)):
            say(f"one picture, {name}, {model.suffix}")
            command = ["facegender", "predict", str(picture), "--model", str(model.resolve()), "--csv"]
            runs = [measured(command, folder) for _ in range(starts)]
            times = [run.seconds for run in runs]
            rows.append(
                (
                    f"{model.suffix}, {name}",
                    f"{statistics.median(times):.2f} s",
                    f"{min(times):.2f} to {max(times):.2f} s",
                    megabytes(max(run.peak for run in runs)),
                )
            )
    return rows


def rate_table(seconds: Mapping[str, list[float]], images: int) -> str:
    """Return the table of images per second."""
    stage_rate = median_rate(images, seconds[STAGE])
    rows = [
        (name, *rate_cells(images, times), f"{median_rate(images, times) / stage_rate:.0%}")
        for name, times in seconds.items()
    ]
    return table([f"{images:,} images", "images/s", "all rounds", "of the stage"], rows)


if __name__ == "__main__":
    main()
