"""What the tests' tasks do. Workers import it from here."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from facegender.data.shards import ShardFile
from facegender.errors import FacegenderError
from facegender.preparation.augment import Ranges, copy_shards

STARTED = "FACEGENDER_TEST_STARTED"
"""A file that the first task on a doomed node writes."""
DOOMED = "FACEGENDER_TEST_DOOMED"
"""Set on the doomed node: its tasks wait for its end."""


def doubled(items: Iterable[ShardFile]) -> Iterator[bytes]:
    """Yield each content twice in a row."""
    for item in items:
        yield 2 * item.content


def refused(items: Iterable[ShardFile]) -> Iterator[bytes]:
    """Refuse the content `bad` as a user's mistake."""
    for item in items:
        if item.content == b"bad":
            raise FacegenderError(item.name, "is bad", "make it good", ["one detail"])
        yield item.content


def broken(items: Iterable[ShardFile]) -> Iterator[bytes]:
    """Fail on the content `bad` as a defect does."""
    for item in items:
        yield {b"good": item.content}[item.content]


def deadly(items: Iterable[ShardFile]) -> Iterator[bytes]:
    """Crash the process on the content `bad`."""
    for item in items:
        if item.content == b"bad":
            os._exit(1)
        yield item.content


def copies_on_a_doomed_node(shards: Iterable[ShardFile], ranges: Ranges, seed: int, copies: int) -> Iterator[bytes]:
    """Do the work of `copy_shards`, but never on the doomed node, and on others only after it has a task."""
    started = Path(os.environ[STARTED])
    if DOOMED in os.environ:
        started.touch()
        time.sleep(3600)
    while not started.exists():
        time.sleep(0.1)
    return copy_shards(shards, ranges, seed, copies)
