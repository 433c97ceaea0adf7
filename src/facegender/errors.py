"""The one exception that a user's mistake raises, and how it reaches the terminal."""

import argparse
import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of control and format characters, lone surrogates, and separators of lines and paragraphs."""

_NO_MEMORY = re.compile(
    "failed to map segment|can't start new thread|Resource temporarily unavailable|Cannot allocate memory|bad_alloc"
    "|OOM when|can't alloc"
)
"""What the dynamic linker, Python, threads in C++ (pthread_create), OpenVINO and TensorFlow say if memory runs out."""

PARTIAL = ".partial-"
"""How the name of a file or folder begins while it is written beside its place."""

_PARTIAL_NAME = re.compile(rf"(^|/){re.escape(PARTIAL)}(?=[^/])")


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
    """End the process with status 1 and one line on stderr for all that `in_one_line` knows, except for Ctrl-C.

    What the terminal's encoding lacks is printed as an escape, not refused. Streams that the caller closed (`>&-`) are
    empty or lead nowhere.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except Exception as error:
        line = in_one_line(error)
        if line is None:
            raise
        sys.exit(line)


def in_one_line(error: BaseException) -> str | None:
    """Return what the terminal is told instead of a traceback, or None for a bug in the program.

    It is a user's mistake, what the operating system refuses, a lack of memory, or Ctrl-C. `FacegenderErrors` have
    several lines.
    """
    if isinstance(error, FacegenderErrors):
        return "\n".join(f"error: {one}" for one in error.errors)
    if isinstance(error, FacegenderError):
        told = error
    elif isinstance(error, KeyboardInterrupt):
        told = FacegenderError("", "interrupted", "to go on, start it again")
    elif _lacks_memory(error):
        told = FacegenderError("this machine", "memory ran out", "close other programs, or lower train.batch_size")
    elif "worker process managed by the executor was unexpectedly terminated" in str(error):  # joblib's words.
        what = "a worker process was killed, perhaps because memory ran out"
        told = FacegenderError("this machine", what, "close other programs and try again")
    elif isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free space on its disk and try again" if full else "fix that and try again"
        told = FacegenderError(_named(error.filename), error.strerror or str(error), remedy)
    else:
        return None
    return f"error: {told}"


def _named(path: Any) -> str:
    """Name what an error of the operating system is about: a file that is being written by its final name."""
    if not path:
        return "the operating system"
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
    return _PARTIAL_NAME.sub(r"\1", text)


def _lacks_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        # TensorFlow's error is of a class of its own, and also tells of a full disk.
        known = isinstance(error, (ImportError, RuntimeError)) or type(error).__name__ == "ResourceExhaustedError"
        if known and _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def tell_in_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print what `in_one_line` returns, or the traceback of a bug; as `sys.excepthook`, also during imports."""
    line = in_one_line(error)
    if line is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        print(line, file=sys.stderr)


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
