"""Predictions printed as a table to read, as CSV or as JSON; each function returns the number of files that failed."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from facegender.data.folders import describe_counts
from facegender.errors import visible
from facegender.serving.labels import UNSURE
from facegender.serving.photographs import Prediction

_BOX = ("left", "top", "right", "bottom")
_HEADINGS = ("P(Male)", "predicted", "face", "photograph")
_ERROR = "error"
_STARTS_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""https://owasp.org/www-community/attacks/CSV_Injection; the last four are the wide forms of the first."""


def print_table(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Print a line for each prediction as it comes; the face number is blank where a photograph was taken whole."""
    console = Console(file=file, highlight=False) if file.isatty() else None
    failed = 0
    _print_row(_HEADINGS, "bold underline", file, console)
    for row in predictions:
        failed += row.error is not None
        style = "red" if row.error is not None else "dim" if row.predicted == UNSURE else ""
        _print_row(_cells(row), style, file, console)
    return failed


def _cells(row: Prediction) -> tuple[str, str, str, str]:
    if row.probability is None:
        return "", _ERROR, "", visible(f"{row.path}: {row.error}")
    return f"{row.probability:.3f}", str(row.predicted), str(row.face or ""), visible(row.path)


def _print_row(cells: tuple[str, str, str, str], style: str, file: TextIO, console: Console | None) -> None:
    probability, predicted, face, photograph = cells
    if console is None:
        print(f"{probability:>7}  {predicted:<9}  {face:>4}  {photograph}", file=file, flush=True)
        return
    # A table for each row, as a whole one would be shown only at the end.
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=7, justify="right")
    table.add_column(width=9)
    table.add_column(width=4, justify="right")
    table.add_column(overflow="fold")
    table.add_row(*(Text(cell, style) for cell in cells))
    console.print(table)


def print_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Print a row for each prediction as it comes.

    A path that a spreadsheet would take for a formula starts with `./`, which means the same file.
    """
    # Only with this end of lines does the writer quote a name that contains a carriage return.
    lines = SimpleNamespace(write=lambda line: file.write(line.removesuffix("\r\n") + "\n"))
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(("path", "face", *_BOX, "probability", "predicted", "error"))
    failed = 0
    for row in predictions:
        failed += row.error is not None
        box = row.box or [None] * len(_BOX)
        path = f"./{row.path}" if row.path.startswith(_STARTS_OF_FORMULAS) else row.path
        writer.writerow((path, row.face, *box, row.probability, row.predicted, row.error))
    return failed


def print_json(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Print a list with an object for each prediction, as it comes."""
    failed = 0
    separator = "["
    for row in predictions:
        failed += row.error is not None
        print(f"{separator}\n  {json.dumps(row._asdict())}", end="", file=file)
        separator = ","
    print("[]" if separator == "[" else "\n]", file=file)
    return failed


def passed_over_line(passed_over: Counter[str]) -> str:
    """Say how many files were skipped, by their suffix, the most frequent first."""
    shown = visible(describe_counts(passed_over, most=len(passed_over)))
    return f"files skipped: {passed_over.total()} ({shown}); convert photographs among them to JPEG"
