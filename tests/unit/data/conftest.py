from collections.abc import Callable

import pytest

from tests.unit.data.memory_s3 import MemoryS3


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], MemoryS3]:
    """Put objects, by bucket and path, where s3fs would find them."""

    def put(objects: dict[str, bytes]) -> MemoryS3:
        made = MemoryS3(objects)
        monkeypatch.setattr("s3fs.S3FileSystem", lambda: made)
        return made

    return put
