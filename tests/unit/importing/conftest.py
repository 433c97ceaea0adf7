"""A source that most tests of an import use."""

from pathlib import Path

import pytest

from tests.unit.importing.helpers import jpeg, write


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    files = {f"{name}/{n}.jpg": jpeg(n + add) for name, add in (("male", 0), ("female", 300)) for n in range(20)}
    return write(tmp_path / "faces", files)
