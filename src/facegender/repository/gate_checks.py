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
from facegender.imports import PACKAGE, PLUMBING, imported_files
from facegender.params import Gate, load_params
from facegender.processor import this_processor
from facegender.repository import changes, gate, lock, revisions, status
from facegender.repository.gate import Finding
from facegender.repository.processor import RECORD, recorded_processor

if TYPE_CHECKING:
    from facegender.network.sidecar import Sidecar

MODEL, TEST_IMAGES = "models/gender.onnx", "data/preprocessed/test"
METRICS, SLICES = "metrics/evaluate.json", "metrics/slices.json"
JUDGED = (MODEL, TEST_IMAGES, revisions.PREDICTIONS, revisions.BASELINE, METRICS, SLICES)
"""The results that the checks judge."""

_MADE_BY = {MODEL: "calibrate", revisions.PREDICTIONS: "evaluate", revisions.BASELINE: "baseline"}

_NOT_COMPUTED = (TEST_IMAGES, revisions.BASELINE)
"""Of JUDGED, what the gate does not compute again."""

CHECKS = ("lock", "pipeline", "outs", "floors", "baseline", "base", "model", "remote", "review")
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
        "pipeline": lambda: _pipeline(base),
        "outs": lambda: _outs(base),
        "floors": lambda: _floors(base),
        "baseline": lambda: _baseline(base),
        "base": lambda: _base(base, asked),
        "model": lambda: _model(base),
        "remote": lambda: _remote(without_remote),
        "review": lambda: _review(base),
    }
    named = [(name, check) for name, check in checks.items() if name in asked]
    if base is not None and set(asked) & set(LIMITED):
        first = next(number for number, (name, _) in enumerate(named) if name in LIMITED)
        named.insert(first, ("limits", lambda: _limits(base)))
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


def _pipeline(base: str | None) -> Finding:
    try:
        stages = changes.read_stages(Path("dvc.yaml").read_text(encoding="utf-8"), "dvc.yaml")
    except (OSError, UnicodeDecodeError) as error:
        raise FacegenderError("dvc.yaml", "missing or not valid", "run: git restore dvc.yaml") from error
    mistakes = list(changes.pipeline_mistakes(stages, _imported, JUDGED))
    if base is None:
        return changes.check_pipeline(mistakes, [], [], [], "")
    fork = revisions.fork_point(base)
    before = changes.read_stages(revisions.file_at(fork, "dvc.yaml") or "stages: {}", f"{base}: dvc.yaml")
    weakened = list(changes.weakened_stages(before, stages))
    return changes.check_pipeline(mistakes, weakened, revisions.changed_files(fork), _results(fork), base)


def _imported(script: str) -> set[str]:
    """Return the files of this project that a script imports, relative to this folder, and the script."""
    if not Path(script).is_file():
        raise FacegenderError("dvc.yaml", f"{script} does not exist", "fix the stage's cmd")
    try:
        return set(map(_relative, imported_files([Path(script)])))
    except (SyntaxError, ValueError) as error:
        what = f"it or a module that it imports cannot be read as this project's code ({error})"
        raise FacegenderError(script, what, "fix that, then run: dvc repro") from error


def _relative(path: Path) -> str:
    package = PACKAGE.parent
    return f"src/{path.relative_to(package).as_posix()}" if package in path.parents else os.path.relpath(path)


def _results(fork: str) -> list[str]:
    """List what differs of JUDGED between a revision and this folder, according to dvc.lock; all if it has none."""
    before = lock.locked_files(revisions.file_at(fork, "dvc.lock") or "", f"{fork}: dvc.lock", (lock.OUTS,))
    now = lock.read_lock((lock.OUTS,))
    return [path for path in JUDGED if before.get(path) != now.get(path)]


def _without_base(check: str) -> Finding:
    return Finding(check, "skipped", "no base to compare with: --base was not given")


