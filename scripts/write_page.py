"""Write a page for the reviewer of a pull request: how the model compares, what the gate found, and what changed.

Usage: python scripts/write_page.py BASE GATE.json [NOTE] > PAGE.md

BASE is the Git revision to compare with, GATE.json what `facegender gate --base BASE --json` printed, and NOTE a line
to show first. scripts/validate_model.sh runs this, and scripts/post_comment.py posts the page. A comment cannot contain
a picture on GitHub or GitLab, but they draw charts in Mermaid, and show pictures that are in Git by their address.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facegender.data.celeba import CLASSES
from facegender.errors import FacegenderError, OneLineParser, existing_file, one_line_errors
from facegender.evaluation.bootstrap import CONFIDENCE
from facegender.evaluation.comparison import (
    CAUTION,
    against_baseline,
    compare_predictions,
    difference_in_accuracy,
    mcnemar_text,
    metrics_table,
)
from facegender.evaluation.curves import curve_tables
from facegender.evaluation.results import read_results
from facegender.evaluation.rounding import decimals, number
from facegender.repository.commands import dvc, git, output_of
from facegender.repository.experiments import flat
from facegender.repository.gate import Finding, findings_markdown, shared_images
from facegender.repository.lock import DEPENDENCIES, OUTS, locked_files, read_lock
from facegender.repository.revisions import (
    BASELINE,
    PREDICTIONS,
    current_predictions,
    file_at,
    has_file,
    predictions_of,
)

METRICS = ("accuracy", "roc_auc", "recall", "recall_no_male", "log_loss", "expected_calibration_error")
"""The metrics that are not folded."""

VERDICTS = ("pass", "fail", "waived", "skipped")

SLICES = "metrics/plots/slices.png"

_COLOURS = {"chance": "#d0d7de", "base": "#8c959f", "this": "#0969da"}
_GRID = np.arange(101)
"""Percent. Mermaid puts the points of a line at equal distances; its versions do that alike if the distance is 1."""

_CODE = ("src/", "stages/", "docs/")
"""Dependencies that the forge itself shows the changes of."""


@one_line_errors()
def main(base: str, gate_file: Path, note: str = "") -> None:
    """Print the page."""
    tables, errors = read_tables(base)
    findings = read_findings(gate_file)
    names = (f"`{base}`", f"`{commit_of(os.environ)[:12]}`")
    summary, all_metrics = (not_compared(errors), "") if errors else model_parts(tables, *names)
    if not all_metrics:
        # Without a base, this revision's metrics are shown alone.
        summary = joined([summary, or_error("The metrics are unknown", lambda: alone_part(METRICS))])
        all_metrics = or_error("The metrics are unknown", alone_part)
    parts = [
        note,
        summary,
        or_error("Not compared with its baseline", baseline_part),
        gate_part(findings),
        or_error("What changed is unknown", lambda: changes_part(parameter_changes(base) + data_changes(base))),
        pictures_part(tables),
    ]
    folded = {
        "Slices of the test images": slices_part(os.environ),
        "All metrics of the test images": all_metrics,
        "All checks of the gate": findings_markdown(findings, []),
        "All metrics of the pipeline": or_error("The metrics are unknown", lambda: pipeline_part(base)),
    }
    print(joined([*parts, *(folded_part(title, text) for title, text in folded.items()), job_line(os.environ)]))


def read_tables(base: str) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the predictions of the base, if it has a model, and of this, and an error for each that cannot be read."""

    def read_base() -> pd.DataFrame | None:
        return predictions_of(base) if has_file(base, PREDICTIONS) else None

    tables, errors = {}, []
    for name, read in (("base", read_base), ("this", current_predictions)):
        try:
            table = read()
        except FacegenderError as error:
            errors.append(str(error))
            continue
        if table is not None:
            tables[name] = table
    return tables, errors


def not_compared(errors: Sequence[str]) -> str:
    """Say that there is no comparison, and why."""
    return joined(["### The models are not compared", *errors])


def or_error(what: str, write: Callable[[], str]) -> str:
    """Return a part of the page, or the error that there is instead, after what it means."""
    try:
        return write()
    except FacegenderError as error:
        return f"**{what}:** {error}"


def joined(parts: Sequence[str]) -> str:
    """Join the parts that are not empty by empty lines."""
    return "\n\n".join(part.strip() for part in parts if part.strip())


