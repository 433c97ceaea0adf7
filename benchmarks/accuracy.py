"""Validation accuracy against minutes, for several cuts and numbers of training images.

Each setting is an experiment, `dvc exp run … train`, in one project; test images are not looked at. Its minutes
are those of the stages from features on, with nothing known beforehand. Prints a Markdown table and draws a picture.

    python -m benchmarks.accuracy --celeba FOLDER --weights inception_v3_notop.h5 --picture accuracy.png
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from benchmarks.measure import Run, measured, project, read_params, say, settings, table

COUNTED = ("features", "train")

HEAD_SETTINGS = {"train.epochs": 20, "train.learning_rate": 0.001}
"""Of the last layers alone, whose epochs take a second; all other cuts have the project's."""


class Point(NamedTuple):
    """What a setting gives.

    Attributes:
        cut: first trained block, or head.
        images: of training, without copies.
        minutes: of the stages from features to train.
        accuracy: on validation images, in the kept epoch.
    """

    cut: str
    images: int
    minutes: float
    accuracy: float


def run_setting(folder: Path, cut: str, images: int, own_settings: Mapping[str, Any]) -> Point:
    """Run one experiment with no features known; the last one's settings are still in params.yaml."""
    say(f"{cut}, {images} training images")
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    # Forced, so that no stage is skipped or restored.
    training = HEAD_SETTINGS if cut == "head" else own_settings
    values = {"backbone.trainable_from": cut, "partition.train": images, **training}
    command = [
        "dvc",
        "exp",
        "run",
        "--force",
        *(word for key, value in values.items() for word in ("--set-param", f"{key}={value}")),
        "train",
    ]
    run = measured(command, folder)
    if not {"features@train", "features@val", "train"} <= {stage.name for stage in run.stages}:
        raise SystemExit(f"a stage did not run:\n{run.printed}")
    metrics = json.loads((folder / "metrics" / "train" / "metrics.json").read_text(encoding="utf-8"))
    point = Point(cut, images, minutes_of(run), metrics["best"]["val_accuracy"])
    say(f"{point}")
    return point


def minutes_of(run: Run) -> float:
    """Add up the minutes of the stages that count."""
    return sum(stage.seconds for stage in run.stages if stage.name.split("@")[0] in COUNTED) / 60


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw a line for each cut, a point for each number of images."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for cut in dict.fromkeys(point.cut for point in points):
        of_cut = [point for point in points if point.cut == cut]
        axes.plot([p.minutes for p in of_cut], [p.accuracy for p in of_cut], marker="o", label=f"trained from {cut}")
        for point in of_cut:
            axes.annotate(f"{point.images:,}", (point.minutes, point.accuracy), (4, -10), textcoords="offset points")
    axes.set_xscale("log")
    for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        set_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    axes.set_xlabel("minutes of features and train, two cores")
    axes.set_ylabel("accuracy on validation images")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help="folder of the zip, the lists and the identities")
    parser.add_argument("--weights", type=Path, required=True, help=".h5 of InceptionV3 without its top")
    parser.add_argument("--cuts", nargs="+", default=["head", "mixed10", "mixed8", "mixed5", "mixed3"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 14000], help="training images")
    parser.add_argument("--val", type=int, default=2000, help="validation images")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more parameters")
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    options = parser.parse_args()
    overrides = {"partition.val": options.val, "partition.test": 2, **settings(options.set)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(options.celeba, options.weights, Path(temporary, "project"), overrides)
        params = read_params(folder)
        own = {key: params["train"][key.partition(".")[2]] for key in HEAD_SETTINGS}
        points = [run_setting(folder, cut, images, own) for cut in options.cuts for images in options.sizes]
    header = ["Trained from", "Training images", "Minutes", "Validation accuracy"]
    print(table(header, [(p.cut, f"{p.images:,}", f"{p.minutes:.1f}", f"{p.accuracy:.4f}") for p in points]))
    if options.picture:
        draw(points, options.picture)


if __name__ == "__main__":
    main()
