"""Stage report: one page about the model."""

import json
from pathlib import Path

import pandas as pd

from facegender.data.tables import read_table
from facegender.errors import one_line_errors
from facegender.evaluation.predictions import read_predictions
from facegender.files import whole_file
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.report import Picture, curve_charts, read_logs, read_metrics, render_report
from facegender.repository.lock import read_lock

METRICS, PLOTS = Path("metrics"), Path("metrics/plots")
EXPLORATION = {
    "balance": "Images of each class.",
    "rates": "Share of the images that have each attribute.",
    "correlation": "Correlation of the attributes with each other, from -1 in blue to 1 in red.",
    "examples": "Some faces with their attributes.",
}


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/report.html."""
    params = load_params()
    calibration = json.loads((METRICS / "calibrate.json").read_text(encoding="utf-8"))
    datasets = params.evaluate.datasets
    further = [read_metrics(name, METRICS / "datasets" / name) for name in datasets]
    names = ("roc", "precision_recall", "reliability", "histogram")
    predictions = read_predictions("data/predictions.csv")
    mistakes = min(params.mistakes.images, int((predictions["predicted"] != predictions["label"]).sum()))
    described = f"The {mistakes} most confident ones, each beside the evidence for the wrong class."
    page = render_report(
        resampled="identities" if "identity" in predictions else "images",
        # Without the groups that do not re-run this stage.
        params=params.model_dump(exclude={"cache", "gate"}),
        hashes=hashes({path for group in (params.dataset, *datasets.values()) for path in group.model_dump().values()}),
        test_sets=[read_metrics("test", METRICS / "evaluate"), *further],
        baseline=json.loads((METRICS / "baseline.json").read_text(encoding="utf-8")),
        calibration=calibration,
        confusion=pd.read_csv(PLOTS / "confusion.csv"),
        charts=curve_charts(
            read_logs(METRICS / "train/plots/metrics"),
            {name: pd.read_csv(PLOTS / f"{name}.csv") for name in names},
            calibration["threshold"],
        ),
        slices=pd.read_csv("data/slices.csv"),
        pictures=[Picture("Worst mistakes", described, PLOTS / "mistakes.png")],
        label_errors=read_table("data/label_errors.csv"),
        exploration=[Picture(name.capitalize(), text, PLOTS / f"eda/{name}.png") for name, text in EXPLORATION.items()],
        model_card=Path("docs/model-card.md").read_text(encoding="utf-8"),
    )
    with whole_file(METRICS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    print(f"report: {len(page.encode()) / 1e6:.1f} MB; facegender report adds times and commit, and --open shows it")


def hashes(raw: set[str]) -> dict[str, str]:
    """Look up in dvc.lock the MD5 sums of the raw data, the weights and the models."""
    found = read_lock(without="report")
    return {path: found[path] for path in sorted(found) if path in raw or path.startswith("models/")}


if __name__ == "__main__":
    main()
