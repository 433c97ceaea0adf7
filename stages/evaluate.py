"""Stage evaluate: judge the model on the test images."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from facegender.data.images import decode_image
from facegender.data.raw import known_identities
from facegender.data.shards import read_records
from facegender.errors import one_line_errors
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.curves import confusion_table, curve_tables, histogram_table, reliability_table
from facegender.evaluation.predictions import predictions_table
from facegender.files import write_csv, write_json
from facegender.network.backbone import tail_of
from facegender.network.model_file import load_calibrated
from facegender.network.prediction import check_agreement, predict_split
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

CHECKED = 32
ROWS = "data/partition/test.csv"
MODEL, PLOTS = Path("models/gender.keras"), Path("metrics/plots")


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write data/predictions.csv, metrics/evaluate.json, its interval and the curves of the test set."""
    params = load_params()
    group = params.evaluate
    model, judgement = load_calibrated(MODEL)
    image_ids, labels, probabilities = predict_split(
        tail_of(model, params.backbone.trainable_from), "data/features/test"
    )
    first = [decode_image(jpeg, name) for name, _, jpeg in islice(read_records("data/preprocessed/test"), CHECKED)]
    check_agreement(model, np.stack(first), probabilities[:CHECKED], judgement["temperature"])

    rows = pd.read_csv(ROWS, dtype={"image_id": str}, keep_default_na=False)
    identities = known_identities(params.dataset.identities)
    rows = rows if identities is None else rows.join(identities, on="image_id")
    predictions = predictions_table(rows, image_ids, labels, probabilities, judgement["threshold"], ROWS)
    write_csv("data/predictions.csv", predictions)
    for name, content in metrics_with_interval(predictions, group.resamples, group.seed).items():
        write_json(f"metrics/evaluate{name}.json", content)
    # From the rounded probabilities, so that predictions.csv gives the very same metrics.
    actual, scores = predictions["label"], predictions["probability"]
    roc, precision_recall = curve_tables(actual, scores)
    write_csv(PLOTS / "roc.csv", roc)
    write_csv(PLOTS / "precision_recall.csv", precision_recall)
    write_csv(PLOTS / "confusion.csv", confusion_table(actual, predictions["predicted"]))
    write_csv(PLOTS / "reliability.csv", reliability_table(actual, scores))
    write_csv(PLOTS / "histogram.csv", histogram_table(actual, scores))


if __name__ == "__main__":
    main()
