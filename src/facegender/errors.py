"""The one exception that a user's mistake raises, and how it reaches the terminal."""

import argparse
import io
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of control and format characters, lone surrogates, and separators of lines and paragraphs."""


def visible(text: str) -> str:
    """Escape what a terminal would obey or hide, such as control characters, and bytes that are not text."""
    return "".join(_escape(one) if unicodedata.category(one) in _INVISIBLE else one for one in text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # How Python keeps a byte that is not text.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, most: int = 60) -> str:
    """Cut a text that is quoted in a message."""
    return text if len(text) <= most else f"{text[:most]}…"


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
        """Return one line, and below it the details, indented; names in them may contain anything."""
        line = visible(": ".join(part for part in (self.where, self.reason) if part))
        return ":\n  ".join([line, "\n  ".join(map(visible, self.details))]) if self.details else line

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
    """End the process with status 1 and one line on stderr for a user's mistake or an OSError, such as a full disk.

    What the terminal's encoding lacks is printed as an escape, not refused.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except FacegenderError as error:
        errors = error.errors if isinstance(error, FacegenderErrors) else (error,)
        sys.exit("\n".join(f"error: {one}" for one in errors))
    except OSError as error:
        place = error.filename or "the operating system"
        sys.exit(f"error: {FacegenderError(place, error.strerror or str(error), 'fix that and try again')}")


class OneLineParser(argparse.ArgumentParser):
    """Reads the arguments of a script, and ends with status 2 and one line on stderr if they are wrong.

    `prog` is how the script is called, such as `python scripts/NAME.py`, and `description` is its docstring.
    """

    def __init__(self, **options: Any) -> None:
        """Keep the lines of the description in the help."""
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how the script is called."""
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        self.exit(2, f"error: {FacegenderError(self.prog.removeprefix('python '), message, f'use: {usage}')}\n")


def existing_file(text: str) -> Path:
    """Return an argument as the path of a file; as the `type` of `OneLineParser.add_argument`.

    Raises:
        ArgumentTypeError: there is no such file.
    """
    path = Path(text)
    if path.is_dir() or not path.exists():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return path