def _outs(base: str | None) -> Finding:
    if base is None:
        return _without_base("outs")
    fork = revisions.fork_point(base)
    before = lock.locked_stages(revisions.file_at(fork, "dvc.lock") or "", f"{base}: dvc.lock")
    here = lock.read_stages()
    reasons = sorted({RECORD.as_posix(), "requirements.lock"} & set(revisions.changed_files(fork)))
    return changes.check_outs(list(changes.other_outs(before, here)), reasons, base)


def _review(base: str | None) -> Finding:
    if base is None:
        return _without_base("review")
    fork = revisions.fork_point(base)
    changed = revisions.changed_files(fork)
    tests = [path for path in changed if path.startswith("tests/") and path.endswith(".py")]
    before = {path: text for path in tests if (text := revisions.file_at(fork, path)) is not None}
    here = {path: Path(path).read_text(encoding="utf-8", errors="replace") for path in tests if Path(path).is_file()}
    removed, results = changes.removed_tests(before, here), _results(fork)
    groups = changes.unjudged(changed, set(map(_relative, _gate_code())), set(map(_relative, PLUMBING)))
    if not_computed := [path for path in _NOT_COMPUTED if path in results]:
        groups["results that no check computes again"] = not_computed
    return changes.check_review(groups, removed, results, base)


def _gate_code() -> set[Path]:
    # imported_files leaves out what cannot change the result of a stage.
    return imported_files([Path(__file__)]) | {
        PACKAGE / name for name in ("cli.py", "errors.py", "imports.py", "params.py")
    }


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
    tables = (_recorded_predictions(revisions.BASELINE), _recorded_predictions(revisions.PREDICTIONS))
    return gate.check_baseline(*tables, _limits_that_apply(base).baseline)


def _base(base: str | None, asked: Sequence[str]) -> Finding:
    if base is None and list(asked) == ["base"]:
        raise FacegenderError("--base", "no revision to compare with", "use --base REV")
    if base is None:
        return _without_base("base")
    if not revisions.has_file(base, revisions.PREDICTIONS):
        return Finding(
            "base",
            "skipped",
            f"the dvc.lock of {base} has no {revisions.PREDICTIONS}: there is no model to compare with yet",
        )
    tables = (revisions.predictions_of(base), _recorded_predictions(revisions.PREDICTIONS))
    return gate.check_base(*tables, _limits_that_apply(base).margins)


def _model(base: str | None) -> Finding:
    tolerance = _limits_that_apply(base).tolerance
    if not Path(MODEL).is_file():
        raise FacegenderError(MODEL, "no such file", f"run: dvc pull {MODEL}")
    _check_recorded(MODEL)
    committed, metrics = _recorded_predictions(revisions.PREDICTIONS), _metrics(METRICS)
    fresh, sidecar = _predict()
    return gate.check_model(fresh, committed, metrics, sidecar, tolerance, _slices(committed))


def _recorded_predictions(path: str) -> pd.DataFrame:
    predictions = read_predictions(path)
    _check_recorded(path)
    return predictions


def _check_recorded(path: str) -> None:
    """Check that a file is the one of dvc.lock: DVC does not, for what a remote sends."""
    found, recorded = md5_of(path), lock.read_lock().get(path)
    if found != recorded:
        raise FacegenderError(
            path,
            f"its MD5 sum is {found}, but dvc.lock has {recorded}, so it is a different file",
            "compare the remote's with a copy that is known to be good, and push that; or run: dvc repro "
            f"--single-item --force {_MADE_BY[path]}",
        )


def _slices(predictions: pd.DataFrame) -> tuple[dict[str, float], dict[str, Any]] | None:
    """Return the summary of the predictions' slices, and SLICES; None if the attributes are not here."""
    from facegender.data.lists import read_attributes
    from facegender.evaluation.slices import slice_summary, slice_table

    attributes = load_params().dataset.attributes
    if not Path(attributes).is_file():
        return None
    return slice_summary(slice_table(predictions, read_attributes(attributes))), _metrics(SLICES)


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
