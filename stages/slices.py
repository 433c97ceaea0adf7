"""Stage slices: compute the recall of each class with and without each attribute."""

from facegender.cache import alone
from facegender.data.lists import read_attributes
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.evaluation.predictions import read_predictions
from facegender.evaluation.slices import WHOLE, slice_summary, slice_table, standing_out
from facegender.files import write_json
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.pictures import interval_chart


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write metrics/slices.json, data/slices.csv and metrics/plots/slices.png."""
    params = load_params()
    predictions = read_predictions("data/predictions.csv")
    table = slice_table(predictions, read_attributes(params.dataset.attributes))
    write_csv("data/slices.csv", table)
    summary = slice_summary(table)
    write_json("metrics/slices.json", summary)
    on_all = table[table["slice"] == WHOLE]
    interval_chart(
        "metrics/plots/slices.png",
        table[(table["judged"] == 1) & (table["slice"] != WHOLE)],
        dict(zip(on_all["class"], on_all["recall"], strict=True)),
        f"Recall on slices of {len(predictions):,} test images, furthest from all images (grey line) first; red: the "
        "line is outside the interval",
    )
    names = [f"{row['class']}, {row['slice']} ({row['recall']:.0%})" for _, row in standing_out(table).iterrows()]
    found = f"; the furthest from all images: {names[0]}" if names else ""
    print(f"slices: {len(names) or 'none'} of {summary['judged']} recalls stand out{found}")


if __name__ == "__main__":
    main()
