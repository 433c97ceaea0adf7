"""The pipeline against the report's way on the same images, weights and settings: time, memory, accuracy.

The two run one after the other; then the pipeline runs again with another learning rate. An epoch of the report's way
sees each image once, newly transformed; one of the pipeline sees it and its --copies. Prints Markdown tables.

    python -m benchmarks.against_report --celeba FOLDER --weights inception_v3_notop.h5 [--trainable-from mixed8]

With --memory-only the report's way stops after a few steps and the pipeline trains one epoch, to compare memory alone:

    python -m benchmarks.against_report --celeba FOLDER --weights … --train 14000 --val 4000 --test 3800 --memory-only
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    IMAGES,
    Run,
    change_params,
    measured,
    measured_repro,
    megabytes,
    project,
    read_params,
    say,
    settings,
    stage_table,
    table,
)

RECIPE = Path(__file__).with_name("report_recipe.py")
SAME_TRAINING = {"train.hidden_units": 0, "train.monitor": "val_loss", "train.schedule": "constant"}
"""What the report's way does not know."""

STEPS = 3
"""Training steps of the report's way when only its memory is of interest."""


def run_recipe(folder: Path, weights: Path, steps: int) -> tuple[Run, dict[str, Any]]:
    """Run the report's way on a project's partition and settings.

    Returns:
        The run, and what the report's way says of itself.
    """
    measured_repro(folder, "partition")
    params = read_params(folder)
    command = [sys.executable, str(RECIPE), "--images", f"data/celeba/{IMAGES}", "--weights", str(weights.resolve())]
    command += ["--trainable-from", params["backbone"]["trainable_from"]]
    for key in ("epochs", "batch_size", "learning_rate", "patience", "dropout", "seed"):
        command += [f"--{key.replace('_', '-')}", str(params["train"][key])]
    run = measured([*command, *(["--steps", str(steps)] if steps else [])], folder)
    return run, json.loads(run.printed.splitlines()[-1])


def accuracy(folder: Path) -> float:
    """Read a project's test accuracy."""
    return float(json.loads((folder / "metrics" / "evaluate.json").read_text(encoding="utf-8"))["accuracy"])


def share(part: float, whole: float) -> str:
    """Write what part of the whole something is, as 1/8.3."""
    return f"1/{whole / part:.1f}" if part != whole else "1"


def compare(rows: list[tuple[str, float, int, float]]) -> str:
    """Give the table of ways: name, seconds, peak memory, accuracy. The first is the report's."""
    _, seconds, memory, _ = rows[0]
    return table(
        ["Way", "Wall time", "of the report's", "Peak memory", "of the report's", "Test accuracy"],
        [(way, f"{s:.0f} s", share(s, seconds), megabytes(m), share(m, memory), f"{a:.3f}") for way, s, m, a in rows],
    )


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help="folder of the zip, the lists and the identities")
    parser.add_argument("--weights", type=Path, required=True, help=".h5 of InceptionV3 without its top")
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--val", type=int, default=600)
    parser.add_argument("--test", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trainable-from", default="head")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more parameters, for both ways")
    parser.add_argument("--memory-only", action="store_true")
    options = parser.parse_args()
    overrides = {
        "partition.train": options.train,
        "partition.val": options.val,
        "partition.test": options.test,
        "augment.copies": options.copies,
        "backbone.trainable_from": options.trainable_from,
        "train.epochs": 1 if options.memory_only else options.epochs,
        **SAME_TRAINING,
        **settings(options.set),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(options.celeba, options.weights, Path(temporary, "report"), overrides)
        say("the report's way")
        run, report = run_recipe(folder, options.weights, STEPS if options.memory_only else 0)
        say(json.dumps(report))
        folder = project(options.celeba, options.weights, Path(temporary, "pipeline"), overrides)
        say("cold dvc repro")
        cold = measured_repro(folder)
        peak = report["peak_memory"]
        if options.memory_only:
            print(stage_table(cold))
            largest = max(stage.peak for stage in cold.stages)
            ways = [("the report's way", peak), ("largest stage", largest), ("`dvc repro` with its stage", cold.peak)]
            rows = [(way, megabytes(memory), share(memory, peak)) for way, memory in ways]
            print(table(["Way", "Peak memory", "of the report's"], rows))
            return
        compared = [
            ("the report's way", run.seconds, peak, report["accuracy"]),
            ("`dvc repro`, cold", cold.seconds, cold.peak, accuracy(folder)),
        ]
        change_params(folder, {"train.learning_rate": read_params(folder)["train"]["learning_rate"] * 1.5})
        say("dvc repro with another learning rate")
        changed = measured_repro(folder)
        compared.append(("`dvc repro`, another learning rate", changed.seconds, changed.peak, accuracy(folder)))
    print(compare(compared))
    rates = [
        ("training, with validation", report["training_images_per_second"]),
        ("testing", report["testing_images_per_second"]),
    ]
    print(table(["The report's way", "images/s"], [(name, f"{rate:.1f}") for name, rate in rates]))
    print(stage_table(cold))


if __name__ == "__main__":
    main()
