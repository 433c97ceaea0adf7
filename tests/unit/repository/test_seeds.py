"""The table of `facegender seeds`, from what `dvc exp show --json` prints."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from facegender.errors import FacegenderError
from facegender.repository.seeds import seed_experiments, spread, spread_markdown

PARAMS: dict[str, Any] = {
    "train": {"seed": 120, "epochs": 5},
    "augment": {"seed": 120},
    "partition": {"seed": 120, "test": "all"},
    "evaluate": {"datasets": {"other": {"images": "other.zip"}}},
}


def row(name: str, params: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    files = {path: {"data": content} for path, content in metrics.items()}
    return {"name": name, "data": {"params": {"params.yaml": {"data": params}}, "metrics": files}, "error": None}


def experiment(seed: int, accuracy: float, **params: Any) -> dict[str, Any]:
    own = copy.deepcopy(PARAMS) | params
    own["train"] = {**own["train"], "seed": seed}
    own["augment"] = {"seed": seed}
    metrics = {"accuracy": accuracy, "roc_auc": 0.9, "log_loss": 0.3, "expected_calibration_error": 0.01, "f1": 0.5}
    files = {
        "metrics/evaluate.json": metrics,
        "metrics/slices.json": {"judged": 2, "worst_recall": accuracy / 2, "worst_recall_no_male": 0.6},
        "metrics/datasets/other.json": metrics | {"accuracy": accuracy / 4},
    }
    return {"revs": [row(f"seed-{seed}", own, files)], "name": f"seed-{seed}"}


def shown(*experiments: dict[str, Any], params: Mapping[str, Any] = PARAMS) -> list[dict[str, Any]]:
    folder = row("workspace", params, {}) | {"experiments": None}
    commit = row("main", params, {"metrics/evaluate.json": {"accuracy": 0}}) | {"experiments": list(experiments)}
    return [folder, commit]


def test_the_metrics_of_each_test_set_are_summarised_over_the_seeds() -> None:
    # 0.8, 0.9 and 0.94: mean 0.88, deviations -0.08, 0.02 and 0.06, so the variance is (64 + 4 + 36) / 20000 = 0.0052.
    experiments = seed_experiments(shown(experiment(9, 0.94), experiment(121, 0.8), experiment(120, 0.9)))

    assert [found.name for found in experiments] == ["seed-9", "seed-120", "seed-121"]
    table = spread(experiments)
    assert list(table.columns) == ["test_set", "metric", "mean", "std", "min", "max"]
    rows = {(test_set, metric): numbers for test_set, metric, *numbers in table.itertuples(index=False)}
    assert list(rows) == [
        ("test", "accuracy"),
        ("test", "roc_auc"),
        ("test", "log_loss"),
        ("test", "expected_calibration_error"),
        ("test", "worst_recall"),
        ("test", "worst_recall_no_male"),
        ("other", "accuracy"),
        ("other", "roc_auc"),
        ("other", "log_loss"),
        ("other", "expected_calibration_error"),
    ]
    assert rows["test", "accuracy"] == pytest.approx([0.88, np.sqrt(0.0052), 0.8, 0.94])
    assert rows["test", "worst_recall"] == pytest.approx([0.44, np.sqrt(0.0013), 0.4, 0.47])
    assert rows["other", "accuracy"] == pytest.approx([0.22, np.sqrt(0.000325), 0.2, 0.235])
    assert rows["test", "log_loss"] == pytest.approx([0.3, 0, 0.3, 0.3])


def test_the_table_names_the_experiments() -> None:
    lines = spread_markdown(seed_experiments(shown(experiment(120, 0.9), experiment(121, 0.8)))).splitlines()

    assert lines[:2] == ["Experiments: seed-120, seed-121", ""]
    assert lines[2].startswith("| Test set | Metric | mean | standard deviation | lowest | highest |")
    assert lines[4] == "| test | accuracy | 0.8500 | 0.0707 | 0.8000 | 0.9000 |"
    assert len(lines) == 4 + 10


def test_one_experiment_has_no_standard_deviation() -> None:
    printed = spread_markdown(seed_experiments(shown(experiment(120, 0.9))))

    assert "| test | accuracy | 0.9000 | - | 0.9000 | 0.9000 |" in printed


def test_slices_that_are_too_small_to_be_judged_are_left_out() -> None:
    small = experiment(120, 0.9)
    small["revs"][0]["data"]["metrics"]["metrics/slices.json"]["data"] = {"judged": 0, "too_small": 80}

    assert not spread(seed_experiments(shown(small)))["metric"].str.startswith("worst").any()


@pytest.mark.parametrize(
    ("path", "test_set"),
    [("metrics/slices.json", "test"), ("metrics/evaluate.json", "test"), ("metrics/datasets/other.json", "other")],
)
def test_a_metric_that_only_some_experiments_have_is_one_line(path: str, test_set: str) -> None:
    broken = experiment(121, 0.9)
    metrics = broken["revs"][0]["data"]["metrics"][path]["data"]
    metric = "worst_recall" if "worst_recall" in metrics else "accuracy"
    del metrics[metric]

    with pytest.raises(FacegenderError) as caught:
        spread(seed_experiments(shown(experiment(120, 0.9), broken, experiment(122, 0.9))))
    what = f"has no {metric} of test set {test_set}, but seed-120 has"
    assert str(caught.value) == f"seed-121: {what}; run: dvc exp remove seed-121, then make seeds"


def test_other_experiments_are_not_counted() -> None:
    other = {**experiment(120, 0.1), "name": "seed-120b"}
    other["revs"][0]["name"] = "seed-120b"
    unnamed = experiment(121, 0.1)
    unnamed["revs"][0]["name"] = None

    assert [found.name for found in seed_experiments(shown(other, unnamed, experiment(122, 0.9)))] == ["seed-122"]


@pytest.mark.parametrize("experiments", [None, []])
def test_no_experiments_are_one_line(experiments: list[Any] | None) -> None:
    folder, commit = shown()

    with pytest.raises(FacegenderError) as caught:
        seed_experiments([folder, commit | {"experiments": experiments}])
    assert str(caught.value) == "HEAD: this commit has no experiment with a name such as seed-120; run: make seeds"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"train": {"seed": 120, "epochs": 6}}, "seed-121: train.epochs is 6, but 5 in params.yaml; commit"),
        ({"partition": {"seed": 121, "test": "all"}}, "seed-121: partition.seed is 121, but 120 in params.yaml"),
        ({"evaluate": {"datasets": {}}}, "seed-121: evaluate.datasets is {}, but missing in params.yaml"),
    ],
)
def test_an_experiment_with_other_parameters_is_one_line(params: dict[str, Any], words: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        seed_experiments(shown(experiment(120, 0.9), experiment(121, 0.9, **params)))
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


# As DVC shows an experiment whose queued run failed, and one whose files it cannot read.
@pytest.mark.parametrize(
    "change",
    [
        {"error": {"msg": "Experiment run failed", "type": ""}},
        {"data": None},
        {"data": None, "error": {"msg": "unable to read: 'dvc.yaml'", "type": "YAMLSyntaxError"}},
        {"data": {"params": {"params.yaml": {"error": {"msg": "", "type": "YAMLSyntaxError"}}}, "metrics": {}}},
    ],
)
def test_an_experiment_that_failed_is_one_line(change: dict[str, Any]) -> None:
    failed = experiment(121, 0.9)
    failed["revs"][0] |= change

    with pytest.raises(FacegenderError) as caught:
        seed_experiments(shown(experiment(120, 0.9), failed))
    assert str(caught.value) == "seed-121: failed; run: dvc exp remove seed-121, then make seeds"


def test_a_folder_that_dvc_cannot_read_is_one_line() -> None:
    folder, commit = shown(experiment(120, 0.9))
    error = {"msg": "unable to read: 'dvc.yaml'", "type": "YAMLSyntaxError"}

    unreadable = {"data": None, "error": error}
    for rows, place in (([folder | unreadable, commit], "this folder"), ([folder, commit | unreadable], "HEAD")):
        with pytest.raises(FacegenderError) as caught:
            seed_experiments(rows)
        assert str(caught.value) == f"{place}: DVC cannot read it: unable to read: 'dvc.yaml'; run: dvc status"
    with pytest.raises(FacegenderError, match=r"^this folder: DVC cannot read it: no params\.yaml; run: dvc status$"):
        seed_experiments([folder | {"data": None}, commit])


@pytest.mark.parametrize("rows", [0, 1])
def test_a_folder_without_a_commit_is_one_line(rows: int) -> None:
    with pytest.raises(FacegenderError) as caught:
        seed_experiments(shown()[:rows])
    assert str(caught.value) == "HEAD: DVC found no commit; commit this folder, then run: make seeds"


@pytest.mark.parametrize("path", ["metrics/evaluate.json", "metrics/slices.json", "metrics/datasets/other.json"])
def test_an_experiment_without_results_is_one_line(path: str) -> None:
    broken = experiment(121, 0.9)
    broken["revs"][0]["data"]["metrics"][path] = {"error": {"type": "FileNotFoundError", "msg": ""}}

    with pytest.raises(FacegenderError) as caught:
        spread(seed_experiments(shown(experiment(120, 0.9), broken)))
    assert str(caught.value) == f"seed-121: has no {path}; run: dvc exp remove seed-121, then make seeds"
