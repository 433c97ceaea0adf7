"""Stage slices: judge the predictions on both sides of each attribute."""

from pathlib import Path

from facegender.data.lists import read_attributes
from facegender.errors import one_line_errors
from facegender.evaluation.predictions import parse_predictions
from facegender.evaluation.slices import LEAST_UNITS, slice_summary, slice_table
from facegender.files import write_csv, write_json
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.pictures import interval_chart

PREDICTIONS = Path("data/predictions.csv")


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/slices.json, data/slices.csv and metrics/plots/slices.png."""
    params = load_params()
    group = params.evaluate
    predictions = parse_predictions(PREDICTIONS.read_text(encoding="utf-8"), str(PREDICTIONS))
    table = slice_table(predictions, read_attributes(params.dataset.attributes), group.resamples, group.seed)
    write_csv("data/slices.csv", table)
    write_json("metrics/slices.json", slice_summary(table))
    title = f"Parts of {len(predictions):,} test images, grey: fewer than {LEAST_UNITS} persons or images of a class"
    interval_chart("metrics/plots/slices.png", table, title)


if __name__ == "__main__":
    main()
