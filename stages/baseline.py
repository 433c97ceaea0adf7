"""Stage baseline: logistic regression on small grey pixels of the same images."""

import numpy as np
from tqdm import tqdm

from facegender.data.images import decode_image
from facegender.data.shards import read_records
from facegender.errors import one_line_errors
from facegender.evaluation.baseline import fit_baseline, grey_pixels
from facegender.evaluation.metrics import classification_metrics
from facegender.files import write_json
from facegender.reporting.costs import recorded_cost

THRESHOLD = 0.5


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/baseline.json."""
    pixels, labels = {}, {}
    for split in ("train", "test"):
        rows, classes = bytearray(), bytearray()
        for image_id, label, jpeg in tqdm(
            read_records(f"data/preprocessed/{split}"), f"baseline {split}", disable=None
        ):
            rows += grey_pixels(decode_image(jpeg, image_id)).tobytes()
            classes.append(label)
        labels[split] = np.frombuffer(classes, np.uint8)
        pixels[split] = np.frombuffer(rows, np.uint8).reshape(len(classes), -1)
    probabilities = fit_baseline(pixels["train"], labels["train"]).predict(pixels["test"])
    metrics = classification_metrics(labels["test"], probabilities, THRESHOLD)
    write_json("metrics/baseline.json", metrics)
    print(
        f"baseline: {metrics['images']:,} test images, accuracy {metrics['accuracy']:.3f}, AUC {metrics['roc_auc']:.3f}"
    )


if __name__ == "__main__":
    main()
