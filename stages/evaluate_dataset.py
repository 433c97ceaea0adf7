"""Stage evaluate_dataset: judge the model on all images of another data set in CelebA's layout."""

import sys
from pathlib import Path

import keras
from tqdm import tqdm

from facegender.bootstrap import metrics_with_interval
from facegender.celeba import LABEL
from facegender.costs import recorded_cost
from facegender.errors import one_line_errors
from facegender.evaluation import predictions_table
from facegender.files import write_csv, write_json
from facegender.images import decode_image
from facegender.model_file import read_judgement
from facegender.params import load_params
from facegender.prediction import predict_images
from facegender.raw import open_images, read_attributes

MODEL = Path("models/gender.keras")


@one_line_errors()
@recorded_cost
def main(name: str) -> None:
    """Write data/datasets/`name`.csv and metrics/datasets/`name`.json with its interval."""
    params = load_params()
    dataset, group, threshold = params.evaluate.datasets[name], params.evaluate, read_judgement(MODEL)["threshold"]
    labels = read_attributes(dataset.attributes)[LABEL]
    model = keras.saving.load_model(MODEL, compile=False)
    with open_images(dataset.images) as images:
        decoded = (decode_image(images.read(image_id), image_id) for image_id in labels.index)
        probabilities = predict_images(model, tqdm(decoded, f"evaluate {name}", len(labels), disable=None))
    predictions = predictions_table(list(labels.index), labels, probabilities, threshold)
    write_csv(f"data/datasets/{name}.csv", predictions)
    for suffix, content in metrics_with_interval(predictions, group.resamples, group.seed).items():
        write_json(f"metrics/datasets/{name}{suffix}.json", content)


if __name__ == "__main__":
    main(sys.argv[1])
