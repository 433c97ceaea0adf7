"""What a model must be before it is merged: each check gives one finding, and a table shows them all."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from facegender.errors import FacegenderError
from facegender.evaluation.bootstrap import interval, resampled_metrics, units_of
from facegender.evaluation.calibration import undo_temperature
from facegender.evaluation.comparison import LOWER_IS_BETTER, compare_predictions
from facegender.evaluation.metrics import metrics_of
from facegender.evaluation.slices import MIN_PER_CLASS

_LAST_DIGIT = 1.5e-6
"""Figures are written to 6 decimals; the last one may be rounded otherwise on another machine."""

_NAMED = 5
"""Files at most in a finding."""


class Finding(NamedTuple):
    """What a check found: `verdict` is pass, fail or skipped; `remedy` says what to do about a failure."""

    check: str
    verdict: str
    found: str
    remedy: str = ""


def made(name: str, check: Callable[[], Finding]) -> Finding:
    """Make a check; a FacegenderError in it is a failure, whose message says after the first semicolon what to do."""
    try:
        return check()
    except FacegenderError as error:
        # A misspelt key in params.yaml is two mistakes, one of which says what was meant.
        mistakes = [line.removeprefix("error: ") for line in str(error).splitlines()]
        found, _, remedy = min(mistakes, key=lambda mistake: "did you mean" not in mistake).partition("; ")
        return Finding(name, "fail", found, remedy)


def check_lock(stale: Mapping[str, Sequence[str]]) -> Finding:
    """Judge whether dvc.lock answers to code, parameters and data.

    Args:
        stale: by the name of each stage that is to run, the files and parameters that differ, as far as they are known.
    """
    if not stale:
        return Finding("lock", "pass", "dvc.lock answers to code, parameters and data")
    stages = [f"{stage} ({', '.join(differing)})" if differing else stage for stage, differing in stale.items()]
    return Finding(
        "lock", "fail", f"dvc.lock is stale at {', '.join(stages)}", "run: dvc repro, then commit dvc.lock and metrics/"
    )


def check_floors(
    figures: Mapping[str, Any], floors: Mapping[str, float], ceilings: Mapping[str, float], known: Iterable[str]
) -> Finding:
    """Judge figures by what they must be at least, and at most whatever their sign.

    Args:
        figures: by name.
        floors: by name of a figure, the least that it may be.
        ceilings: by name of a figure, the most that its absolute value may be.
        known: where figures come from, for the message about one that is not there.
    """
    low, unknown, held = [], [], []
    for limits, word in ((floors, "below"), (ceilings, "above")):
        for name, limit in limits.items():
            if name not in figures:
                near = difflib.get_close_matches(name, figures, n=1)
                unknown.append(f"{name} is not in {' or '.join(known)}" + (f" (is {near[0]} meant?)" if near else ""))
            elif not (figures[name] >= limit if word == "below" else abs(figures[name]) <= limit):
                low.append(f"{name} {figures[name]:.4f} is {word} {limit:g}")
            else:
                held.append(f"{name} {figures[name]:.4f}")
    if not low + unknown:
        return Finding("floors", "pass", ", ".join(held) or "none are set")
    remedies = ["better data or training is needed, or other limits in gate of params.yaml"] if low else []
    if unknown:
        remedies.append(
            f"mend the name in gate of params.yaml; what starts with worst_ needs a part of the test images with at "
            f"least {MIN_PER_CLASS} of each class"
        )
    return Finding("floors", "fail", ", ".join(low + unknown), "; ".join(remedies))


def check_base(
    base: pd.DataFrame, here: pd.DataFrame, margins: Mapping[str, float], resamples: int, seed: int
) -> Finding:
    """Judge predictions by those of the base revision.

    A figure fails when it is worse than the base's by more than its margin and the whole 95% interval of the difference
    is on the worse side of 0, so that chance does not explain the fall.

    Args:
        base: columns `image_id`, `label`, `probability`, `predicted` and perhaps `identity`.
        here: the same of the model that is to be judged. The models are compared on the images that both have, with
            the same label, if there are at least 30 of each class, else each on its own.
        margins: by name of a figure.
        resamples: samples of the bootstrap.
        seed: from 0.
    """
    figures, images = _differences(base, here, resamples, seed)
    unknown = sorted(set(margins) - set(figures))
    if unknown:
        raise FacegenderError(
            f"gate.margins.{unknown[0]}: no such figure of predictions; known in params.yaml: {', '.join(figures)}"
        )
    fallen, unsure, held = [], [], []
    for name, margin in margins.items():
        difference, low, high = figures[name]
        shown = f"{name} {difference:+.4f} ({low:+.4f} to {high:+.4f})"
        worse, worse_for_sure = (difference, low > 0) if name in LOWER_IS_BETTER else (-difference, high < 0)
        if not worse > margin:
            held.append(shown)
        elif worse_for_sure:
            fallen.append(f"{shown}, worse by more than {margin:g}")
        else:
            unsure.append(f"{shown}, worse by more than {margin:g}, which chance explains")
    found = f"{'; '.join(fallen + unsure + held) or 'no margins are set'}. On {images}"
    if fallen:
        return Finding("base", "fail", found, "mend the model; if the fall is meant, raise gate.margins in params.yaml")
    return Finding("base", "pass", found)


def _differences(
    base: pd.DataFrame, here: pd.DataFrame, resamples: int, seed: int
) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Give each figure's difference, here less base, with the ends of its interval; and say on which images."""
    label_of = base.set_index("image_id")["label"]
    shared = here[here["image_id"].map(label_of) == here["label"]]
    all_shared = len(shared) == len(base) == len(here)
    sizes = f"{len(base):,} of the base and {len(here):,} here"
    if all_shared or min((shared["label"] == label).sum() for label in (0, 1)) >= MIN_PER_CLASS:
        of_base = base[base["image_id"].isin(shared["image_id"])]
        figures = compare_predictions(of_base, shared, resamples, seed)["metrics"]
        paired = {name: (figure["difference"], figure["low"], figure["high"]) for name, figure in figures.items()}
        images = f"the {len(shared):,} images that are in both test sets"
        return paired, f"the same {len(here):,} images" if all_shared else f"{images}, {sizes}"
    point = [metrics_of(table) for table in (base, here)]
    # Drawn apart, as nothing pairs them.
    resampled = [
        resampled_metrics(table, units_of(table), resamples, seed + number) for number, table in enumerate((base, here))
    ]
    differences = {}
    for name, values in resampled[0].items():
        difference = point[1][name] - point[0][name]
        differences[name] = (difference, *interval("difference", difference, resampled[1][name] - values))
    return differences, f"other images each, {sizes}, so that nothing is paired"


