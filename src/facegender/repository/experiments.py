"""The experiments that started from this commit, as `dvc exp show` knows them."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from facegender.errors import FacegenderError
from facegender.params import load_params
from facegender.repository.commands import dvc, output_of

PARAMS = "params.yaml"
WIDTH = 120
"""Characters of a line of the table."""

_CHANGED_WIDTH = 30
"""Characters at least for the changed parameters."""


class Column(NamedTuple):
    """A metric in the table: its title, its file, its dotted key there, and whether lower values are better."""

    title: str
    path: str
    key: str
    lower_is_better: bool = False


COLUMNS = {
    "val_log_loss": Column("val. log loss", "metrics/calibrate.json", "after.log_loss", True),
    "val_accuracy": Column("val. accuracy", "metrics/calibrate.json", "after.accuracy"),
    "accuracy": Column("accuracy", "metrics/evaluate.json", "accuracy"),
    "roc_auc": Column("ROC AUC", "metrics/evaluate.json", "roc_auc"),
    "log_loss": Column("log loss", "metrics/evaluate.json", "log_loss", True),
    "expected_calibration_error": Column("ECE", "metrics/evaluate.json", "expected_calibration_error", True),
}
"""What the table shows: metrics on validation images, by which to choose, and then on test images."""


def shown_experiments() -> list[dict[str, Any]]:
    """Return what `dvc exp show` knows of this folder, its commit and the experiments that started from this commit.

    Raises:
        FacegenderError: params.yaml has a mistake, or DVC fails.
    """
    load_params(PARAMS)
    shown: list[dict[str, Any]] = json.loads(output_of(dvc("exp", "show", "--json")))
    return shown


def experiments_table(shown: Sequence[Mapping[str, Any]], sort_by: str) -> str:
    """Return a table of the commit and its experiments, best first, in lines of at most 120 characters.

    Args:
        shown: as `shown_experiments` returns it.
        sort_by: of COLUMNS. Experiments without that metric, such as queued ones, come last.

    Raises:
        FacegenderError: there are no experiments, or DVC could not read the commit.
    """
    if len(shown) < 2 or not shown[1]["experiments"]:
        raise FacegenderError("HEAD", "no experiment started from this commit", "run: dvc exp run, or: make sweep")
    commit = shown[1]
    if found := problem(commit):
        raise FacegenderError("HEAD", f"DVC cannot read it: {found}", "run: dvc status")
    before = dict(flat(contents(commit, "params")[PARAMS]))
    experiments = [({**experiment, **experiment["revs"][0]}, before) for experiment in commit["experiments"]]
    rows = [_row("this commit", commit, before)]
    rows += [_row(row["name"] or row["rev"][:7], row, before) for row, before in experiments]
    column = COLUMNS[sort_by]

    def rank(row: _Row) -> float:
        value = row.metrics[sort_by]
        return math.inf if value is None else value if column.lower_is_better else -value

    rows.sort(key=rank)
    return "\n".join(_lines(rows)) + "\n"


class _Row(NamedTuple):
    name: str
    metrics: Mapping[str, float | None]
    changed: str


def _row(name: str, row: Mapping[str, Any], before: Mapping[str, Any]) -> _Row:
    files = {path: dict(flat(content)) for path, content in contents(row, "metrics").items()}
    metrics = {key: files.get(column.path, {}).get(column.key) for key, column in COLUMNS.items()}
    if found := problem(row):
        return _Row(name, metrics, f"failed: {' '.join(found.split())}")
    here = dict(flat(contents(row, "params")[PARAMS]))
    changed = [
        f"{key}={here.get(key, 'missing')}"
        for key in sorted(here.keys() | before.keys())
        if here.get(key) != before.get(key)
    ]
    return _Row(name, metrics, " ".join([*filter(None, [execution_state(row)]), *changed]))


def _lines(rows: Sequence[_Row]) -> Iterator[str]:
    widths = {column.title: max(len(column.title), len("0.0000")) for column in COLUMNS.values()}
    fixed = sum(width + 2 for width in widths.values())
    name_width = min(max(len(row.name) for row in rows), WIDTH - fixed - _CHANGED_WIDTH - 2)
    indent = name_width + fixed + 2
    heading = "".join(f"  {title:>{width}}" for title, width in widths.items())
    yield f"{'Experiment'[:name_width]:{name_width}}{heading}  changed parameters"
    for row in rows:
        numbers = ("-" if value is None else f"{value:.4f}" for value in row.metrics.values())
        cells = "".join(f"  {number:>{width}}" for number, width in zip(numbers, widths.values(), strict=True))
        first, *more = textwrap.wrap(row.changed, WIDTH - indent) or [""]
        if len(row.name) > name_width:
            yield row.name
        yield f"{row.name if len(row.name) <= name_width else '':{name_width}}{cells}  {first}".rstrip()
        yield from (" " * indent + line for line in more)


def problem(row: Mapping[str, Any]) -> str:
    """Return why a row of `shown_experiments` has no parameters to compare, or an empty string."""
    if row["error"]:
        return str(row["error"]["msg"])
    return "" if PARAMS in contents(row, "params") else f"no {PARAMS}"


def execution_state(experiment: Mapping[str, Any]) -> str:
    """Return `queued`, `running` or `failed` if an experiment of `shown_experiments` is that, or an empty string."""
    state = (experiment.get("executor") or {}).get("state")
    return state if state in ("queued", "running", "failed") else ""


def contents(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the content of each file of a kind, `params` or `metrics`, that DVC could read."""
    files = (row["data"] or {}).get(kind) or {}
    return {path: file["data"] for path, file in files.items() if "data" in file}


def flat(content: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield values by dotted key; an empty group is a value."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
