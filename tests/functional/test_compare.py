"""`facegender compare` in a repository of its own, of Git and DVC."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.functional.project import run

pytestmark = pytest.mark.slow

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")


def write_predictions(folder: Path, right: int) -> None:
    labels = [number % 2 for number in range(100)]
    predicted = [label if number < right else 1 - label for number, label in enumerate(labels)]
    table = pd.DataFrame({"image_id": [f"{number:03}.jpg" for number in range(100)], "label": labels})
    table["probability"], table["predicted"] = [0.25 + 0.5 * one for one in predicted], predicted
    (folder / "data").mkdir(exist_ok=True)
    table.to_csv(folder / "data" / "predictions.csv", index=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    run(folder, "dvc", "init", "--quiet")
    for tag, right in (("old", 60), ("new", 95)):
        write_predictions(folder, right)
        run(folder, "dvc", "add", "--quiet", "data/predictions.csv")
        run(folder, "git", "add", "--all")
        run(folder, *GIT, "commit", "--quiet", "-m", tag)
        run(folder, "git", "tag", tag)
    return folder


def test_two_revisions(repository: Path) -> None:
    page = run(repository, "facegender", "compare", "old", "new")
    assert page.startswith("The new model is more accurate, by between +")
    assert "| accuracy | 0.6000 | 0.9500 | +0.3500 |" in page

    comparison = json.loads(run(repository, "facegender", "compare", "new", "old", "--json"))
    assert comparison["figures"]["accuracy"]["difference"] == -0.35
    assert comparison["mcnemar"]["only_old_right"] == 35


def test_a_revision_and_this_folder(repository: Path) -> None:
    assert run(repository, "facegender", "compare", "new").startswith("Both models predict the same of all 100 images.")


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~5"])
def test_no_such_revision_is_one_line(repository: Path, revision: str) -> None:
    printed = run(repository, "facegender", "compare", revision, status=1)
    assert printed.startswith(f"error: {revision}: unknown Git revision")
    assert len(printed.splitlines()) == 1


def test_a_folder_without_git_is_one_line(tmp_path: Path) -> None:
    printed = run(tmp_path, "facegender", "compare", "HEAD", status=1)
    assert "is not a git repository" in printed
    assert len(printed.splitlines()) == 1


def test_a_revision_whose_predictions_are_nowhere_is_one_line(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(repository, "git", "clone", "--quiet", str(repository), str(clone))
    printed = run(clone, "facegender", "compare", "old", status=1)
    assert printed.startswith("error: old: ")
    assert len(printed.splitlines()) == 1
    assert "dvc push" in printed
