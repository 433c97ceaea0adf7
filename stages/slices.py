"""Stage slices: evaluate the predictions with and without each attribute."""

import pandas as pd

from facegender.data.lists import read_attributes
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.evaluation.predictions import read_predictions
from facegender.evaluation.slices import MIN_PER_CLASS, slice_summary, slice_table
from facegender.files import write_json
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.pictures import interval_chart


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/slices.json, data/slices.csv and metrics/plots/slices.png."""
    params = load_params()
    group = params.evaluate
    predictions = read_predictions("data/predictions.csv")
    table = slice_table(predictions, read_attributes(params.dataset.attributes), group.resamples, group.seed)
    write_csv("data/slices.csv", table)
    summary = slice_summary(table)
    write_json("metrics/slices.json", summary)
    title = (
        f"Slices of {len(predictions):,} test images; grey: fewer than {MIN_PER_CLASS} identities or images of a class"
    )
    interval_chart("metrics/plots/slices.png", table, title)
    print(f"slices: {summary['judged']} slices judged, {summary['too_small']} too small{worst(table)}")


def worst(table: pd.DataFrame) -> str:
    """Name the slice with the lowest balanced accuracy, which is the first of the judged ones, if there is one."""
    if not table["judged"].any():
        return ""
    return f"; the worst is {table['slice'][0]}, balanced accuracy {table['balanced_accuracy'][0]:.3f}"


if __name__ == "__main__":
    main()
