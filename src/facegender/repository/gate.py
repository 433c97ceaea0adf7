"""What a model must satisfy before it is merged: each check returns one finding, and a table shows them all."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from facegender.errors import FacegenderError, FacegenderErrors
from facegender.evaluation.bootstrap import interval, resampled_metrics, units_of
from facegender.evaluation.calibration import is_male, undo_temperature
from facegender.evaluation.comparison import (
    LOWER_IS_BETTER,
    RESAMPLES,
    SEED,
    against_baseline,
    compare_predictions,
)
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.slices import MIN_PER_CLASS
from facegender.repository.processor import RECORD

_LAST_DIGIT = 1.5e-6
"""Metrics are written to 6 decimals; the last one may be rounded differently on another machine."""

_NAMED = 5
"""The most files that a finding names."""

_CHANGE_LIMITS = "limits and waivers (gate in params.yaml) are changed in a pull request of their own"
_FIX_NAME = (
    "fix the name in gate of params.yaml; a name that starts with worst_ needs a slice of the test images with at "
    f"least {MIN_PER_CLASS} of each class"
)


class Finding(NamedTuple):
    """What a check found: `verdict` is pass, fail, waived or skipped; `remedy` says what to do about it."""

    check: str
    verdict: str
    found: str
    remedy: str = ""


def run_check(name: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; a FacegenderError in it is a failure."""
    try:
        return check()
    except FacegenderError as error:
        errors = error.errors if isinstance(error, FacegenderErrors) else (error,)
        # A misspelt key in params.yaml is two mistakes: one key is missing, and one is unknown, which says what to do.
        shown = min(errors, key=lambda mistake: "did you mean" not in mistake.remedy)
        found = ": ".join(part for part in (shown.where, shown.what, ", ".join(shown.details)) if part)
        return Finding(name, "fail", found, shown.remedy)


def check_lock(
    stale: Mapping[str, Sequence[str]], missing: Sequence[str], outs: Collection[str], here: str, recorded: str | None
) -> Finding:
    """Check that dvc.lock matches the code, parameters and data, and that no metric or plot is missing.

    If only outs differ, and the model was trained on another kind of processor than this one, dvc.lock is not stale:
    the same input gave slightly different results here.

    Args:
        stale: by the name of each stage that would run, the files and parameters that differ, as far as they are known.
        missing: outs that Git keeps and that are missing here.
        outs: the files and folders that stages write, according to dvc.lock.
        here: the kind of processor of this machine.
        recorded: the kind of processor that trained the model, according to metrics/processor.json; None if unknown.
    """
    if not stale and not missing:
        return Finding(
            "lock", "pass", "dvc.lock matches code, parameters and data, and metrics and plots are those of dvc.lock"
        )
    found = []
    places = sorted({place for differing in stale.values() for place in differing})
    # If the record itself differs, it is not the one of dvc.lock.
    trained_on = f"unknown, as {RECORD.as_posix()} differs too" if RECORD.as_posix() in places else recorded
    rounded = bool(places) and set(places) <= set(outs) and trained_on not in (None, here)
    if rounded:
        found.append(
            f"computed on another kind of processor ({here}) than the model of dvc.lock ({trained_on}), from the same "
            f"code, parameters and raw data: {first_of(places)}"
        )
    elif stale:
        stages = [f"{stage} ({', '.join(differing)})" if differing else stage for stage, differing in stale.items()]
        found.append(f"dvc.lock is stale at {', '.join(stages)}")
    if missing:
        found.append(f"dvc.lock has files that are missing here: {first_of(missing)}")
    restore = "" if stale else "restore the files from Git, or "
    if rounded:
        restore = "keep the recorded results: git restore metrics && dvc checkout --allow-missing; or replace them, "
    return Finding("lock", "fail", "; ".join(found), f"{restore}run: dvc repro, then commit dvc.lock and metrics/")


