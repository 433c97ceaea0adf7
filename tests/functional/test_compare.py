"""`facegender compare` in a small repository with Git and DVC."""

import inspect
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from facegender.cli import compare_command
from facegender.evaluation.comparison import RESAMPLES, SEED
from tests.functional.project import run

pytestmark = pytest.mark.slow

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")


def write_predictions(folder: Path, name: str, right: int) -> None:
    labels = [number % 2 for number in range(100)]
    predicted = [label if number < right else 1 - label for number, label in enumerate(labels)]
    table = pd.DataFrame({"image_id": [f"{number:03}.jpg" for number in range(100)], "label": labels})
    table["probability"], table["predicted"] = [0.25 + 0.5 * one for one in predicted], predicted
    table.to_csv(folder / name, index=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    run(folder, "dvc", "init", "--quiet")
    (folder / "data").mkdir()
    (folder / "params.yaml").write_text("threshold: 0.5\n", encoding="utf-8")
    command = ("--params", "threshold", "--deps", "made.csv", "--outs", "data/predictions.csv")
    run(folder, "dvc", "stage", "add", "--quiet", "--name", "evaluate", *command, "cp made.csv data/predictions.csv")
    copied = ("--deps", "simple.csv", "--outs", "data/baseline.csv", "cp simple.csv data/baseline.csv")
    run(folder, "dvc", "stage", "add", "--quiet", "--name", "baseline", *copied)
    write_predictions(folder, "simple.csv", 75)
    for tag, right in (("old", 60), ("new", 95)):
        write_predictions(folder, "made.csv", right)
        run(folder, "dvc", "repro", "--quiet")
        run(folder, "git", "add", "--all")
        run(folder, *GIT, "commit", "--quiet", "-m", tag)
        run(folder, "git", "tag", tag)
    return folder


def test_two_revisions(repository: Path) -> None:
    page = run(repository, "facegender", "compare", "old", "new")
    assert page.startswith("The new model is more accurate: the difference is between +")
    assert "| accuracy | 0.600 | 0.950 | +0.350 (+0." in page
    assert "McNemar's exact test: p < 0.001 (0 against 35 discordant). Of the 100 images, old alone gets 0 " in page

    comparison = json.loads(run(repository, "facegender", "compare", "new", "old", "--json"))
    assert comparison["metrics"]["accuracy"]["difference"] == -0.35
    assert comparison["mcnemar"]["only_old_right"] == 35


def test_a_revision_and_this_folder(repository: Path) -> None:
    assert run(repository, "facegender", "compare", "new").startswith(
        "Both models make the same predictions for all 100 images."
    )


def test_a_model_and_its_baseline(repository: Path) -> None:
    page = run(repository, "facegender", "compare", "baseline")
    assert page.startswith("Better than its baseline: 0.95 against 0.75 on 100 test images (difference 0.1")
    assert "| accuracy | 0.750 | 0.950 | +0.200 (+0." in page

    page = run(repository, "facegender", "compare", "baseline", "old")
    assert page.startswith("Worse than its baseline: 0.60 against 0.75 on 100 test images (difference -0.2")
    assert "| Metric | baseline | old | Difference (95% interval) | Judgement |" in page


def test_a_branch_called_baseline_is_a_revision_like_any_other(repository: Path) -> None:
    run(repository, "git", "branch", "--force", "baseline", "old")

    page = run(repository, "facegender", "compare", "refs/heads/baseline", "new")

    assert page.startswith("The new model is more accurate: ")


def test_the_default_bootstrap_is_that_of_the_gate() -> None:
    parameters = inspect.signature(compare_command).parameters
    assert (parameters["resamples"].default, parameters["seed"].default) == (RESAMPLES, SEED)


def test_predictions_are_found_from_a_folder_inside_the_repository(repository: Path) -> None:
    printed = run(repository / "data", "facegender", "compare", "new")
    assert printed.startswith("Both models make the same predictions for all 100 images.")


@pytest.mark.parametrize(
    ("changed", "content", "named"),
    [
        ("params.yaml", "threshold: 0.4\n", "params.yaml: threshold"),
        ("made.csv", "another\n", "made.csv"),
        (
            "data/predictions.csv",
            "image_id,label,probability,predicted\na,1,0.9,1\nb,0,0.1,0\n",
            "data/predictions.csv",
        ),
    ],
)
def test_outdated_predictions_are_not_compared(
    repository: Path, tmp_path: Path, changed: str, content: str, named: str
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(repository, folder)
    (folder / changed).unlink()
    (folder / changed).write_text(content, encoding="utf-8")
    printed = run(folder, "facegender", "compare", "new", status=1)
    assert printed.startswith(f"error: data/predictions.csv: {named} has changed since it was made; run: dvc repro")
    assert len(printed.splitlines()) == 1


def test_an_outdated_baseline_is_not_compared(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(repository, folder)
    write_predictions(folder, "simple.csv", 10)
    printed = run(folder, "facegender", "compare", "baseline", status=1)
    assert printed.startswith("error: data/baseline.csv: simple.csv has changed since it was made; run: dvc repro")


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~5", "HEAD:params.yaml", "HEAD^{tree}"])
def test_an_unknown_revision_is_one_line(repository: Path, revision: str) -> None:
    printed = run(repository, "facegender", "compare", revision, status=1)
    assert printed.startswith(f"error: {revision}: unknown Git revision")
    assert len(printed.splitlines()) == 1


def test_a_folder_without_git_is_one_line(tmp_path: Path) -> None:
    printed = run(tmp_path, "facegender", "compare", "HEAD", status=1)
    assert "not a git repository" in printed
    assert len(printed.splitlines()) == 1


def test_missing_predictions_of_a_revision_are_one_line(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(repository, "git", "clone", "--quiet", str(repository), str(clone))
    printed = run(clone, "facegender", "compare", "old", status=1)
    assert printed.startswith("error: old: ")
    assert len(printed.splitlines()) == 1
    assert "dvc push" in printed
