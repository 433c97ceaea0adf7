"""Stage evaluate: evaluate the model on the test images, or on a further test set."""

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from facegender.cache import alone
from facegender.data.images import decode_image
from facegender.data.shards import read_records
from facegender.data.tables import read_table, write_csv
from facegender.errors import one_line_errors
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.comparison import against_baseline, compare_predictions
from facegender.evaluation.curves import confusion_table, curve_tables, histogram_table, reliability_table
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.predictions import predictions_table, read_predictions
from facegender.files import md5_of, write_json
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import check_same_trunk, read_trunk, tail_inputs
from facegender.network.onnx_file import load_calibrated, part
from facegender.network.prediction import check_agreement, predict_split
from facegender.network.sidecar import FEATURES, IMAGE, PROBABILITIES, Sidecar
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

CHECKED = 32
MODEL, DESCRIPTION, PLOTS = "models/gender.onnx", "models/gender.json", Path("metrics/plots")
BASELINE = "data/baseline.csv"
DESCRIBED = ("accuracy", "roc_auc", "expected_calibration_error")


@one_line_errors()
@recorded_cost
@alone
def main(test_set: str = "test") -> None:
    """Write predictions and metrics with their intervals; for test images also plots and models/gender.json."""
    group = load_params().evaluate
    network, sidecar = load_calibrated(MODEL)
    features, table = f"data/features/{test_set}", f"data/partition/{test_set}.csv"
    trunk = check_same_trunk({MODEL: sidecar, features: read_trunk(features)})
    preprocessed = f"data/preprocessed/{test_set}"
    shards = tail_inputs(trunk, [features], [preprocessed])
    image_ids, labels, outputs = predict_split(OpenVinoEngine(part(network, FEATURES, PROBABILITIES)), shards)
    by_id = dict(zip(image_ids, outputs[:, 1].tolist(), strict=True))
    if trunk["trainable_from"] != IMAGE:
        records = list(islice(read_records(preprocessed), CHECKED))
        whole = OpenVinoEngine(part(network, IMAGE, PROBABILITIES))
        checked = whole(decode_image(record.jpeg, record.image_id) for record in records)
        ids = [record.image_id for record in records]
        check_agreement(dict(zip(ids, checked[:, 1].tolist(), strict=True)), by_id, sidecar["temperature"])

    rows = read_table(table)
    predictions = predictions_table(rows, image_ids, labels, outputs[:, 1], sidecar["threshold"], table)
    is_test = test_set == "test"
    write_csv("data/predictions.csv" if is_test else f"data/datasets/{test_set}.csv", predictions)
    stem = "metrics/evaluate" if is_test else f"metrics/datasets/{test_set}"
    metrics, intervals = metrics_of(predictions), metrics_with_interval(predictions, group.resamples, group.seed)
    write_json(f"{stem}.json", metrics)
    write_csv(f"{stem}.csv", intervals.reset_index())
    low, high = intervals.loc["accuracy", "low"], intervals.loc["accuracy", "high"]
    print(
        f"evaluate {test_set}: {len(predictions):,} images, accuracy {metrics['accuracy']:.4f} ({low:.4f} to "
        f"{high:.4f}), AUC {metrics['roc_auc']:.4f}"
    )
    if is_test:
        write_json(DESCRIPTION, describe(sidecar, predictions, intervals))
        # From the rounded probabilities, so that the plots can be reproduced from predictions.csv.
        actual, scores = predictions["label"], predictions["probability"]
        roc, precision_recall = curve_tables(actual, scores)
        write_csv(PLOTS / "roc.csv", roc)
        write_csv(PLOTS / "precision_recall.csv", precision_recall)
        write_csv(PLOTS / "confusion.csv", confusion_table(actual, predictions["predicted"]))
        write_csv(PLOTS / "reliability.csv", reliability_table(actual, scores))
        write_csv(PLOTS / "histogram.csv", histogram_table(actual, scores))


def describe(sidecar: Sidecar, predictions: pd.DataFrame, intervals: pd.DataFrame) -> dict[str, Any]:
    """Say what the model is and how good it is, in the words of `facegender.network.description.Description`."""
    comparison = compare_predictions(read_predictions(BASELINE), predictions)
    return {
        **sidecar,
        "model_md5": md5_of(MODEL),
        "test_images": len(predictions),
        "metrics": {name: intervals.loc[name].to_dict() for name in DESCRIBED},
        **against_baseline(comparison)._asdict(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