def check_model(
    fresh: pd.DataFrame,
    committed: pd.DataFrame,
    figures: Mapping[str, float],
    judgement: Mapping[str, float],
    tolerance: float,
) -> Finding:
    """Judge committed predictions and figures by what the model says here.

    Args:
        fresh: `image_id`, `label`, `probability`, `predicted`, as made here of the test images.
        committed: the same of data/predictions.csv.
        figures: metrics/evaluate.json.
        judgement: the model's threshold, and the temperature by which its logits were divided.
        tolerance: of P(Male) at the temperature 1, as the stage evaluate compares the ways with and without float16
            features: a model that was made surer of itself does not differ more.
    """
    joined = committed.merge(fresh, on=["image_id", "label"], suffixes=("", "_here"))
    if not len(joined) == len(committed) == len(fresh):
        return Finding(
            "model",
            "fail",
            f"data/predictions.csv and data/preprocessed/test have {len(joined):,} images with the same label in "
            f"common, of {len(committed):,} and {len(fresh):,}",
            "run: dvc repro --force evaluate, then commit and push",
        )
    wrong = []
    here, there = (
        undo_temperature(joined[name].to_numpy(), judgement["temperature"])
        for name in ("probability_here", "probability")
    )
    differences = np.abs(here - there)
    largest = int(differences.argmax())
    if not differences[largest] <= tolerance:
        row = joined.iloc[largest]
        wrong.append(
            f"{int((differences > tolerance).sum()):,} of {len(joined):,} images get another P(Male) here than in "
            f"data/predictions.csv ({row['image_id']}: {row['probability_here']:.4f}, not {row['probability']:.4f})"
        )
    # A figure is a function of the written predictions, which leaves no room for another machine.
    of_predictions = metrics_of(committed)
    edited = [
        f"{name} is {of_predictions[name]:g}, not {figures.get(name)}"
        for name in of_predictions
        if not abs(figures.get(name, np.inf) - of_predictions[name]) <= _LAST_DIGIT
    ] + [f"{name} is no figure of predictions" for name in sorted(set(figures) - set(of_predictions))]
    if edited:
        wrong.append(f"metrics/evaluate.json is not of data/predictions.csv: {', '.join(edited)}")
    called = committed["predicted"] != (committed["probability"] >= judgement["threshold"])
    if called.any():
        wrong.append(f"{int(called.sum()):,} images of data/predictions.csv are not called as the threshold says")
    accuracy = metrics_of(fresh)["accuracy"]
    found = f"accuracy {accuracy} here, {figures.get('accuracy')} committed; P(Male) differs by at most "
    found += f"{differences[largest]:.4f}"
    if wrong:
        return Finding(
            "model",
            "fail",
            f"{'; '.join(wrong)}. {found}",
            "run: dvc repro --force calibrate, commit dvc.lock and metrics/, and dvc push; trust neither model nor "
            "figures until then",
        )
    return Finding("model", "pass", found)


def check_remote(missing: Sequence[str]) -> Finding:
    """Judge whether others can get this revision's data.

    Args:
        missing: outs that are not in the remote.
    """
    if not missing:
        return Finding("remote", "pass", "all data of this revision is in the remote")
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    return Finding("remote", "fail", f"not in the remote: {', '.join(missing[:_NAMED])}{more}", "run: dvc push")


def findings_markdown(findings: Sequence[Finding], unasked: Sequence[str]) -> str:
    """Write findings as a Markdown table, below which are the names of the checks that were not asked for."""
    lines = ["| Check | Verdict | Found | What to do |", "| --- | --- | --- | --- |"]
    for finding in findings:
        cells = (cell.replace("\n", " ").replace("|", "\\|") for cell in finding[2:])
        lines.append(f"| {finding.check} | {finding.verdict} | {' | '.join(cells)} |")
    if unasked:
        lines += ["", f"Not checked: {', '.join(unasked)}."]
    return "\n".join(lines) + "\n"
