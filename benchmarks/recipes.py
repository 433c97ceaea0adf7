"""What each recipe of training gives and costs: accuracy, minutes and memory of `dvc repro` from scratch.

A recipe is a named set of parameters in RECIPES. Each runs in a clone of its own with empty caches. Its result is
written to --results as soon as it is there, so that an interrupted run continues with the recipes that are left;
a recipe is measured again if params.yaml or the weights would differ. A recipe that fails does not stop the
others. Prints a Markdown table of the chosen recipes that have a result.

    python -m benchmarks.recipes --celeba FOLDER --weights WEIGHTS --results recipes.json [--recipes NAME …]
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import (
    PLAIN,
    STORED_FEATURES,
    UNREGULARISED,
    Parameters,
    Run,
    argument_parser,
    measured_repro,
    megabytes,
    project,
    read_params,
    say,
    settings,
    table,
)
from facegender.errors import FacegenderError, one_line_errors
from facegender.files import md5_of, write_json

IMAGES_14K: Parameters = {"partition.train": 14000, "partition.val": 4164, "partition.test": 3872}
IMAGES_ALL: Parameters = {**IMAGES_14K, "partition.train": "all"}

STRONG: Parameters = {
    **PLAIN,
    "augment.rotation": 12,
    "augment.width_shift": 0.06,
    "augment.height_shift": 0.06,
    "augment.brightness": 0.2,
    "augment.contrast": 0.2,
    "augment.colour": 0.2,
}
HARD: Parameters = {
    **PLAIN,
    "augment.rotation": 15,
    "augment.zoom": 0.25,
    "augment.width_shift": 0.08,
    "augment.height_shift": 0.08,
    "augment.brightness": 0.3,
    "augment.contrast": 0.3,
    "augment.colour": 0.3,
}

REGULARISED: Parameters = {
    "train.weight_decay": 0.02,
    "train.label_smoothing": 0.05,
    "train.ema_momentum": 0.99,
    "train.warmup_steps": 50,
}

TRAINING: Parameters = {
    "train.batch_size": 64,
    "train.learning_rate": 0.0003,
    "train.schedule": "cosine",
    "train.monitor": "val_accuracy",
    "train.patience": 3,
    "train.dropout": 0.5,
    "train.hidden_units": 0,
}
FROZEN: Parameters = {**IMAGES_14K, **TRAINING, **STORED_FEATURES}
WHOLE: Parameters = {
    **IMAGES_14K,
    **PLAIN,
    **TRAINING,
    **UNREGULARISED,
    "augment.mode": "fresh",
    "augment.copies": 0,
    "backbone.trainable_from": "image",
    "train.precision": "bfloat16",
    "calibrate.mirror": True,
}
"""The whole network, and a new transformation of each training image in every epoch."""

RECIPES: dict[str, Parameters] = {
    "head, 20 epochs": {
        **FROZEN,
        "backbone.trainable_from": "head",
        "train.epochs": 20,
        "train.learning_rate": 0.001,
    },
    "mixed8, 3 epochs": {**FROZEN, "backbone.trainable_from": "mixed8", "train.epochs": 3},
    "mixed5, 3 epochs": {**FROZEN, "backbone.trainable_from": "mixed5", "train.epochs": 3},
    "mixed5, 3 epochs, bfloat16": {
        **FROZEN,
        "backbone.trainable_from": "mixed5",
        "train.epochs": 3,
        "train.precision": "bfloat16",
    },
    "whole, 1 epoch, plain": {**WHOLE, "train.epochs": 1},
    "whole, 2 epochs, plain": {**WHOLE, "train.epochs": 2},
    "whole, 4 epochs, plain": {**WHOLE, "train.epochs": 4},
    "whole, 4 epochs, plain, float32": {**WHOLE, "train.epochs": 4, "train.precision": "float32"},
    "whole, 4 epochs, plain, reg": {**WHOLE, **REGULARISED, "train.epochs": 4},
    "whole, 4 epochs, strong, reg": {**WHOLE, **STRONG, **REGULARISED, "train.epochs": 4},
    "whole, 6 epochs, strong, reg": {**WHOLE, **STRONG, **REGULARISED, "train.epochs": 6},
    "whole, 5 epochs, strong, reg, as in params/celeba.yaml": {
        **WHOLE,
        **STRONG,
        **REGULARISED,
        "train.epochs": 5,
        "train.warmup_steps": 100,
    },
    "whole, all images, 3 epochs, strong, reg": {
        **WHOLE,
        **IMAGES_ALL,
        **STRONG,
        **REGULARISED,
        "train.epochs": 3,
    },
    "whole, all images, 12 epochs, hard, label smoothing": {
        **WHOLE,
        **IMAGES_ALL,
        **HARD,
        **REGULARISED,
        "train.epochs": 12,
        "train.learning_rate": 0.0004,
        "train.label_smoothing": 0.1,
        "train.weight_decay": 0.05,
        "train.ema_momentum": 0.998,
    },
}
"""reg: REGULARISED."""

Result = dict[str, Any]
"""What a recipe gave: params (the content of params.yaml), weights_md5 (None for imagenet), commit, training_images,
val_accuracy (of the best epoch), accuracy, accuracy_low and accuracy_high (the ends of its 95% interval), roc_auc and
expected_calibration_error (of test images), train_seconds, seconds (of the whole `dvc repro`) and peak_memory (bytes).
"""


def chosen_recipes(names: Sequence[str], changes: Parameters) -> dict[str, Parameters]:
    """Return the parameters of the recipes with these names, or of all if there are none, with `changes` applied.

    Raises:
        FacegenderError: there is no recipe of a name.
    """
    for unknown in [name for name in names if name not in RECIPES][:1]:
        raise FacegenderError("--recipes", f"no recipe {unknown!r}", f"use one of: {'; '.join(RECIPES)}")
    return {name: {**RECIPES[name], **changes} for name in names or RECIPES}


def inputs(folder: Path, weights: str) -> dict[str, Any]:
    """Return what decides a project's result and is kept with it: params.yaml's content and the MD5 of the weights.

    Args:
        folder: the project.
        weights: `imagenet`, or the path of an .h5 file.
    """
    return {"params": read_params(folder), "weights_md5": None if weights == "imagenet" else md5_of(weights)}


def is_measured(result: Result, now: Mapping[str, Any]) -> bool:
    """Return whether a kept result is of these `inputs`."""
    return all(key in result and result[key] == value for key, value in now.items())


def read_results(path: Path) -> dict[str, Result]:
    """Read the results by recipe's name; there are none if the file does not exist.

    Raises:
        FacegenderError: the file is not JSON.
    """
    if not path.exists():
        return {}
    try:
        results: dict[str, Result] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FacegenderError(path, f"not JSON ({error})", "move it away, or name another file") from error
    return results


def measure(celeba: Path, weights: str, parameters: Parameters, kept: Result | None) -> Result:
    """Run a recipe from scratch and return its result, or the kept one if it is of the same `inputs`.

    Raises:
        SystemExit: `dvc repro` failed.
        FacegenderError: a parameter does not exist.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(celeba, weights, Path(temporary, "project"), parameters)
        now = inputs(folder, weights)
        if kept and is_measured(kept, now):
            say("measured before")
            return kept
        return {**now, "commit": commit(folder), **result_of(folder, measured_repro(folder))}


