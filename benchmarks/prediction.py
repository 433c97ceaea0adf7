"""Shows how fast `facegender predict` is beside the features stage, and how soon it has predicted one picture.

The features stage runs the whole trunk (`head`), as a prediction does, over shards of the same real images, with an
empty memo; predictions read a folder of them. All take turns. Then one aligned picture is predicted by a process of its
own, and one that is to be aligned. Prints Markdown tables.

    python -m benchmarks.prediction --celeba FOLDER --model models/gender.keras --weights inception_v3_notop.h5
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import DATASET, measured, megabytes, say, table
from benchmarks.trunk_engines import first_records, run_stage, take_turns
from facegender.data.images import decode_image, encode_jpeg
from facegender.data.shards import read_records, write_shards
from facegender.network.backbone import pretrained_backbone
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.serving.classifier import load_classifier
from facegender.serving.export import export_model
from facegender.serving.photographs import find_photographs, predict_photographs

STAGE = "features stage, whole trunk"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help=f"folder of {DATASET['images']} and the lists")
    parser.add_argument("--model", type=Path, required=True, help=".keras file of the stage calibrate")
    parser.add_argument("--weights", required=True, help=".h5 of InceptionV3 without its top, for the features stage")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5, help="processes of one picture each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("images")
        faces = prepare(options.celeba, options.images, folder)
        say("models")
        onnx = folder / "gender.onnx"
        export_model(options.model, onnx, "onnx", faces)
        weights = folder / "backbone.weights.h5"
        pretrained_backbone(options.weights).save_weights(weights)
        engine = OpenVinoEngine(weights, "head", folder / "networks")
        first = next(read_records(folder / "images"))
        engine([decode_image(first.jpeg, first.image_id)])

        ways: dict[str, Callable[[], object]] = {STAGE: lambda: run_stage(folder / "images", engine, folder)}
        for model in (options.model, onnx):
            ways[f"predict, {model.suffix}"] = judging(faces, model)
        seconds = take_turns(ways, options.rounds)
        one_picture = start_rows(faces, folder, (options.model, onnx), options.starts)
    print(rate_table(seconds, options.images))
    print(table(["One picture in a process of its own", "median", "all", "peak memory"], one_picture))


def prepare(celeba: Path, count: int, folder: Path) -> Path:
    """Write images as shards, `folder`/images, and as files, `folder`/faces, which is given."""
    records = first_records(celeba, count)
    for name in ("images", "faces"):
        (folder / name).mkdir()
    write_shards(folder / "images", records)
    for record in records:
        (folder / "faces" / record.image_id).write_bytes(record.jpeg)
    return folder / "faces"


def judging(faces: Path, model: Path) -> Callable[[], object]:
    """Give a function that predicts all pictures of a folder with a model, which is loaded and used once before."""
    classifier = load_classifier(model)

    def predict() -> int:
        predictions = predict_photographs(find_photographs([str(faces)], ()), classifier, "auto", 0.1)
        return sum(prediction.error is None for prediction in predictions)

    next(predict_photographs(find_photographs([str(faces)], ()), classifier, "auto", 0.1))
    return predict


def start_rows(faces: Path, folder: Path, models: tuple[Path, ...], starts: int) -> list[tuple[str, ...]]:
    """Judge one picture, aligned and on a canvas, in a process of its own, again and again."""
    aligned = next(iter(sorted(faces.iterdir())))
    face = decode_image(aligned.read_bytes(), aligned.name)
    canvas = folder / "canvas.jpg"
    larger = np.pad(face, ((200, 300), (100, 400), (0, 0)), mode="edge")
    canvas.write_bytes(encode_jpeg(larger))
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


def rate_table(seconds: dict[str, list[float]], images: int) -> str:
    """Give the table of rates."""
    rates = {name: images / statistics.median(times) for name, times in seconds.items()}
    rows = [
        (
            name,
            f"{rate:.1f}",
            f"{images / max(seconds[name]):.1f} to {images / min(seconds[name]):.1f}",
            f"{rate / rates[STAGE]:.0%}",
        )
        for name, rate in rates.items()
    ]
    return table([f"{images:,} images", "images/s", "all rounds", "of the stage"], rows)


if __name__ == "__main__":
    main()
