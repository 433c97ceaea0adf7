"""The checks of `facegender gate` on this folder: this module reads what they need, and gate.py evaluates it."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from facegender.errors import FacegenderError
from facegender.evaluation.predictions import read_predictions
from facegender.evaluation.results import read_metrics, restore
from facegender.files import md5_of
from facegender.params import Gate, load_params
from facegender.processor import this_processor
from facegender.repository import gate, lock, revisions, status
from facegender.repository.gate import Finding
from facegender.repository.processor import recorded_processor

if TYPE_CHECKING:
    from facegender.network.sidecar import Sidecar

MODEL, TEST_IMAGES = "models/gender.onnx", "data/preprocessed/test"
METRICS, SLICES = "metrics/evaluate.json", "metrics/slices.json"
CHECKS = ("lock", "floors", "baseline", "base", "model", "remote")
LIMITED = ("floors", "baseline", "base", "model")
"""Checks that read `gate` of params.yaml; with a base, the finding `limits` comes with them."""


def run_checks(asked: Sequence[str], base: str | None, without_remote: bool) -> list[Finding]:
    """Run the checks that are asked for, all of them even if one fails.

    Args:
        asked: of CHECKS.
        base: Git revision to compare with, whose limits apply; None for no comparison, with this folder's limits.
        without_remote: skip the check of the remote.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "lock": _lock,
        "floors": lambda: _floors(base),
        "baseline": lambda: _baseline(base),
        "base": lambda: _base(base, asked),
        "model": lambda: _model(base),
        "remote": lambda: _remote(without_remote),
    }
    named = [(name, check) for name, check in checks.items() if name in asked]
    if base is not None and set(asked) & set(LIMITED):
        named.insert(int("lock" in asked), ("limits", lambda: _limits(base)))
    return [gate.run_check(name, check) for name, check in named]


def add_to_job_summary(page: str) -> None:
    """Add a page of Markdown to the summary of the GitHub job if this is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def _limits_that_apply(base: str | None) -> Gate:
    own = load_params().gate
    return own if base is None else revisions.gate_of(base) or own


def _lock() -> Finding:
    # DVC ignores unknown keys while nothing is stale.
    load_params()
    outs = lock.read_lock((lock.OUTS,))
    stale, missing = status.stale_stages(), status.missing_files()
    return gate.check_lock(stale, missing, outs, this_processor(), recorded_processor())


def _limits(base: str) -> Finding:
    own, held = load_params().gate, revisions.gate_of(base)
    metrics = _metrics(METRICS)
    absolute = {"gate.floors": own.floors, "gate.ceilings": own.ceilings}
    unknown = gate.unknown_metrics(absolute, metrics | _metrics(SLICES), (METRICS, SLICES))
    unknown += gate.unknown_metrics({"gate.margins": own.margins}, metrics, (METRICS,))
    return gate.check_limits(own.model_dump(), held.model_dump() if held else None, base, unknown)


def _floors(base: str | None) -> Finding:
    limits = _limits_that_apply(base)
    metrics = _metrics(METRICS) | _metrics(SLICES)
    return gate.check_floors(metrics, limits.floors, limits.ceilings, (METRICS, SLICES))


def _baseline(base: str | None) -> Finding:
    tables = (read_predictions(revisions.BASELINE), read_predictions(revisions.PREDICTIONS))
    return gate.check_baseline(*tables, _limits_that_apply(base).baseline)


def _base(base: str | None, asked: Sequence[str]) -> Finding:
    if base is None and list(asked) == ["base"]:
        raise FacegenderError("--base", "no revision to compare with", "use --base REV")
    if base is None:
        return Finding("base", "skipped", "no base to compare with: --base was not given")
    if not revisions.has_file(base, revisions.PREDICTIONS):
        return Finding(
            "base",
            "skipped",
            f"the dvc.lock of {base} has no {revisions.PREDICTIONS}: there is no model to compare with yet",
        )
    tables = (revisions.predictions_of(base), read_predictions(revisions.PREDICTIONS))
    return gate.check_base(*tables, _limits_that_apply(base).margins)


def _model(base: str | None) -> Finding:
    tolerance = _limits_that_apply(base).tolerance
    if not Path(MODEL).is_file():
        raise FacegenderError(MODEL, "no such file", f"run: dvc pull {MODEL}")
    found, recorded = md5_of(MODEL), lock.read_lock().get(MODEL)
    if found != recorded:
        raise FacegenderError(
            MODEL,
            f"its MD5 sum is {found}, but dvc.lock has {recorded}, so it is a different file",
            "compare the remote's with a copy that is known to be good, and push that; or run: dvc repro --force "
            "calibrate",
        )
    committed, metrics = read_predictions(revisions.PREDICTIONS), _metrics(METRICS)
    fresh, sidecar = _predict()
    return gate.check_model(fresh, committed, metrics, sidecar, tolerance)


def _predict() -> "tuple[pd.DataFrame, Sidecar]":
    """Return the model's predictions for the test images on this machine, and its threshold and temperature."""
    from facegender.data.images import decode_image
    from facegender.data.shards import read_records
    from facegender.evaluation.predictions import predictions_table
    from facegender.network.engines.openvino import OpenVinoEngine
    from facegender.network.onnx_file import load_calibrated, part
    from facegender.network.sidecar import IMAGE, PROBABILITIES

    rows = pd.DataFrame(
        [(record.image_id, record.label) for record in read_records(TEST_IMAGES)], columns=["image_id", "label"]
    )
    if rows.empty:
        raise FacegenderError(TEST_IMAGES, "contains no images", f"run: dvc pull {TEST_IMAGES}")
    network, sidecar = load_calibrated(MODEL)
    images = (decode_image(record.jpeg, record.image_id) for record in read_records(TEST_IMAGES))
    probabilities = OpenVinoEngine(part(network, IMAGE, PROBABILITIES))(images)[:, 1]
    ids, threshold = rows["image_id"].tolist(), sidecar["threshold"]
    return predictions_table(rows, ids, rows["label"], probabilities, threshold, TEST_IMAGES), sidecar


def _remote(without_remote: bool) -> Finding:
    if without_remote:
        return Finding("remote", "skipped", "--no-remote was given: others may not be able to get this revision's data")
    return gate.check_remote(status.not_in_remote())


def _metrics(path: str) -> dict[str, Any]:
    metrics = read_metrics(path)
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in metrics.values()):
        raise FacegenderError(path, "damaged: a metric is not a finite number", restore(path))
    return metrics
