"""Files that Git, DVC, make and pre-commit read, and that must agree with each other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from facegender.params import load_params
from tests.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def make(*arguments: str) -> str:
    done = subprocess.run(["make", "--silent", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def test_a_clone_that_converts_line_ends_is_clean_and_has_the_same_bytes(tmp_path: Path) -> None:
    # dvc.lock holds the MD5 of source files.
    git(tmp_path, "clone", "--quiet", "-c", "core.autocrlf=false", str(ROOT), "plain")
    git(tmp_path, "clone", "--quiet", "-c", "core.autocrlf=true", str(ROOT), "converted")

    assert git(tmp_path / "converted", "status", "--porcelain") == ""
    names = git(tmp_path / "plain", "ls-files", "-z").split("\0")[:-1]
    assert "dvc.lock" in names
    for name in names:
        assert (tmp_path / "converted" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name


def test_make_alone_explains_every_target() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    lines = make().splitlines()

    shown = {line.split()[1] for line in lines}
    assert shown == {*phony.split(), ".venv/installed"}
    assert all(len(line.split()) > 2 for line in lines)
    assert make("help").splitlines() == lines


@pytest.mark.parametrize("target", ["repro", "sweep", "seeds"])
def test_make_checks_params_and_data_before_the_pipeline_runs(target: str) -> None:
    lines = make("--dry-run", "--old-file", ".venv/installed", target).splitlines()

    assert lines[0] == "facegender check"
    assert any(re.search(r"\b(dvc repro|facegender trials)\b", line) for line in lines[1:])


def test_make_celeba_needs_a_folder_whose_name_may_have_spaces() -> None:
    command = ("--dry-run", "--old-file", ".venv/installed", "celeba")
    assert make(*command, "FOLDER=my celeba") == 'facegender use celeba "my celeba"\n'

    done = subprocess.run(["make", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith("name the folder of CelebA's files: make celeba FOLDER=data/celeba.  Stop.\n")


def test_pre_commit_runs_what_make_lint_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    [recipe] = re.findall(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, flags=re.MULTILINE)

    assert [hook["entry"] for hook in hooks] == [f".venv/bin/{line.strip()}" for line in recipe.splitlines()]
    for hook in hooks:
        # The tools find the files themselves, as in make lint.
        assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True)


@pytest.mark.parametrize("name", ["params.yaml", "params/celeba.yaml"])
def test_what_make_sweep_sets_suits_the_parameters(name: str, tmp_path: Path) -> None:
    cuts, copies, rates = re.findall(r"^(?:CUTS|COPIES|RATES) \?= (.*)$", MAKEFILE, flags=re.MULTILINE)
    [recipe] = re.findall(r"^sweep:.*\n((?:\t.*\n)+)", MAKEFILE, flags=re.MULTILINE)
    variables = {"$$cut": cuts.split(), "$$copies": copies.split(), "$$rate": rates.split()}

    for number in (0, -1):
        params = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
        values = {variable: each[number] for variable, each in variables.items()}
        settings = re.findall(r"(\w+)\.(\w+)=([^\s;]+)", recipe)
        assert len(settings) == 5
        for group, key, value in settings:
            params[group][key] = yaml.safe_load(values.get(value, value))
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

        assert load_params(tmp_path / "params.yaml").augment.mode == "copies"


@pytest.mark.slow
def test_dvc_ignores_what_systems_and_python_leave_behind(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    stray = [
        ".DS_Store",
        "._a.py",
        "Thumbs.db",
        "desktop.ini",
        "__pycache__/a.cpython-312.pyc",
        "a.pyc",
        "a.py~",
        ".a.py.swp",
    ]
    kept = ["a.py", "a.csv", "a.jpg", "a.zip", "a.npz", "list_attr_celeba.txt"]

    command = [sys.executable, "-m", "dvc", "check-ignore", *(f"src/{name}" for name in stray + kept)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout.split() == [f"src/{name}" for name in stray], done.stderr
