"""What `dvc repro` and `dvc exp run` do where raw data is missing: they say so, and delete nothing that Git keeps."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.functional.project import change_params, commit_all, make_project, put_stand_ins, repro, run

pytestmark = pytest.mark.slow

PATHS = {
    "dataset.images": "raw/img_align_celeba.zip",
    "dataset.attributes": "raw/list_attr_celeba.csv",
    "dataset.partitions": "raw/list_eval_partition.csv",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project in which stand-ins ran for the whole pipeline, on raw data that nothing tracks."""
    folder = make_project(tmp_path_factory.mktemp("check") / "project", PATHS)
    put_stand_ins(folder, set(yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]) - {"check"})
    for path in PATHS.values():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(path, encoding="utf-8")
    with (folder / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("/raw/\n")
    assert "check" in repro(folder)
    commit_all(folder, "finished")
    assert "data/checked.txt" not in run(folder, "git", "ls-files")
    assert "metrics/eda.json" in run(folder, "git", "ls-files")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project"))


QUICK = ("dataset.attributes", "evaluate.datasets")


@pytest.mark.parametrize(
    "key",
    [
        key if key in QUICK else pytest.param(key, marks=pytest.mark.long)
        for key in (*PATHS, "dataset.identities", "backbone.weights_file", "evaluate.datasets")
    ],
)
def test_a_path_that_does_not_exist_is_named_before_anything_is_deleted(project: Path, key: str) -> None:
    further = {"images": "none", "attributes": PATHS["dataset.attributes"], "identities": "params/no_identities.txt"}
    change_params(project, {key: {"more": further} if key == "evaluate.datasets" else "none"})

    printed = run(project, "dvc", "repro", status=255)

    assert re.findall("^Running stage '(.*)'", printed, flags=re.MULTILINE) == ["check"]
    [line] = re.findall("^error: (.*)", printed, flags=re.MULTILINE)
    assert line.startswith(f"params.yaml: {key}")
    assert line.endswith(" is none, which does not exist; put it there, or change params.yaml")
    assert run(project, "git", "status", "--short") == " M params.yaml\n"

    run(project, "git", "checkout", "params.yaml")
    run(project, "dvc", "checkout")
    assert repro(project) == {"check"}


@pytest.mark.parametrize("path", PATHS.values())
def test_data_that_went_missing_costs_nothing_that_git_keeps(project: Path, path: str) -> None:
    (project / path).unlink()

    # DVC itself stops, with the path.
    printed = run(project, "dvc", "repro", status=255)
    assert f"ERROR: failed to reproduce 'partition': [Errno 2] No such file or directory: '{project / path}'" in printed
    assert run(project, "git", "status", "--short") == ""

    printed = run(project, "facegender", "check", status=1)
    assert printed.startswith("error: params.yaml: dataset.")
    assert printed.endswith(f" is {path}, which does not exist; put it there, or change params.yaml\n")


@pytest.mark.long
def test_an_experiment_elsewhere_names_the_data_that_nothing_tracks(project: Path) -> None:
    command = ("dvc", "exp", "run", "--temp", "-S", "train.dropout=0.3")
    printed = run(project, *command, status=255)
    [line] = re.findall("^error: (.*)", printed, flags=re.MULTILINE)
    assert line.startswith(f"params.yaml: not in this copy of the repository: {' '.join(PATHS.values())}; ")
    [advice] = re.findall("run (dvc add .*?) and commit", line)

    run(project, "git", "restore", "--source=HEAD", "--staged", "--worktree", ".")
    text = (project / ".gitignore").read_text(encoding="utf-8")
    (project / ".gitignore").write_text(text.replace("/raw/\n", ""), encoding="utf-8")
    run(project, *advice.split())
    commit_all(project, "tracked")
    assert "Ran experiment" in run(project, *command)
    [reference] = run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/*").split()
    assert "data/checked.txt" not in run(project, "git", "ls-tree", "-r", "--name-only", reference)
