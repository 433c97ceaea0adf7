"""The checks of `facegender gate` on this folder: what each needs is read here, and gate.py judges it."""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from facegender.errors import FacegenderError
from facegender.network.quiet import load_tensorflow
from facegender.params import load_params
from facegender.repository import gate, project
from facegender.repository.gate import Finding

MODEL, TEST_IMAGES = "models/gender.keras", "data/preprocessed/test"
FIGURES, SLICES = "metrics/evaluate.json", "metrics/slices.json"
CHECKS = ("lock", "floors", "base", "model", "remote")


def run_checks(asked: list[str], base: str | None, without_remote: bool) -> list[Finding]:
    """Make the checks that are asked for, all of them where one fails.

    Args:
        asked: of CHECKS.
        base: Git revision to compare with; None to compare with none.
        without_remote: leave out the check of the remote.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "lock": _lock,
        "floors": _floors,
        "base": lambda: _base(base, asked),
        "model": _model,
        "remote": lambda: _remote(without_remote),
    }
    return [gate.made(name, check) for name, check in checks.items() if name in asked]


def show(page: str) -> None:
    """Print a page of Markdown, and add it to the summary of a GitHub job where this is one."""
    print(page, end="")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def _lock() -> Finding:
    # DVC alone tells of no surplus key while nothing is to run.
    load_params()
    return gate.check_lock(project.stale_stages())


def _floors() -> Finding:
    limits = load_params().gate
    figures = _figures(FIGURES) | _figures(SLICES)
    return gate.check_floors(figures, limits.floors, limits.ceilings, (FIGURES, SLICES))


def _base(base: str | None, asked: Sequence[str]) -> Finding:
    if base is None and list(asked) == ["base"]:
        raise FacegenderError("no base to compare with; give --base REV")
    if base is None:
        return Finding("base", "skipped", "no base to compare with: --base was not given")
    params = load_params()
    path = project.PREDICTIONS.as_posix()
    if not project.has_out(base, path):
        return Finding(
            "base", "skipped", f"the dvc.lock of {base} has no {path}: there is no model to compare with yet"
        )
    tables = (project.predictions_of(base), project.predictions_here())
    return gate.check_base(*tables, params.gate.margins, params.evaluate.resamples, params.evaluate.seed)


def _model() -> Finding:
    params = load_params()
    found, recorded = project.md5_of(MODEL), project.recorded_md5(MODEL)
    if found != recorded:
        raise FacegenderError(
            f"{MODEL} has the MD5 sum {found}, and dvc.lock says {recorded}: it is another file; compare the remote's "
            "with one that is known to be good, and push that; or run: dvc repro --force calibrate"
        )
    committed, figures = project.predictions_here(), _figures(FIGURES)
    fresh, judgement = _predict()
    return gate.check_model(fresh, committed, figures, judgement, params.gate.tolerance)


def _predict() -> tuple[pd.DataFrame, dict[str, float]]:
    """Give what the model says here of the test images, and its threshold and temperature."""
    load_tensorflow()
    import tensorflow as tf

    from facegender.data.images import decode_image
    from facegender.data.shards import read_records
    from facegender.evaluation.predictions import predictions_table
    from facegender.network.model_file import load_calibrated
    from facegender.network.prediction import predict_images

    names = [record.image_id for record in read_records(TEST_IMAGES)]
    labels = [record.label for record in read_records(TEST_IMAGES)]
    if not names:
        raise FacegenderError(f"{TEST_IMAGES}: holds no images; run: dvc pull {TEST_IMAGES}")
    # As the stage evaluate does: GPUs round float32 to TensorFloat-32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    model, judgement = load_calibrated(MODEL)
    images = (decode_image(record.jpeg, record.image_id) for record in read_records(TEST_IMAGES))
    rows, probabilities = pd.DataFrame({"image_id": names, "label": labels}), predict_images(model, images)
    return predictions_table(rows, names, labels, probabilities, judgement["threshold"], TEST_IMAGES), judgement


def _remote(without_remote: bool) -> Finding:
    if without_remote:
        return Finding("remote", "skipped", "--no-remote was given: others may not be able to get this revision's data")
    return gate.check_remote(project.not_in_remote())


def _figures(path: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in content.values()):
            raise ValueError("a figure is no finite number")
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; run: git restore {path}, or: dvc repro") from error
    except (ValueError, AttributeError) as error:
        raise FacegenderError(f"{path}: no valid JSON of figures ({error}); run: dvc repro") from error
    return dict(content)
