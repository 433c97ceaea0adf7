"""Stage report: write one page about the model."""

from pathlib import Path

import pandas as pd

from facegender.cache import alone
from facegender.data.text_files import read_json, read_text
from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.disputed_labels import why_no_label_is_disputed
from facegender.evaluation.predictions import read_predictions
from facegender.evaluation.results import read_metrics, restore
from facegender.files import whole_file
from facegender.network import sidecar
from facegender.network.description import notices, verdict_of
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.reporting.gallery import read_gallery
from facegender.reporting.report import METRIC_NAMES, Exploration, Labels, describe_model, read_test_set, render_report
from facegender.repository.lock import read_lock

METRICS, PLOTS = Path("metrics"), Path("metrics/plots")
BASELINE, CALIBRATION = METRICS / "baseline.json", METRICS / "calibrate.json"
CARD = "docs/model-card.md"
DESCRIPTION = Path("models/gender.json")
DESCRIBED = (
    *("standing", "sentence", "drawn", "data", "weights", "trainable_from"),
    *("train_images", "val_images", "test_images"),
)
"""What the page says of the model."""
EXPLORATION, MISTAKES, SLICES = Path("data/eda"), Path("data/mistakes"), Path("data/slices.csv")
TABLES = ("train/loss", "train/accuracy", "roc", "precision_recall", "reliability", "histogram")


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write metrics/report.html."""
    params = load_params()
    datasets = params.evaluate.datasets
    description = read_json(DESCRIPTION, sidecar.restore(DESCRIPTION), DESCRIBED)
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
            read_test_set("test", METRICS / "evaluate"),
            *(read_test_set(name, METRICS / "datasets" / name) for name in datasets),
        ],
        baseline=read_metrics(BASELINE, [*METRIC_NAMES, "images"]),
        calibration=read_metrics(CALIBRATION, ["temperature", "threshold"]),
        confusion=read_csv(PLOTS / "confusion.csv"),
        tables={Path(name).name: read_csv(PLOTS / f"{name}.csv") for name in TABLES},
        slices=read_csv(SLICES),
        mistakes=read_gallery(MISTAKES / "worst"),
        labels=Labels(
            why_no_label_is_disputed(description["drawn"], verdict),
            len(read_csv(MISTAKES / "disputed_labels.csv")),
            read_gallery(MISTAKES / "disputed"),
        ),
        exploration=Exploration(
            read_csv(EXPLORATION / "balance.csv"),
            read_csv(EXPLORATION / "rates.csv"),
            read_csv(EXPLORATION / "correlation.csv"),
            read_gallery(EXPLORATION / "examples"),
            read_gallery("data/augment"),
        ),
        model_card=read_text(CARD, f"run: git restore {CARD}"),
    )
    with whole_file(METRICS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    print(f"report: {len(page.encode()) / 1e6:.1f} MB; facegender report adds times and commit, and --open shows it")


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table that another stage wrote.

    Raises:
        FacegenderError: it is damaged.
    """
    try:
        return pd.read_csv(path)
    except ValueError as error:
        remedy = restore(path) if path.is_relative_to(METRICS) else sidecar.restore(path)
        raise FacegenderError(path, "damaged: not a CSV table", remedy) from error


def hashes(raw: set[str]) -> dict[str, str]:
    """Look up in dvc.lock the checksums of the raw data, the weights and the models."""
    found = read_lock(without="report")
    return {path: found[path] for path in sorted(found) if path in raw or path.startswith("models/")}


if __name__ == "__main__":
    main()
