"""The one exception that a user's mistake raises, and how it reaches the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class FacegenderError(Exception):
    """A mistake in the user's input: one line that says what, where and what to do about it."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with status 1 and one line on stderr when the block raises a FacegenderError."""
    try:
        yield
    except FacegenderError as error:
        sys.exit(f"error: {error}")
