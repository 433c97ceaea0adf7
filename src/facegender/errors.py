"""The one exception that a user's mistake raises, and how it reaches the terminal."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class FacegenderError(Exception):
    """A mistake in the user's input.

    Attributes:
        where: file, row or key.
        what: what is wrong there.
        remedy: what to do about it.
        details: a line for each case, where there are several.
    """

    def __init__(self, where: str | Path, what: str, remedy: str, details: Sequence[str] = ()) -> None:
        """Keep the fields."""
        super().__init__(where, what, remedy, details)
        self.where, self.what, self.remedy, self.details = str(where), what, remedy, tuple(details)

    @property
    def reason(self) -> str:
        """What is wrong and what to do about it, without the place."""
        return "; ".join(part for part in (self.what, self.remedy) if part)

    def __str__(self) -> str:
        """Return one line, and below it the details, indented."""
        line = ": ".join(part for part in (self.where, self.reason) if part)
        return ":\n  ".join([line, "\n  ".join(self.details)]) if self.details else line

    def within(self, place: str) -> "FacegenderError":
        """Return the same error with a larger place named first."""
        return FacegenderError(f"{place}: {self.where}", self.what, self.remedy, self.details)


class FacegenderErrors(FacegenderError):
    """Several mistakes at once."""

    def __init__(self, errors: Sequence[FacegenderError]) -> None:
        """Keep the errors; the fields are those of the first one."""
        super().__init__(errors[0].where, errors[0].what, errors[0].remedy)
        self.errors = tuple(errors)
        self.args = (self.errors,)  # For pickle, which calls the class with them.

    def __str__(self) -> str:
        """Return a line for each."""
        return "\n".join(map(str, self.errors))

    def within(self, place: str) -> "FacegenderErrors":
        """Return the same errors with a larger place named first."""
        return FacegenderErrors([error.within(place) for error in self.errors])


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with status 1 and one line on stderr for a user's mistake or an OSError, such as a full disk."""
    try:
        yield
    except FacegenderError as error:
        errors = error.errors if isinstance(error, FacegenderErrors) else (error,)
        sys.exit("\n".join(f"error: {one}" for one in errors))
    except OSError as error:
        place = error.filename or "the operating system"
        sys.exit(f"error: {FacegenderError(place, error.strerror or str(error), 'fix that and try again')}")