def model_parts(tables: Mapping[str, pd.DataFrame], base_name: str, this_name: str) -> tuple[str, str]:
    """Compare the model with the base's.

    Args:
        tables: predictions of this and, if it has a model, of the base.
        base_name: of the base's revision.
        this_name: of this revision.

    Returns:
        The verdict with the most important metrics, and all metrics.
    """
    if "base" not in tables:
        return f"### The first model: {base_name} has none to compare with", ""
    shared = shared_images(tables["base"], tables["this"])
    sizes = f"{len(tables['base']):,} test images of the base and {len(tables['this']):,} of this"
    if shared is None:
        return f"### The models are not compared\n\nToo few of the {sizes} are the same.", ""
    comparison = compare_predictions(*shared)
    images = f"the same {comparison['images']:,} test images"
    if not comparison["images"] == len(tables["base"]) == len(tables["this"]):
        images = f"the {comparison['images']:,} images that are among the {sizes}"
    explained = f"Base {base_name} and this {this_name}, on {images}. {mcnemar_text(comparison, 'base', 'this')}"
    summary = [
        f"### {difference_in_accuracy(comparison)}",
        metrics_table(comparison, "base", "this", METRICS),
        explained,
    ]
    return joined(summary), joined([metrics_table(comparison, "base", "this"), CAUTION])


def alone_part(names: Sequence[str] | None = None) -> str:
    """Return a table of this revision's metrics of test images with their intervals.

    Args:
        names: of the metrics; all of them by default.

    Raises:
        FacegenderError: they cannot be read.
    """
    _, metrics = read_results("metrics/evaluate", METRICS)
    lines = [f"| Metric | this | {CONFIDENCE:.0%} interval |", "| --- | ---: | ---: |"]
    for name in names or metrics.index:
        value, low, high = (float(metrics[column][name]) for column in ("value", "low", "high"))
        places = decimals(low, high)
        lines.append(f"| {name} | {number(value, places)} | {number(low, places)} to {number(high, places)} |")
    return "\n".join(lines)


def baseline_part() -> str:
    """Say how the model compares with its baseline."""
    comparison = compare_predictions(current_predictions(BASELINE), current_predictions())
    return f"**{against_baseline(comparison).sentence}**"


