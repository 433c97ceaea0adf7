"""Iterators: the next item made while the present one is used, and items by the batch."""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items in order; a thread makes the next one meanwhile. What it raises is raised here."""
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