def commit(folder: Path) -> str:
    """Return the short hash of a project's commit. This repository may have a later one by now."""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def result_of(folder: Path, run: Run) -> Result:
    """Return the figures of a finished run in a project."""

    def read(name: str) -> dict[str, Any]:
        metrics: dict[str, Any] = json.loads((folder / "metrics" / name).read_text(encoding="utf-8"))
        return metrics

    test = read("evaluate.json")
    intervals = pd.read_csv(folder / "metrics" / "evaluate.csv", index_col="metric")
    rows = (folder / "data" / "partition" / "train.csv").read_text(encoding="utf-8").splitlines()
    return {
        "training_images": len(rows) - 1,
        "val_accuracy": read("train/metrics.json")["best"]["val_accuracy"],
        "accuracy": test["accuracy"],
        "accuracy_low": intervals["low"]["accuracy"],
        "accuracy_high": intervals["high"]["accuracy"],
        "roc_auc": test["roc_auc"],
        "expected_calibration_error": test["expected_calibration_error"],
        "train_seconds": sum(stage.seconds for stage in run.stages if stage.name == "train"),
        "seconds": run.seconds,
        "peak_memory": run.peak,
    }


def results_table(results: Mapping[str, Result]) -> str:
    """Return the table of results by recipe's name. ECE is the expected calibration error of test images."""
    header = ["Recipe", "Training images", "Validation accuracy", "Test accuracy (95%)", "ROC AUC", "ECE"]
    header += ["train", "`dvc repro`", "Peak memory", "Commit"]
    return table(
        header,
        [
            (
                name,
                f"{result['training_images']:,}",
                f"{result['val_accuracy']:.4f}",
                f"{result['accuracy']:.4f} ({result['accuracy_low']:.4f} to {result['accuracy_high']:.4f})",
                f"{result['roc_auc']:.4f}",
                f"{result['expected_calibration_error']:.4f}",
                f"{result['train_seconds'] / 60:.1f} min",
                f"{result['seconds'] / 60:.1f} min",
                megabytes(result["peak_memory"]),
                result["commit"],
            )
            for name, result in results.items()
        ],
    )


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights", "set")
    parser.add_argument("--recipes", nargs="+", default=[], metavar="NAME", help=f"of: {'; '.join(RECIPES)}")
    parser.add_argument("--results", type=Path, default=Path(".cache/recipes.json"), help="JSON file that keeps them")
    options = parser.parse_args()
    recipes = chosen_recipes(options.recipes, settings(options.set))
    results = read_results(options.results)
    failed = []
    for name, parameters in recipes.items():
        say(name)
        try:
            results[name] = measure(options.celeba, options.weights, parameters, results.get(name))
        except (SystemExit, FacegenderError) as error:
            say(f"{name} failed: {error}")
            failed.append(name)
        else:
            write_json(options.results, results)
    print(results_table({name: results[name] for name in recipes if name not in failed}))
    if failed:
        sys.exit(f"error: {len(failed)} recipes failed, see above: {'; '.join(failed)}")


if __name__ == "__main__":
    with one_line_errors():
        main()
