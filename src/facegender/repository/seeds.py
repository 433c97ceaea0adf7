"""How much the metrics vary with the seed, over the experiments that `make seeds` runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from facegender.errors import FacegenderError
from facegender.repository.experiments import PARAMS, contents, flat, problem

SEEDS = ("train.seed", "augment.seed")
"""The parameters that `make seeds` changes."""

METRICS = ("accuracy", "roc_auc", "log_loss", "expected_calibration_error")
WORST = ("worst_recall", "worst_recall_no_male")
"""Of the slices of the test images; missing if no slice has enough images."""


class Experiment(NamedTuple):
    """An experiment of `make seeds`, with the content of its params.yaml, and of its metrics by path."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]


def seed_experiments(shown: Sequence[Mapping[str, Any]]) -> list[Experiment]:
    """Select the experiments of `make seeds` that started from this commit.

    Args:
        shown: as `shown_experiments` returns it.

    Returns:
        At least one, by ascending seed.

    Raises:
        FacegenderError: there are none, or one failed or has other parameters than this folder; or DVC could not read
            this folder or its commit.
    """
    if len(shown) < 2:
        raise FacegenderError("HEAD", "DVC found no commit", "commit this folder, then run: make seeds")
    folder, commit = shown[:2]
    for row, place in ((folder, "this folder"), (commit, "HEAD")):
        if found := problem(row):
            raise FacegenderError(place, f"DVC cannot read it: {found}", "run: dvc status")
    rows = [row["revs"][0] for row in commit["experiments"] or []]
    rows = [row for row in rows if re.fullmatch(r"seed-\d+", row["name"] or "")]
    if not rows:
        raise FacegenderError("HEAD", "this commit has no experiment with a name such as seed-120", "run: make seeds")
    here = dict(flat(contents(folder, "params")[PARAMS]))
    experiments = []
    for row in sorted(rows, key=lambda row: int(row["name"].removeprefix("seed-"))):
        name = row["name"]
        if problem(row):
            raise FacegenderError(name, "failed", _again(name))
        params = contents(row, "params")[PARAMS]
        there = dict(flat(params))
        for key in sorted((here.keys() | there.keys()) - set(SEEDS)):
            if here.get(key) != there.get(key):
                what = f"{key} is {there.get(key, 'missing')}, but {here.get(key, 'missing')} in {PARAMS}"
                raise FacegenderError(name, what, f"commit {PARAMS}, then run: make seeds; or restore it")
        experiments.append(Experiment(name, params, contents(row, "metrics")))
    return experiments


def spread(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Summarise the metrics of the test images and of each further test set over experiments.

    Args:
        experiments: with the same parameters but the seeds, as `seed_experiments` returns them.

    Returns:
        A row per test set and metric: test_set, metric, mean, std (of a sample: divided by n - 1; NaN for one
        experiment), min, max.

    Raises:
        FacegenderError: an experiment lacks a file of metrics, or a metric that another one has.
    """
    rows = [(experiment.name, *row) for experiment in experiments for row in _values(experiment)]
    values = pd.DataFrame(rows, columns=["experiment", "test_set", "metric", "value"])
    groups = values.groupby(["test_set", "metric"], sort=False)
    for (test_set, metric), having in groups["experiment"]:
        for lacking in [experiment.name for experiment in experiments if experiment.name not in set(having)][:1]:
            what = f"has no {metric} of test set {test_set}, but {having.iloc[0]} has"
            raise FacegenderError(lacking, what, _again(lacking))
    return groups["value"].agg(["mean", "std", "min", "max"]).reset_index()


def spread_markdown(experiments: Sequence[Experiment]) -> str:
    """Format `spread` as a Markdown table, after a line that names the experiments.

    Raises:
        FacegenderError: as `spread`.
    """
    lines = [
        f"Experiments: {', '.join(experiment.name for experiment in experiments)}",
        "",
        "| Test set | Metric | mean | standard deviation | lowest | highest |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for test_set, metric, *numbers in spread(experiments).itertuples(index=False):
        cells = ("-" if pd.isna(number) else f"{number:.4f}" for number in numbers)
        lines.append(f"| {test_set} | {metric} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _values(experiment: Experiment) -> Iterator[tuple[str, str, float]]:
    files = [("test", "metrics/evaluate.json", METRICS), ("test", "metrics/slices.json", WORST)]
    further = experiment.params["evaluate"]["datasets"]
    files += [(name, f"metrics/datasets/{name}.json", METRICS) for name in further]
    for test_set, path, names in files:
        if path not in experiment.metrics:
            raise FacegenderError(experiment.name, f"has no {path}", _again(experiment.name))
        metrics = experiment.metrics[path]
        yield from ((test_set, name, metrics[name]) for name in names if name in metrics)


def _again(name: str) -> str:
    return f"run: dvc exp remove {name}, then make seeds"
