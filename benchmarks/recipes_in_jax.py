"""Recipes of training on a GPU that TensorFlow cannot use: what `benchmarks.jax_worker` trains, and its results.

Write the recipes of `benchmarks.recipes` to a file, one for each of --seeds, which are of training and of augmentation:

    python -m benchmarks.recipes_in_jax --write recipes.json [--recipes NAME …] [--seeds 120 121] [--set KEY=VALUE …]

Print a Markdown table of their results. Temperature and threshold are fitted to the logits of validation images, as in
the stage calibrate. --partition has the tables of the test sets with their identities, such as data/partition:

    python -m benchmarks.recipes_in_jax --results FOLDER --partition FOLDER [--predictions FOLDER]

With --predictions, the predictions of test images are written there too, in the form of data/predictions.csv.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.jax_worker import TRAIN, VAL
from benchmarks.measure import ROOT, Parameters, argument_parser, changed_params, settings, table
from benchmarks.recipes import chosen_recipes
from facegender.data.tables import read_table, write_csv
from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.calibration import choose_threshold, fit_temperature, probabilities_at
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.predictions import predictions_table
from facegender.files import write_json

TEST = "test"
SEED = 120


def recipe_file(recipes: Mapping[str, Parameters], seeds: Sequence[int]) -> dict[str, Any]:
    """Return what `benchmarks.jax_worker` reads, for each recipe and seed.

    Args:
        recipes: changes of params/celeba.yaml, by recipe's name.
        seeds: of training and transformations.
    """
    base = yaml.safe_load((ROOT / "params" / "celeba.yaml").read_text(encoding="utf-8"))
    content = {}
    for name, changes in recipes.items():
        for seed in seeds:
            params = changed_params(base, {**changes, "train.seed": seed, "augment.seed": seed})
            images = f"{TRAIN}-{params['partition']['train']}"
            copies = [f"{images}-copies"] if params["augment"]["mode"] == "copies" else []
            # The names of its results.
            content[f"{name.replace('/', ' ')}, seed {seed}"] = {"shards": [images, *copies], "params": params}
    return content


def read_result(file: Path, partition: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Read the result of a recipe, NAME.json with NAME.npz beside it.

    Args:
        file: NAME.json.
        partition: folder with a table of each test set, by its name.

    Returns:
        The content of NAME.json, and the predictions of each test set, in the form of data/predictions.csv.

    Raises:
        FacegenderError: an image is not in its table, or has another label there.
    """
    result = json.loads(file.read_text(encoding="utf-8"))
    with np.load(file.with_suffix(".npz")) as arrays:
        logits = {key.removesuffix("_logits"): arrays[key] for key in arrays.files if key.endswith("_logits")}
        males = {split: (values[:, 1].astype(np.float64) - values[:, 0]) for split, values in logits.items()}
        labels = {split: arrays[f"{split}_labels"] for split in logits}
        image_ids = {split: arrays[f"{split}_ids"].tolist() for split in logits}
    temperature = fit_temperature(males[VAL], labels[VAL])
    rule = result["params"]["calibrate"]["threshold"]
    threshold = choose_threshold(probabilities_at(males[VAL], temperature), labels[VAL], rule)
    predictions = {}
    for split in logits.keys() - {VAL}:
        name = partition / f"{split}.csv"
        probabilities = probabilities_at(males[split], temperature)
        predictions[split] = predictions_table(
            read_table(name), image_ids[split], labels[split], probabilities, threshold, str(name)
        )
    return result, predictions


def results_table(results: Mapping[str, tuple[dict[str, Any], dict[str, pd.DataFrame]]]) -> str:
    """Return the table of what `read_result` returned, by recipe's name.

    ECE is the expected calibration error of test images. Further test sets have a column for their balanced accuracy.
    """
    further = sorted({split for _, predictions in results.values() for split in predictions} - {TEST})
    header = ["Recipe", "Training images", "Validation accuracy", "Test accuracy (95%)", "ROC AUC", "ECE (95%)"]
    rows = []
    for name, (result, predictions) in results.items():
        evaluate = result["params"]["evaluate"]
        intervals = metrics_with_interval(predictions[TEST], evaluate["resamples"], evaluate["seed"])

        def with_interval(metric: str, intervals: pd.DataFrame = intervals) -> str:
            value, low, high = (intervals[column][metric] for column in ("value", "low", "high"))
            return f"{value:.4f} ({low:.4f} to {high:.4f})"

        rows.append(
            (
                name,
                f"{result['training_images']:,}",
                f"{result['best']['val_accuracy']:.4f}",
                with_interval("accuracy"),
                f"{intervals['value']['roc_auc']:.4f}",
                with_interval("expected_calibration_error"),
                *(
                    f"{metrics_of(predictions[split])['balanced_accuracy']:.4f}" if split in predictions else ""
                    for split in further
                ),
                f"{result['seconds']:.0f} s",
                result["device"],
            )
        )
    return table([*header, *further, "Training", "Device"], rows)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "set")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--write", type=Path, metavar="FILE")
    way.add_argument("--results", type=Path, metavar="FOLDER")
    parser.add_argument("--recipes", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[SEED], help=f"default: {SEED}")
    parser.add_argument("--partition", type=Path, default=ROOT / "data" / "partition", metavar="FOLDER")
    parser.add_argument("--predictions", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.write:
        recipes = chosen_recipes(options.recipes, settings(options.set))
        write_json(options.write, recipe_file(recipes, options.seeds))
        return
    results = {file.stem: read_result(file, options.partition) for file in sorted(options.results.glob("*.json"))}
    if not results:
        raise FacegenderError(options.results, "no results", "name the --results of benchmarks.jax_worker")
    if options.predictions:
        options.predictions.mkdir(parents=True, exist_ok=True)
        for name, (_, predictions) in results.items():
            write_csv(options.predictions / f"{name}.csv", predictions[TEST])
    print(results_table(results), end="")


if __name__ == "__main__":
    with one_line_errors():
        main()
