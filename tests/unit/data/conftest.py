from collections.abc import Callable

import pytest

from tests.unit.data.store import Store


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], Store]:
    """Put objects, by bucket and path, where s3fs would find them."""

    def put(objects: dict[str, bytes]) -> Store:
        made = Store(objects)
        monkeypatch.setattr("s3fs.S3FileSystem", lambda: made)
        return made

    return put