def read_findings(path: Path) -> list[Finding]:
    """Read what `facegender gate --json` printed; a gate that ended before its checks has one finding, which fails."""
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            return [Finding("gate", "fail", "it ended before its checks", "see the job's log")]
        return [Finding(**finding) for finding in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise FacegenderError(path, "not what facegender gate --json prints", "write it again") from error


def gate_part(findings: Sequence[Finding]) -> str:
    """Say whether the gate passes, and list the findings that say what to do, and all verdicts."""
    checks: dict[str, list[str]] = {}
    for finding in findings:
        checks.setdefault(finding.verdict, []).append(finding.check)
    title = f"### The gate fails at {', '.join(checks['fail'])}" if "fail" in checks else "### The gate passes"
    items = [
        f"- **{finding.check}**: {finding.found.rstrip('.')}. **What to do:** {finding.remedy}.".replace("\n", " ")
        for finding in findings
        if finding.remedy
    ]
    verdicts = [f"{verdict}: {', '.join(checks[verdict])}" for verdict in VERDICTS if verdict in checks]
    return joined([title, "\n".join(items), f"{'; '.join(verdicts).capitalize()}."])


def pipeline_part(base: str) -> str:
    """Return the metrics of the pipeline that differ from the base's; all of this revision's if the base has none.

    Raises:
        FacegenderError: DVC fails.
    """
    try:
        return output_of(dvc("metrics", "diff", "--md", base))
    except FacegenderError as error:
        reason = str(error)
    shown = json.loads(output_of(dvc("metrics", "show", "--json")))
    rows = [
        f"| {path} | {name} | {value_text(value)} |"
        for files in shown.values()
        for path, content in files.get("data", {}).items()
        for name, value in flat(content.get("data", {}))
    ]
    return joined(
        [f"**Not compared:** {reason}", "\n".join(["| Path | Metric | this |", "| --- | --- | ---: |", *rows])]
    )


def parameter_changes(base: str) -> list[tuple[str, str, str]]:
    """Return the name of each parameter that differs, and its value at the base and here."""
    changes = json.loads(output_of(dvc("params", "diff", "--json", base)) or "{}")
    return [
        (name, value_text(change.get("old")), value_text(change.get("new")))
        for keys in changes.values()
        for name, change in keys.items()
    ]


def value_text(value: Any) -> str:
    """Return a parameter's value as in params.yaml; none for one that is missing."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def data_changes(base: str) -> list[tuple[str, str, str]]:
    """Return each split of images and each file from outside the pipeline that differs, at the base and here."""
    text = file_at(base, "dvc.lock") or ""
    outs, dependencies = (
        (locked_files(text, f"{base}: dvc.lock", [kind]), read_lock([kind])) for kind in (OUTS, DEPENDENCIES)
    )
    rows = []
    given = [{path for path in one if path not in made} for one, made in zip(dependencies, outs, strict=True)]
    for path in sorted(given[0] | given[1]):
        old, new = (one.get(path, "none")[:8] for one in dependencies)
        if old != new and not path.startswith(_CODE):
            rows.append((path, old, new))
    folder = "data/preprocessed/"
    for path in sorted({path for made in outs for path in made if path.startswith(folder)}):
        name = path.removeprefix(folder)
        if outs[0].get(path) != outs[1].get(path) and name != "train_copies":
            counts = f"metrics/preprocess/{name}.json"
            here = Path(counts).read_text(encoding="utf-8") if Path(counts).is_file() else None
            old, new = (images_in(text) for text in (file_at(base, counts), here))
            rows.append((f"images of {name}", old, f"{new}, not the same ones" if new == old else new))
    return rows


def images_in(text: str | None) -> str:
    """Return the number of images in the content of a file of metrics/preprocess."""
    return f"{json.loads(text)['images']:,}" if text else "none"


def changes_part(changes: Sequence[tuple[str, str, str]]) -> str:
    """Return a table of what changed."""
    if not changes:
        return "### No parameter and no data changed"
    rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in changes]
    return joined(["### What changed", "\n".join(["| | base | this |", "| --- | --- | --- |", *rows])])


def pictures_part(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the confusion table and the ROC curves."""
    return joined(["### Test images", confusion_text(tables), roc_chart(tables)]) if "this" in tables else ""


def confusion_text(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return a table of how many images of each label are predicted as each class."""
    head = " → ".join(tables)
    lines = [f"| {head} | predicted {CLASSES[0]} | predicted {CLASSES[1]} |", "| --- | ---: | ---: |"]
    for label, name in enumerate(CLASSES):
        cells = [
            " → ".join(
                f"{((table['label'] == label) & (table['predicted'] == predicted)).sum():,}"
                for table in tables.values()
            )
            for predicted in range(len(CLASSES))
        ]
        lines.append(f"| label {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def roc_chart(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the ROC curves as a chart in Mermaid, which has no legend."""
    rates = {"chance": _GRID / 100}
    for name, table in tables.items():
        curve, _ = curve_tables(table["label"], table["probability"])
        rates[name] = np.interp(_GRID / 100, curve["false_positive_rate"], curve["true_positive_rate"])
    colours = ", ".join(_COLOURS[name] for name in rates)
    settings = {
        "xyChart": {"width": 480, "height": 420},
        "themeVariables": {"xyChart": {"plotColorPalette": colours}},
    }
    title = "ROC: base in grey, this in blue" if "base" in tables else "ROC"
    lines = [f'  line "{name}" [{", ".join(f"{100 * rate:.1f}" for rate in values)}]' for name, values in rates.items()]
    return "\n".join(
        [
            "```mermaid",
            f"%%{{init: {json.dumps(settings)}}}%%",
            "xychart-beta",
            f'  title "{title}"',
            '  x-axis "false positive rate (%)" 0 --> 100',
            '  y-axis "true positive rate (%)" 0 --> 100',
            *lines,
            "```",
        ]
    )


def commit_of(environment: Mapping[str, str]) -> str:
    """Return the commit under review; on GitHub, HEAD is a merge of it with the base."""
    named = environment.get("HEAD_SHA") or environment.get("CI_COMMIT_SHA")
    return named or git("rev-parse", "HEAD").stdout.strip()


def slices_part(environment: Mapping[str, str]) -> str:
    """Return the picture of the slices, by its address at the forge, or beside the page outside CI.

    Returns:
        Nothing if the commit under review does not have the picture that is here.
    """
    commit = commit_of(environment)
    recorded, here = git("rev-parse", "--verify", "--quiet", f"{commit}:./{SLICES}"), git("hash-object", SLICES)
    if recorded.returncode or recorded.stdout != here.stdout:
        return ""
    address = f"../{SLICES}"
    if environment.get("GITHUB_REPOSITORY"):
        forge = f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}"
        address = f"{forge}/blob/{commit}/{SLICES}?raw=true"
    elif environment.get("CI_PROJECT_URL"):
        address = f"{environment['CI_PROJECT_URL']}/-/raw/{commit}/{SLICES}"
    return f"![The metrics of each slice]({address})"


def job_line(environment: Mapping[str, str]) -> str:
    """Return a link to the CI job; nothing outside CI."""
    address = environment.get("CI_JOB_URL")
    if environment.get("GITHUB_RUN_ID"):
        address = f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}/actions/runs/"
        address += environment["GITHUB_RUN_ID"]
    return f"The plots are in the artifacts of [this job]({address})." if address else ""


def folded_part(title: str, text: str) -> str:
    """Return text that is shown on a click; nothing if it is empty."""
    return f"<details>\n<summary>{title}</summary>\n\n{text.strip()}\n\n</details>" if text.strip() else ""


if __name__ == "__main__":
    parser = OneLineParser(prog="python scripts/write_page.py", description=__doc__)
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("gate_file", metavar="GATE.json", type=existing_file)
    parser.add_argument("note", metavar="NOTE", nargs="?", default="")
    main(**vars(parser.parse_args()))
