"""The CI files of GitHub and GitLab are valid, and run only what can be run by hand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.unit.test_packaging import tomllib

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
TARGETS = ("test", "test-fast", "test-long", "test-ray", "validate-model")


def commands() -> list[str]:
    jobs = [yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values() for path in WORKFLOWS]
    found = [step["run"] for of_file in jobs for job in of_file for step in job["steps"] if "run" in step]
    gitlab: dict[str, Any] = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
    for job in gitlab.values():
        found += [line for key in ("before_script", "script", "after_script") for line in job.get(key, [])]
    return found


def test_every_command_is_a_make_target_and_both_forges_run_the_same() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert sorted(commands()) == sorted(2 * [f"make {target}" for target in TARGETS])
    assert set(TARGETS) <= set(targets)


def test_the_oldest_and_newest_python_that_install_are_tested() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    [github] = [
        job["strategy"]["matrix"]["python"]
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        if "strategy" in job
    ]
    gitlab = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["oldest-and-newest-python"]
    [matrix] = gitlab["parallel"]["matrix"]

    oldest, below = re.fullmatch(r">=(3\.\d+),<3\.(\d+)", declared).groups()  # type: ignore[union-attr]
    assert github == matrix["VERSION"] == [oldest, f"3.{int(below) - 1}"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_both_workflows_use_the_same_commit_of_an_action() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    commits = set(re.findall(r"uses: ([\w-]+/[\w-]+)@(.*)$", text, flags=re.MULTILINE))

    assert len(commits) == len({action for action, _ in commits}) == 4


@pytest.mark.parametrize(
    ("schema", "paths"), [("vendor.github-workflows", WORKFLOWS), ("vendor.gitlab-ci", [GITLAB])], ids=str
)
def test_the_files_match_the_schema_of_the_forge(schema: str, paths: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    transform = ["--data-transform", "gitlab-ci"] if schema == "vendor.gitlab-ci" else []
    done = subprocess.run([*command, *transform, *map(str, paths)], capture_output=True, text=True)

    assert paths
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="no actionlint on this machine")
def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(["actionlint", *map(str, WORKFLOWS)], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
