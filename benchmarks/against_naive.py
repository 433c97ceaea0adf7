"""Compare the pipeline with the naive way on the same images, weights and settings: time, memory and accuracy.

They run one after the other; then the pipeline runs again with another learning rate, unless the whole network is
trained (`--trainable-from image`), where nothing can be used again. In an epoch the naive way sees each image once,
with a new transformation; so does the pipeline with `image`, and otherwise it sees each image and its --copies. The
naive way computes in float32, the pipeline as params/celeba.yaml or `--set train.precision=…` says. Prints Markdown
tables.

    python -m benchmarks.against_naive --celeba FOLDER --weights inception_v3_notop.h5 [--trainable-from image]

With --memory-only, which compares nothing but memory, the naive way stops after a few steps and the pipeline trains
for one epoch:

    python -m benchmarks.against_naive --celeba FOLDER --weights … --train 14000 --val 4000 --test 3800 --memory-only
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    IMAGES,
    PLAIN,
    UNREGULARISED,
    Run,
    argument_parser,
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
from facegender.errors import one_line_errors

NAIVE_WAY = Path(__file__).with_name("naive_way.py")
SAME_TRAINING = {
    **PLAIN,
    **UNREGULARISED,
    "train.hidden_units": 0,
    "train.monitor": "val_loss",
    "train.schedule": "constant",
    "calibrate.mirror": False,
}
"""The training of the naive way."""

STEPS = 3
"""Training steps of the naive way if only memory is compared."""


def run_naive_way(folder: Path, weights: str, steps: int) -> tuple[Run, dict[str, Any]]:
    """Run the naive way on a project's partition and settings.

    Args:
        folder: the project.
        weights: `imagenet`, or the absolute path of an .h5 file.
        steps: training steps after which it stops; 0 for whole epochs.

    Returns:
        The run, and the metrics that the naive way printed.
    """
    measured_repro(folder, "partition")
    params = read_params(folder)
    command = [sys.executable, str(NAIVE_WAY), "--images", f"data/celeba/{IMAGES}", "--weights", weights]
    command += ["--trainable-from", params["backbone"]["trainable_from"]]
    for key in ("epochs", "batch_size", "learning_rate", "patience", "dropout", "seed"):
        command += [f"--{key.replace('_', '-')}", str(params["train"][key])]
    run = measured([*command, *(["--steps", str(steps)] if steps else [])], folder)
    return run, json.loads(run.printed.splitlines()[-1])


def accuracy(folder: Path) -> float:
    """Read a project's test accuracy."""
    return float(json.loads((folder / "metrics" / "evaluate.json").read_text(encoding="utf-8"))["accuracy"])


def share(part: float, whole: float) -> str:
    """Format a part as a fraction of the whole, for example 1/8.3."""
    return f"1/{whole / part:.1f}" if part != whole else "1"


def comparison_table(rows: list[tuple[str, float, int, float]]) -> str:
    """Return the table of ways: name, seconds, peak memory in bytes, accuracy. The first row is the naive way."""
    _, seconds, memory, _ = rows[0]
    return table(
        ["Way", "Wall time", "of the naive way's", "Peak memory", "of the naive way's", "Test accuracy"],
        [(way, f"{s:.0f} s", share(s, seconds), megabytes(m), share(m, memory), f"{a:.3f}") for way, s, m, a in rows],
    )


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights", "set")
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--val", type=int, default=600)
    parser.add_argument("--test", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trainable-from", default="head")
    parser.add_argument("--copies", type=int, default=1, help="not used with --trainable-from image")
    parser.add_argument("--memory-only", action="store_true")
    options = parser.parse_args()
    whole = options.trainable_from == "image"
    overrides = {
        "partition.train": options.train,
        "partition.val": options.val,
        "partition.test": options.test,
        "augment.mode": "fresh" if whole else "copies",
        "augment.copies": 0 if whole else options.copies,
        "backbone.trainable_from": options.trainable_from,
        "train.epochs": 1 if options.memory_only else options.epochs,
        **SAME_TRAINING,
        **settings(options.set),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(options.celeba, options.weights, Path(temporary, "naive"), overrides)
        say("the naive way")
        run, naive = run_naive_way(folder, options.weights, STEPS if options.memory_only else 0)
        say(json.dumps(naive))
        folder = project(options.celeba, options.weights, Path(temporary, "pipeline"), overrides)
        say("cold dvc repro")
        cold = measured_repro(folder)
        peak = naive["peak_memory"]
        if options.memory_only:
            print(stage_table(cold))
            largest = max(stage.peak for stage in cold.stages)
            ways = [("the naive way", peak), ("largest stage", largest), ("`dvc repro` with its stage", cold.peak)]
            rows = [(way, megabytes(memory), share(memory, peak)) for way, memory in ways]
            print(table(["Way", "Peak memory", "of the naive way's"], rows))
            return
        compared = [
            ("the naive way", run.seconds, peak, naive["accuracy"]),
            ("`dvc repro`, cold", cold.seconds, cold.peak, accuracy(folder)),
        ]
        if not whole:
            change_params(folder, {"train.learning_rate": read_params(folder)["train"]["learning_rate"] * 1.5})
            say("dvc repro with another learning rate")
            changed = measured_repro(folder)
            compared.append(("`dvc repro`, another learning rate", changed.seconds, changed.peak, accuracy(folder)))
    print(comparison_table(compared))
    rates = [
        ("training, with validation", naive["training_images_per_second"]),
        ("testing", naive["testing_images_per_second"]),
    ]
    print(table(["The naive way", "images/s"], [(name, f"{rate:.1f}") for name, rate in rates]))
    print(stage_table(cold))


if __name__ == "__main__":
    with one_line_errors():
        main()