def unknown_metrics(limits: Mapping[str, Iterable[str]], metrics: Iterable[str], sources: Sequence[str]) -> list[str]:
    """Describe each limit on a metric that does not exist.

    Args:
        limits: names of metrics, by the key of params.yaml that limits them.
        metrics: the names that exist.
        sources: files that the metrics come from.
    """
    known = list(metrics)
    unknown = [(key, name) for key, names in limits.items() for name in names if name not in known]
    near = [difflib.get_close_matches(name, known, n=1, cutoff=0.75) for _, name in unknown]
    return [
        f"{key}.{name}: no such metric in {' or '.join(sources)}" + (f" (did you mean {match[0]}?)" if match else "")
        for (key, name), match in zip(unknown, near, strict=True)
    ]


def check_limits(
    own: Mapping[str, Any], base: Mapping[str, Any] | None, revision: str, unknown: Sequence[str]
) -> Finding:
    """Show what changed in `gate` of params.yaml, and check that its limits are on metrics that exist.

    A pull request is checked against the base's limits, so that it cannot lower the bar for its own model.

    Args:
        own: the group `gate` of this folder's params.yaml.
        base: that of the base; None if the base has no valid one.
        revision: the base.
        unknown: limits of this folder on metrics that do not exist, as `unknown_metrics` describes them.
    """
    here, there = (_flat(limits, "gate") for limits in (own, base or {}))
    changed = [
        f"{key}: {there.get(key, 'none')} at {revision}, {here.get(key, 'none')} here"
        for key in sorted(here | there)
        if here.get(key) != there.get(key)
    ]
    if base is None:
        found = f"params.yaml of {revision} has no valid gate, so the limits of this folder apply"
        remedy = "review them"
    elif changed:
        found, remedy = f"{', '.join(changed)}; those of {revision} apply", _CHANGE_LIMITS
    else:
        found, remedy = f"the same as at {revision}", ""
    if unknown:
        return Finding("limits", "fail", f"{', '.join(unknown)}; {found}", _FIX_NAME)
    return Finding("limits", "pass", found, remedy)


