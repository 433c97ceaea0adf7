"""The metrics of a test set as the stages write them: NAME.json with the values, NAME.csv with their intervals too."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from facegender.data.text_files import read_json
from facegender.errors import FacegenderError


def read_metrics(path: str | Path, names: Collection[str] = ()) -> dict[str, Any]:
    """Read a file of metrics, which must have these.

    Raises:
        FacegenderError: it is missing or damaged, or a metric is missing.
    """
    return read_json(path, restore(path), names)


def read_results(stem: str | Path, names: Collection[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read the metrics of a test set.

    Args:
        stem: path of both files without their suffix.
        names: metrics that they must have.

    Returns:
        `stem`.json, with `images`, an int, and the table that `facegender.evaluation.bootstrap.metrics_with_interval`
        returns.

    Raises:
        FacegenderError: a file is missing or damaged.
    """
    metrics = read_metrics(f"{stem}.json", [*names, "images"])
    if not isinstance(metrics["images"], int):
        raise FacegenderError(f"{stem}.json", "damaged: images is not a number", restore(f"{stem}.json"))
    path = f"{stem}.csv"
    try:
        table = pd.read_csv(path, index_col="metric")[["value", "low", "high"]].astype(float)
        table.loc[list(names)]
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), restore(path)) from error
    except (ValueError, KeyError) as error:
        raise FacegenderError(path, "damaged: not metrics with the ends of their intervals", restore(path)) from error
    return metrics, table


def restore(path: str | Path) -> str:
    """Say how to get a file back that Git keeps and a stage writes."""
    return f"run: git restore {Path(path).as_posix()}, or: dvc repro"
