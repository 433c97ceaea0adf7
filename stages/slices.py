"""Stage slices: evaluate the predictions with and without each attribute."""

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
    write_json("metrics/slices.json", slice_summary(table))
    title = (
        f"Slices of {len(predictions):,} test images; grey: fewer than {MIN_PER_CLASS} identities or images of a class"
    )
    interval_chart("metrics/plots/slices.png", table, title)


if __name__ == "__main__":
    main()