def _flat(content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """List nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{place}.{key}") if isinstance(value, Mapping) else {f"{place}.{key}": value}
    return flat


def check_floors(
    metrics: Mapping[str, Any], floors: Mapping[str, float], ceilings: Mapping[str, float], sources: Sequence[str]
) -> Finding:
    """Check metrics against their lowest and their highest values.

    Args:
        metrics: by name.
        floors: by name of a metric, the lowest value that passes.
        ceilings: by name of a metric, the highest value that passes.
        sources: files that the metrics come from.
    """
    unknown = unknown_metrics({"gate.floors": floors, "gate.ceilings": ceilings}, metrics, sources)
    failed, passed = [], []
    for limits, word in ((floors, "below"), (ceilings, "above")):
        for name, limit in limits.items():
            if name not in metrics:
                continue
            if metrics[name] >= limit if word == "below" else metrics[name] <= limit:
                passed.append(f"{name} {metrics[name]:.4f}")
            else:
                failed.append(f"{name} {metrics[name]:.4f} is {word} {limit:g}")
    if not failed + unknown:
        return Finding("floors", "pass", ", ".join(passed) or "none are set")
    remedies = [f"improve the data or the training; {_CHANGE_LIMITS}"] if failed else []
    remedies += [_FIX_NAME] if unknown else []
    return Finding("floors", "fail", ", ".join(failed + unknown), "; ".join(remedies))


def check_baseline(baseline: pd.DataFrame, here: pd.DataFrame, rule: Literal["required", "waived"]) -> Finding:
    """Check that the model is more accurate than its baseline: the whole 95% interval of the difference is above 0.

    Args:
        baseline: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        here: the same of the model, for the same images.
        rule: waived: the model need not be more accurate.

    Raises:
        FacegenderError: the images or their labels differ.
    """
    standing, found = against_baseline(compare_predictions(baseline, here))
    if standing == "better":
        return Finding("baseline", "pass", found)
    if rule == "waived":
        return Finding("baseline", "waived", f"{found} It need not be better: gate.baseline is waived")
    return Finding("baseline", "fail", found, f"improve the data or the training; {_CHANGE_LIMITS}")


def check_base(
    base: pd.DataFrame,
    here: pd.DataFrame,
    margins: Mapping[str, float],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Finding:
    """Compare predictions with those of the base revision.

    A metric fails when it is worse than the base's by more than its margin and the whole 95% interval of the difference
    is on the worse side of 0, so that the drop is statistically significant.

    Args:
        base: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        here: the same of the model under review. The models are compared on the images that both have, with the same
            label, if there are at least 30 of each class; otherwise each on its own images.
        margins: by name of a metric.
        resamples: samples of the bootstrap.
        seed: 0 or more.

    Raises:
        FacegenderError: a margin is on a metric that does not exist.
    """
    metrics, images = _differences(base, here, resamples, seed)
    unknown = [name for name in margins if name not in metrics]
    if unknown:
        raise FacegenderError(
            f"gate.margins.{unknown[0]}", "no such metric of predictions", f"known metrics are {', '.join(metrics)}"
        )
    worse, unsure, passed = [], [], []
    for name, margin in margins.items():
        difference, low, high = metrics[name]
        shown = f"{name} {difference:+.4f} ({low:+.4f} to {high:+.4f})"
        drop, significant = (difference, low > 0) if name in LOWER_IS_BETTER else (-difference, high < 0)
        if not drop > margin:
            passed.append(shown)
        elif significant:
            worse.append(f"{shown}, worse by more than {margin:g}")
        else:
            unsure.append(f"{shown}, worse by more than {margin:g} but not statistically significant")
    found = f"{'; '.join(worse + unsure + passed) or 'no margins are set'}. On {images}"
    if worse:
        return Finding("base", "fail", found, f"improve the model; {_CHANGE_LIMITS}")
    return Finding("base", "pass", found)


def _differences(
    base: pd.DataFrame, here: pd.DataFrame, resamples: int, seed: int
) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Return each metric's difference, here minus base, with the ends of its interval, and a phrase for the images."""
    sizes = f"{len(base):,} of the base and {len(here):,} here"
    shared = shared_images(base, here)
    if shared is not None:
        compared = compare_predictions(*shared, resamples, seed)
        paired = {
            name: (metric["difference"], metric["low"], metric["high"]) for name, metric in compared["metrics"].items()
        }
        if compared["images"] == len(base) == len(here):
            return paired, f"the same {len(here):,} images"
        return paired, f"the {compared['images']:,} images that are in both test sets, {sizes}"
    point = [metrics_of(table) for table in (base, here)]
    # With seeds of their own, since the images are not paired.
    resampled = [
        resampled_metrics(table, units_of(table), resamples, seed + number) for number, table in enumerate((base, here))
    ]
    differences = {}
    for name, values in resampled[0].items():
        difference = point[1][name] - point[0][name]
        differences[name] = (difference, *interval("difference", difference, resampled[1][name] - values))
    return differences, f"different images, {sizes}, so the comparison is not paired"


def shared_images(base: pd.DataFrame, here: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the rows of both tables for the images that both have, with the same label.

    Returns:
        The two tables; None if the test sets differ and share fewer than 30 images of a class.
    """
    label_of = base.set_index("image_id")["label"]
    shared = here[here["image_id"].map(label_of) == here["label"]]
    all_shared = len(shared) == len(base) == len(here)
    if not all_shared and min((shared["label"] == label).sum() for label in (0, 1)) < MIN_PER_CLASS:
        return None
    return base[base["image_id"].isin(shared["image_id"])], shared


def check_model(
    fresh: pd.DataFrame,
    committed: pd.DataFrame,
    metrics: Mapping[str, float],
    sidecar: Mapping[str, Any],
    tolerance: float,
    slices: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> Finding:
    """Check that committed predictions and metrics are those of the model.

    Args:
        fresh: `image_id`, `label`, `probability`, `predicted`, as the model predicts here for the test images.
        committed: the same from data/predictions.csv.
        metrics: metrics/evaluate.json.
        sidecar: the model's threshold, and the temperature by which its logits were divided.
        tolerance: of P(Male) at temperature 1, at which the stage evaluate also compares predictions with and without
            float16 features. So a model that calibration made more confident does not differ more.
        slices: the summary of the slices of the committed predictions, computed here, and metrics/slices.json; None if
            the attributes are not here.
    """
    joined = committed.merge(fresh, on=["image_id", "label"], suffixes=("", "_here"))
    if not len(joined) == len(committed) == len(fresh):
        return Finding(
            "model",
            "fail",
            f"data/predictions.csv and data/preprocessed/test share {len(joined):,} images with the same label, of "
            f"{len(committed):,} and {len(fresh):,}",
            "run dvc repro --single-item --force evaluate and dvc repro, then commit and push",
        )
    wrong = []
    here, there = (
        undo_temperature(joined[name].to_numpy(), sidecar["temperature"])
        for name in ("probability_here", "probability")
    )
    differences = np.abs(here - there)
    largest = int(differences.argmax())
    if not differences[largest] <= tolerance:
        row = joined.iloc[largest]
        wrong.append(
            f"{int((differences > tolerance).sum()):,} of {len(joined):,} images have a different P(Male) here and in "
            f"data/predictions.csv ({row['image_id']}: {row['probability_here']:.4f}, not {row['probability']:.4f})"
        )
    # Metrics are computed from the written predictions, so another machine gives the same ones.
    of_predictions = metrics_of(committed)
    edited = [
        f"{name} is {of_predictions[name]:g}, not {metrics.get(name)}"
        for name in of_predictions
        if not abs(metrics.get(name, np.inf) - of_predictions[name]) <= _LAST_DIGIT
    ] + [f"{name} is not a metric of predictions" for name in sorted(set(metrics) - set(of_predictions))]
    if edited:
        wrong.append(f"metrics/evaluate.json does not follow from data/predictions.csv: {', '.join(edited)}")
    computed, written = slices or ({}, {})
    edited = [
        f"{name} is {computed.get(name)}, not {written.get(name)}"
        for name in sorted(computed.keys() | written.keys())
        if not abs(written.get(name, np.inf) - computed.get(name, np.inf)) <= _LAST_DIGIT
    ]
    if edited:
        wrong.append(f"metrics/slices.json does not follow from data/predictions.csv: {', '.join(edited)}")
    called = committed["predicted"] != is_male(committed["probability"], sidecar["threshold"])
    if called.any():
        wrong.append(f"{int(called.sum()):,} images of data/predictions.csv contradict the threshold")
    accuracy = metrics_of(fresh)["accuracy"]
    found = f"accuracy {accuracy} here, {metrics.get('accuracy')} committed; P(Male) differs by at most "
    found += f"{differences[largest]:.4f}"
    if slices is None:
        found += "; metrics/slices.json was not computed again, as the attributes are not here"
    if wrong:
        return Finding(
            "model",
            "fail",
            f"{'; '.join(wrong)}. {found}",
            "run dvc repro --single-item --force calibrate and dvc repro, commit dvc.lock and metrics/, and dvc push; "
            "trust neither the model nor its metrics until then",
        )
    return Finding("model", "pass", found)


def check_remote(missing: Sequence[str]) -> Finding:
    """Check that others can get this revision's data.

    Args:
        missing: outs that are not in the remote.
    """
    if not missing:
        return Finding("remote", "pass", "all data of this revision is in the remote")
    return Finding("remote", "fail", f"not in the remote: {first_of(missing)}", "run: dvc push")


def first_of(paths: Sequence[str]) -> str:
    """Join the first names of many, and say how many more there are."""
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return f"{', '.join(paths[:_NAMED])}{more}"


def findings_markdown(findings: Sequence[Finding], unasked: Sequence[str]) -> str:
    """Format findings as a Markdown table, followed by the names of the checks that were not asked for."""
    lines = ["| Check | Verdict | Found | What to do |", "| --- | --- | --- | --- |"]
    for finding in findings:
        cells = (cell.replace("\n", " ").replace("|", "\\|") for cell in finding[2:])
        lines.append(f"| {finding.check} | {finding.verdict} | {' | '.join(cells)} |")
    if unasked:
        lines += ["", f"Not checked: {', '.join(unasked)}."]
    return "\n".join(lines) + "\n"
