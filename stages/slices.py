"""Stage slices: judge the predictions on both sides of each attribute."""

import pandas as pd

from facegender.costs import recorded_cost
from facegender.errors import one_line_errors
from facegender.figures import interval_chart
from facegender.files import write_csv, write_json
from facegender.params import load_params
from facegender.raw import read_annotations
from facegender.slices import LEAST_IMAGES, slice_summary, slice_table


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/slices.json, data/slices.csv and metrics/plots/slices.png."""
    params = load_params()
    group, dataset = params.evaluate, params.dataset
    predictions = pd.read_csv("data/predictions.csv", dtype={"image_id": str}, keep_default_na=False)
    attributes = read_annotations(dataset.attributes, dataset.partitions)
    table = slice_table(predictions, attributes, group.resamples, group.seed)
    write_csv("data/slices.csv", table)
    write_json("metrics/slices.json", slice_summary(table))
    title = f"Parts of {len(predictions):,} test images, those with fewer than {LEAST_IMAGES} of a class in grey"
    interval_chart("metrics/plots/slices.png", table, title)


if __name__ == "__main__":
    main()
