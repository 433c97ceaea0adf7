"""Predictions printed as a table to read, as CSV or as JSON; each function returns the number of files that failed."""

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from facegender.serving.photographs import Prediction

_BOX = ("left", "top", "right", "bottom")


def print_table(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Print a line for each prediction as it comes; the face number is blank where a photograph was taken whole."""
    print(f"{'P(Male)':>7}  {'predicted':<9}  {'face':>4}  photograph", file=file)
    failed = 0
    for row in predictions:
        if row.probability is None:
            failed += 1
            print(f"{'':>7}  {'error':<9}  {'':>4}  {row.path}: {row.error}", file=file, flush=True)
        else:
            line = f"{row.probability:7.3f}  {row.predicted:<9}  {row.face or '':>4}  {row.path}"
            print(line, file=file, flush=True)
    return failed


def print_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Print a row for each prediction as it comes."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("path", "face", *_BOX, "probability", "predicted", "error"))
    failed = 0
    for row in predictions:
        failed += row.error is not None
        box = row.box or [None] * len(_BOX)
        writer.writerow((row.path, row.face, *box, row.probability, row.predicted, row.error))
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
