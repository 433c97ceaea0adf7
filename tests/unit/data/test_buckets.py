"""What S3 and its client raise; tests/functional/test_remotes.py reads from a server."""

import asyncio
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError

from facegender.data import buckets
from facegender.errors import FacegenderError


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Access Denied"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        BotoCoreError(),
        aiohttp.ClientPayloadError("Response payload is not completed"),
        asyncio.TimeoutError(),
    ],
)
@pytest.mark.parametrize("read", [buckets.is_folder, buckets.open_file, buckets.list_sizes, buckets.read_file])
def test_whatever_the_client_raises_is_one_line(error: Exception, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def fail(self, *_: Any, **__: Any) -> Any:
            raise error

        info = open = find = cat_file = fail

    monkeypatch.setattr(buckets, "_file_system", lambda path: Failing())

    with pytest.raises(FacegenderError, match=r"^s3://bucket/a: cannot be read \(.*\); check the network, AWS_ENDP"):
        read("s3://bucket/a")


@pytest.mark.parametrize("path", ["s3://", "s3:///"])
@pytest.mark.parametrize("read", [buckets.is_folder, buckets.open_file, buckets.list_sizes, buckets.read_file])
def test_a_path_without_a_bucket_is_one_line(path: str, read: Any) -> None:
    with pytest.raises(FacegenderError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: names no bucket; write s3://BUCKET/PATH"
