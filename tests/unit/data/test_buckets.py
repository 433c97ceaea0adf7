"""Files in a bucket that is kept in memory, and what S3's client raises; test_remotes.py reads from a server."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError

from facegender.data import buckets
from facegender.errors import FacegenderError
from tests.unit.data.memory_s3 import MemoryS3

READERS = [buckets.is_folder, buckets.open_file, buckets.list_sizes, buckets.read_file]


def test_a_folder_is_told_from_an_object(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/raw/1.jpg": b"one", "bucket/images.zip": b"PK"})

    assert buckets.is_folder("s3://bucket/raw") is buckets.is_folder("s3://bucket/raw/") is True
    assert buckets.is_folder("s3://bucket/images.zip") is False


def test_the_objects_below_a_folder_have_a_path_and_a_size(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/raw/b/2.jpg": b"other", "bucket/raw/1.jpg": b"one", "bucket/elsewhere/3.jpg": b"three"})

    sizes = buckets.list_sizes("s3://bucket/raw")

    assert list(sizes.items()) == [("s3://bucket/raw/1.jpg", 3), ("s3://bucket/raw/b/2.jpg", 5)]


def test_an_object_is_read_whole(s3: Callable[..., MemoryS3]) -> None:
    s3({"bucket/1.jpg": b"one", "bucket/2.jpg": b"other"})

    assert buckets.read_file("s3://bucket/2.jpg") == b"other"


def test_what_is_read_brings_the_mib_behind_it_along_and_no_more(s3: Callable[..., MemoryS3]) -> None:
    # An object of 6 MiB: fsspec would fetch 5 of them by itself.
    content = bytes(100) + b"face" + bytes(6 * 2**20)
    found = s3({"bucket/images.zip": content})

    with buckets.open_file("s3://bucket/images.zip") as file:
        file.seek(100)
        assert file.read(4) == b"face"
        # Without a wait for the network.
        assert file.read(2**20) == bytes(2**20)

    assert found.fetched == [(100, 104 + 2**20)]


@pytest.mark.parametrize("read", READERS)
def test_without_s3fs_the_line_says_what_to_install(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(FacegenderError) as caught:
        read("s3://bucket/a")
    assert str(caught.value) == (
        "s3://bucket/a: needs the package s3fs, which is not installed; run: pip install -r requirements-s3.txt"
    )


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
@pytest.mark.parametrize("read", READERS)
def test_whatever_the_client_raises_is_one_line(error: Exception, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def fail(self, *_: Any, **__: Any) -> Any:
            raise error

        info = open = find = cat_file = fail

    monkeypatch.setattr(buckets, "_file_system", lambda path: Failing())

    with pytest.raises(FacegenderError, match=r"^s3://bucket/a: cannot be read \(.*\); check the network, AWS_ENDP"):
        read("s3://bucket/a")


@pytest.mark.parametrize("path", ["s3://", "s3:///"])
@pytest.mark.parametrize("read", READERS)
def test_a_path_without_a_bucket_is_one_line(path: str, read: Any) -> None:
    with pytest.raises(FacegenderError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: names no bucket; write s3://BUCKET/PATH"
