import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.data.streams import batched, read_ahead


@given(st.lists(st.one_of(st.integers(), st.none(), st.just(()))))
def test_every_item_comes_in_order(items: list[object]) -> None:
    assert list(read_ahead(iter(items))) == items


def test_the_next_item_is_prepared_while_the_current_one_is_used() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert made.wait(timeout=10)
    assert list(ahead) == [2]


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("cut short")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="cut short"):
        next(ahead)


@given(st.lists(st.integers()), st.integers(1, 7))
def test_batches_are_full_except_the_last(items: list[int], size: int) -> None:
    batches = list(batched(iter(items), size))

    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches[-1:])


def test_a_batch_is_yielded_before_the_next_one_is_read() -> None:
    items = iter(range(5))

    assert next(batched(items, 2)) == [0, 1]
    assert next(items) == 2
