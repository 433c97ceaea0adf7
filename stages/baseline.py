"""Stage baseline: logistic regression on small grey images."""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facegender.cache import alone
from facegender.cluster import spread
from facegender.data.shards import read_files, shard_paths
from facegender.data.tables import read_table, write_csv
from facegender.errors import one_line_errors
from facegender.evaluation.baseline import fit_baseline, pixel_shards
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.predictions import predictions_table
from facegender.files import write_json
from facegender.reporting.costs import recorded_cost

THRESHOLD = 0.5
TABLE = "data/partition/test.csv"


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/baseline.csv and metrics/baseline.json."""
    _, labels, pixels = read_split("train")
    fitted = fit_baseline(pixels, labels)
    image_ids, labels, pixels = read_split("test")
    predictions = predictions_table(read_table(TABLE), image_ids, labels, fitted.predict(pixels), THRESHOLD, TABLE)
    write_csv("data/baseline.csv", predictions)
    metrics = metrics_of(predictions)
    write_json("metrics/baseline.json", metrics)
    print(
        f"baseline: {metrics['images']:,} test images, accuracy {metrics['accuracy']:.3f}, AUC {metrics['roc_auc']:.3f}"
    )


def read_split(split: str) -> tuple[list[str], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the ids, the labels, (n,), and the rows of `grey_pixels`, (n, 1044), of a split's images."""
    paths = shard_paths(f"data/preprocessed/{split}")
    shards = spread(pixel_shards, read_files(paths))
    image_ids, labels, rows = [], bytearray(), bytearray()
    for shard in tqdm(shards, f"baseline {split}", len(paths), unit="shard", disable=None):
        image_ids += shard.image_ids
        labels += shard.labels.tobytes()
        rows += shard.pixels.tobytes()
    return image_ids, np.frombuffer(labels, np.uint8), np.frombuffer(rows, np.uint8).reshape(len(labels), -1)


if __name__ == "__main__":
    main()
