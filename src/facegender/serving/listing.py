"""What is said of photographs, as a table to read, CSV or JSON; each gives the number of files without a judgement."""

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from facegender.serving.photographs import Judgement

_BOX = ("left", "top", "right", "bottom")


def print_table(judgements: Iterable[Judgement], file: TextIO) -> int:
    """Print a line for each judgement as it comes; a face of an aligned photograph has its number."""
    print(f"{'P(Male)':>7}  {'label':<7}  {'face':>4}  photograph", file=file)
    bad = 0
    for judgement in judgements:
        if judgement.probability is None:
            bad += 1
            print(f"{'':>7}  {'error':<7}  {'':>4}  {judgement.path}: {judgement.error}", file=file, flush=True)
        else:
            line = f"{judgement.probability:7.3f}  {judgement.label:<7}  {judgement.face or '':>4}  {judgement.path}"
            print(line, file=file, flush=True)
    return bad


def print_csv(judgements: Iterable[Judgement], file: TextIO) -> int:
    """Print a row for each judgement as it comes."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("path", "face", *_BOX, "probability", "label", "error"))
    bad = 0
    for judgement in judgements:
        bad += judgement.error is not None
        box = judgement.box or [None] * len(_BOX)
        writer.writerow((judgement.path, judgement.face, *box, judgement.probability, judgement.label, judgement.error))
    return bad


def print_json(judgements: Iterable[Judgement], file: TextIO) -> int:
    """Print a list with an object for each judgement, as it comes."""
    bad = 0
    separator = "["
    for judgement in judgements:
        bad += judgement.error is not None
        print(f"{separator}\n  {json.dumps(judgement._asdict())}", end="", file=file)
        separator = ","
    print("[]" if separator == "[" else "\n]", file=file)
    return bad
