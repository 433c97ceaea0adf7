"""Stage evaluate_dataset: judge the model on all images of another data set in CelebA's layout."""

import sys
from pathlib import Path

from tqdm import tqdm

from facegender.data.celeba import LABEL
from facegender.data.images import decode_image, standard_jpeg
from facegender.data.raw import open_images, read_attributes
from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.predictions import predictions_table
from facegender.files import write_csv, write_json
from facegender.network.model_file import load_calibrated
from facegender.network.prediction import predict_images
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

MODEL = Path("models/gender.keras")


@one_line_errors()
@recorded_cost
def main(dataset_name: str) -> None:
    """Write data/datasets/`dataset_name`.csv and metrics/datasets/`dataset_name`.json with its interval."""
    params = load_params()
    group, size = params.evaluate, (params.preprocess.height, params.preprocess.width)
    dataset = group.datasets[dataset_name]
    model, judgement = load_calibrated(MODEL)
    try:
        labels = read_attributes(dataset.attributes)[LABEL]
        with open_images(dataset.images) as images:
            # As the stage preprocess does it.
            jpegs = ((standard_jpeg(images.read(name), name, *size)[0], name) for name in labels.index)
            decoded = (decode_image(jpeg, name) for jpeg, name in jpegs)
            probabilities = predict_images(model, tqdm(decoded, f"evaluate {dataset_name}", len(labels), disable=None))
        rows = labels.rename("label").reset_index()
        predictions = predictions_table(
            rows, list(labels.index), labels, probabilities, judgement["threshold"], dataset.attributes
        )
        judged = metrics_with_interval(predictions, group.resamples, group.seed)
    except FacegenderError as error:
        raise FacegenderError(f"evaluate.datasets.{dataset_name}: {error}") from error
    write_csv(f"data/datasets/{dataset_name}.csv", predictions)
    for suffix, content in judged.items():
        write_json(f"metrics/datasets/{dataset_name}{suffix}.json", content)


if __name__ == "__main__":
    main(sys.argv[1])
