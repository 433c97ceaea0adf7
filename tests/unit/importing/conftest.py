"""A source that most tests of an import use, and a folder to import in."""

import shutil
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.unit.importing.helpers import jpeg, write


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    files = {f"{name}/{n}.jpg": jpeg(n + add) for name, add in (("male", 0), ("female", 300)) for n in range(20)}
    return write(tmp_path / "faces", files)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with the parameters of this repository."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "params", folder / "params")
    shutil.copy(ROOT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder
