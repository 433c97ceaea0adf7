"""Stage evaluate: judge the model on the test images."""

from itertools import islice
from pathlib import Path

import keras
import numpy as np

from facegender import evaluation, figures
from facegender.backbone import tail_of
from facegender.errors import one_line_errors
from facegender.files import write_csv, write_json
from facegender.images import decode_image
from facegender.params import load_params
from facegender.prediction import check_agreement, predict_split
from facegender.shards import read_records

CHECKED = 32
IMAGES, PLOTS = Path("data/preprocessed/test"), Path("metrics/plots")


@one_line_errors()
def main() -> None:
    """Write data/predictions.csv, metrics/evaluate.json and the plots of the test set."""
    params = load_params()
    model = keras.saving.load_model("models/gender.keras", compile=False)
    tail = tail_of(model, params.backbone.trainable_from)
    image_ids, labels, probabilities = predict_split(tail, "data/features/test")
    first = [decode_image(jpeg, name) for name, _, jpeg in islice(read_records(IMAGES), CHECKED)]
    check_agreement(model, np.stack(first), probabilities[:CHECKED])

    predictions = evaluation.predictions_table(image_ids, labels, probabilities, params.evaluate.threshold)
    write_csv("data/predictions.csv", predictions)
    # From the rounded probabilities, so that predictions.csv gives the very same figures.
    actual, scores = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    figures_of_merit = evaluation.classification_metrics(actual, scores, params.evaluate.threshold)
    write_json("metrics/evaluate.json", figures_of_merit)
    roc, precision_recall = evaluation.curve_tables(actual, scores)
    write_csv(PLOTS / "roc.csv", roc)
    write_csv(PLOTS / "precision_recall.csv", precision_recall)
    write_csv(PLOTS / "confusion.csv", evaluation.confusion_table(actual, predictions["predicted"]))

    captions = evaluation.captions_of(evaluation.most_confident_mistakes(predictions, params.evaluate.mistakes))
    faces = {name: decode_image(jpeg, name) for name, _, jpeg in read_records(IMAGES) if name in captions}
    title = "Test images that the model got most wrong"
    figures.image_grid(PLOTS / "mistakes.png", [faces[name] for name in captions], list(captions.values()), title)


if __name__ == "__main__":
    main()
