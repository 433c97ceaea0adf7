"""Stage report: write one page about the model."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from facegender.data.tables import read_table
from facegender.errors import one_line_errors
from facegender.evaluation.disputed_labels import why_no_label_is_disputed
from facegender.evaluation.predictions import read_predictions
from facegender.files import whole_file
from facegender.network.description import notices, verdict_of
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.gallery import read_gallery
from facegender.reporting.report import Exploration, Labels, describe_model, read_metrics, render_report
from facegender.repository.lock import read_lock

METRICS, PLOTS = Path("metrics"), Path("metrics/plots")
DESCRIPTION = Path("models/gender.json")
EXPLORATION, MISTAKES = Path("data/eda"), Path("data/mistakes")
TABLES = ("train/loss", "train/accuracy", "roc", "precision_recall", "reliability", "histogram")


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write metrics/report.html."""
    params = load_params()
    datasets = params.evaluate.datasets
    description = read_json(DESCRIPTION)
    verdict = verdict_of(description)
    predictions = read_predictions("data/predictions.csv")
    # Without the groups that do not re-run this stage.
    shown = params.model_dump(exclude={"cache", "gate"})
    page = render_report(
        notices=notices(description),
        about=describe_model(description),
        verdict=verdict,
        resampled="identities" if "identity" in predictions else "images",
        params=shown,
        hashes=hashes({path for group in (params.dataset, *datasets.values()) for path in group.model_dump().values()}),
        test_sets=[
            read_metrics("test", METRICS / "evaluate"),
            *(read_metrics(name, METRICS / "datasets" / name) for name in datasets),
        ],
        baseline=read_json(METRICS / "baseline.json"),
        calibration=read_json(METRICS / "calibrate.json"),
        confusion=pd.read_csv(PLOTS / "confusion.csv"),
        tables={Path(name).name: pd.read_csv(PLOTS / f"{name}.csv") for name in TABLES},
        slices=pd.read_csv("data/slices.csv"),
        mistakes=read_gallery(MISTAKES / "worst"),
        labels=Labels(
            why_no_label_is_disputed(description["drawn"], verdict),
            len(read_table(MISTAKES / "disputed_labels.csv")),
            read_gallery(MISTAKES / "disputed"),
        ),
        exploration=Exploration(
            pd.read_csv(EXPLORATION / "balance.csv"),
            pd.read_csv(EXPLORATION / "rates.csv"),
            pd.read_csv(EXPLORATION / "correlation.csv"),
            read_gallery(EXPLORATION / "examples"),
            read_gallery("data/augment"),
        ),
        model_card=Path("docs/model-card.md").read_text(encoding="utf-8"),
    )
    with whole_file(METRICS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    print(f"report: {len(page.encode()) / 1e6:.1f} MB; facegender report adds times and commit, and --open shows it")


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of metrics."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def hashes(raw: set[str]) -> dict[str, str]:
    """Look up in dvc.lock the MD5 sums of the raw data, the weights and the models."""
    found = read_lock(without="report")
    return {path: found[path] for path in sorted(found) if path in raw or path.startswith("models/")}


if __name__ == "__main__":
    main()
