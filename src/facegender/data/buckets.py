"""Files in S3 buckets, read through s3fs, which is loaded only for them.

Credentials and endpoint come from where Amazon's own tools take them. All functions raise a FacegenderError if a path
cannot be read, or s3fs is not installed.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from facegender.errors import FacegenderError

S3 = "s3://"
"""How a path in a bucket begins."""

_BLOCK = 2**20
"""Bytes that a read fetches at least: some dozen images of CelebA, which are read in the order of the lists."""


def is_folder(path: str) -> bool:
    """Return whether a path is a folder, and not an object."""
    with s3_errors(path):
        return bool(_file_system(path).info(path)["type"] == "directory")


def open_file(path: str) -> IO[bytes]:
    """Open an object to read parts of it; reads raise what s3fs raises: use `s3_errors`."""
    with s3_errors(path):
        opened: IO[bytes] = _file_system(path).open(path, "rb", block_size=_BLOCK, cache_type="readahead")
        return opened


def list_sizes(folder: str) -> dict[str, int]:
    """Return the size in bytes of each object below a folder, by its path, sorted."""
    with s3_errors(folder):
        found = _file_system(folder).find(folder, detail=True)
    return {f"{S3}{name}": int(details["size"]) for name, details in sorted(found.items())}


def read_file(path: str) -> bytes:
    """Return an object's content."""
    with s3_errors(path):
        content: bytes = _file_system(path).cat_file(path)
        return content


@contextmanager
def s3_errors(path: str) -> Iterator[None]:
    """Turn what S3 and its client raise while `path` is read into a FacegenderError."""
    try:
        yield
    except FileNotFoundError as error:
        remedy = "put the images there or change dataset.images"
        raise FacegenderError(path, "no such file or folder in the bucket", remedy) from error
    except _client_errors() as error:
        reason = " ".join(str(error).split()).rstrip(".")
        remedy = "check the network, AWS_ENDPOINT_URL and your credentials for S3"
        raise FacegenderError(path, f"cannot be read ({reason})", remedy) from error


def _file_system(path: str) -> Any:
    try:
        from s3fs import S3FileSystem
    except ModuleNotFoundError as error:
        remedy = "run: pip install -r requirements-s3.txt"
        raise FacegenderError(path, "needs the package s3fs, which is not installed", remedy) from error
    if not path.removeprefix(S3).strip("/"):
        raise FacegenderError(path, "names no bucket", "write s3://BUCKET/PATH")
    return S3FileSystem()


def _client_errors() -> tuple[type[Exception], ...]:
    try:
        from aiohttp import ClientError
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError:
        return (OSError,)
    # s3fs passes on what its clients raise, such as a ClientPayloadError if an answer breaks off. Before Python 3.11,
    # asyncio's TimeoutError is no OSError.
    return (OSError, asyncio.TimeoutError, BotoCoreError, ClientError)
