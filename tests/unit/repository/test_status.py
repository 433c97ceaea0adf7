"""Where a folder differs from what its stages last ran on."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from facegender.errors import FacegenderError
from facegender.repository.status import changed_params

pytestmark = pytest.mark.slow

PIPELINE = """stages:
  one:
    cmd: echo
    params: [a, b.c]
  each:
    foreach: ${sets}
    do:
      cmd: echo ${key}
      params: [d]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a project whose stages ran with some parameters."""
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    write("{a: {x: 1.0e-05}, b: {c: 2, other: 3}, d: 4, sets: {left: {}, gone: {}}}")
    with Repo() as repository:
        repository.commit(force=True)


def write(params: str) -> None:
    Path("params.yaml").write_text(params, encoding="utf-8")


@pytest.mark.parametrize(
    ("params", "changed"),
    [
        ("{a: {x: 0.00001}, b: {c: 2, other: 4}, d: 4, sets: {left: {}, gone: {}}, more: 5}", []),
        ("{a: {x: 0.00002}, b: {c: 2}, d: 4, sets: {left: {}}}", ["params.yaml: a"]),
        ("{a: {x: 0.00001, y: 1}, b: {c: 3}, d: 4, sets: {left: {}}}", ["params.yaml: a", "params.yaml: b.c"]),
        ("{a: {x: 0.00001}, b: {c: 2}, d: 5, sets: {left: {}}}", ["params.yaml: d"]),
        # dvc.lock keeps a stage that is gone.
        ("{a: {x: 0.00001}, b: {c: 2}, d: 5, sets: {}}", []),
    ],
)
def test_parameters_that_differ_from_the_last_run_are_listed(params: str, changed: list[str]) -> None:
    write(params)

    assert changed_params() == changed


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_a_file_that_is_not_valid_is_one_line(name: str) -> None:
    Path(name).write_text("<<<<<<< HEAD\na: [", encoding="utf-8")

    with pytest.raises(FacegenderError, match="DVC cannot read this project") as raised:
        changed_params()
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_outside_a_project_that_is_told(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    monkeypatch.chdir(folder)

    with pytest.raises(FacegenderError) as raised:
        changed_params()
    assert str(raised.value) == f"{folder}: not in a DVC project; run this in the project's folder"
