"""Iterators: prepare the next item while the current one is used, and group items into batches."""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items in order while a thread prepares the next one. What `items` raises is raised here."""
    end = object()
    with ThreadPoolExecutor(max_workers=1) as reader:
        waiting = reader.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = reader.submit(next, items, end)
            yield item  # type: ignore[misc]  # It is not `end`.


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield items in order, `size` at a time; the last batch may be shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
