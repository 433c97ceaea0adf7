"""Validation accuracy against minutes, for several cuts and numbers of training images.

Each setting is an experiment, `dvc exp run … train`, in one project; test images are not used. Its minutes are those
of the stages features and train, with empty caches. Prints a Markdown table and draws a picture.

    python -m benchmarks.accuracy --celeba FOLDER --weights inception_v3_notop.h5 --picture accuracy.png
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from benchmarks.measure import Run, argument_parser, measured, project, read_params, say, settings, table

COUNTED = ("features@train", "features@train_copies", "features@val", "train")
"""The stages whose minutes count."""

HEAD_SETTINGS = {"train.epochs": 20, "train.learning_rate": 0.001}
"""For `head`, whose epochs take a second. All other cuts have the project's settings."""


class Point(NamedTuple):
    """The result of a setting.

    Attributes:
        cut: first trained block, or `head`.
        images: number of training images, without copies.
        minutes: of the stages in COUNTED.
        accuracy: on validation images, in the best epoch.
    """

    cut: str
    images: int
    minutes: float
    accuracy: float


def run_setting(folder: Path, cut: str, images: int, own_settings: Mapping[str, Any]) -> Point:
    """Run one experiment with an empty .cache. It must set every parameter that an earlier one set."""
    say(f"{cut}, {images} training images")
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    training = HEAD_SETTINGS if cut == "head" else own_settings
    values = {"backbone.trainable_from": cut, "partition.train": images, **training}
    # Forced, so that DVC neither skips a stage nor restores its outs.
    command = [
        "dvc",
        "exp",
        "run",
        "--force",
        *(word for key, value in values.items() for word in ("--set-param", f"{key}={value}")),
        "train",
    ]
    run = measured(command, folder)
    missing = set(COUNTED) - {stage.name for stage in run.stages}
    if missing:
        raise SystemExit(f"{cut}, {images} training images: {', '.join(sorted(missing))} did not run:\n{run.printed}")
    metrics = json.loads((folder / "metrics" / "train" / "metrics.json").read_text(encoding="utf-8"))
    point = Point(cut, images, minutes_of(run), metrics["best"]["val_accuracy"])
    say(f"{point}")
    return point


def minutes_of(run: Run) -> float:
    """Add up the minutes of the stages in COUNTED."""
    return sum(stage.seconds for stage in run.stages if stage.name in COUNTED) / 60


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw a line for each cut, with a point for each number of images."""
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
    parser = argument_parser(__doc__, "celeba", "weights", "set")
    parser.add_argument("--cuts", nargs="+", default=["head", "mixed10", "mixed8", "mixed5", "mixed3"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 14000], help="training images")
    parser.add_argument("--val", type=int, default=2000, help="validation images")
    parser.add_argument("--picture", type=Path, help="PNG file to write")
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
