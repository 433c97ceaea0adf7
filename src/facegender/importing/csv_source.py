"""The reader of a CSV file of image paths and labels."""

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facegender.data.celeba import ATTRIBUTES, LABEL
from facegender.errors import FacegenderError
from facegender.files import as_stored, check_has_an_end, kind_of_file
from facegender.importing.kinds import KINDS, LABEL_NAMES, PARTITION_NAMES, Found, plain_name

COLUMNS = {
    "path": ("path", "file", "filename", "file name", "filepath", "file path", "image", "image id", "image path"),
    "label": ("male", "label", "gender", "sex", "class"),
    "identity": ("identity", "person", "person id"),
    "split": ("partition", "split"),
}
"""The names by which each column is recognised, as `plain_name` writes them."""

_BLANK = ("", "nan", "none", "null", "na", "n/a")
"""How programs write a value that is not known, as `plain_name` writes it."""

# In these columns 1 always means Male; in gender and sex it can mean either.
_COLUMNS_WHERE_1_IS_MALE = ("male", "label")


def read_csv(
    path: Path, columns: Mapping[str, str] | None = None, male: str | None = None, image_folder: Path | None = None
) -> Found:
    """Read a CSV file with a header and a row per image.

    Args:
        path: the file: UTF-8, separated by commas.
        columns: names of columns by the keys of `COLUMNS`, for columns of other names.
        male: the label that stands for Male; the only other label is No male. None if the labels are in `LABEL_NAMES`,
            or are 1 and 0 (or -1).
        image_folder: folder that the paths are relative to; None for the folder of the CSV file.

    Raises:
        FacegenderError: a column is missing or ambiguous, it is not clear which label is Male, or the file is not such
            a CSV file.
    """
    header, places, table = _read_rows(path, columns or {})
    labels = parse_labels(table["label"], header[places["label"]], str(path), male)
    folder = path.parent if image_folder is None else image_folder
    # Some CSV files are written on Windows.
    table["source"] = table["path"].str.replace("\\", "/")
    table["path"] = [as_stored(os.path.join(folder, name)) for name in table["source"]]
    reasons = pd.Series("", table.index)
    if "split" in places:
        table["partition"] = table["split"].map(lambda name: PARTITION_NAMES.get(plain_name(name), -1)).astype(np.int8)
        reasons[table["partition"] == -1] = "no partition such as train, val, test, 0, 1 or 2"
    reasons[labels == -1] = "no label of either class"
    reasons[table["source"] == ""] = "no path"
    bad = table[reasons != ""]
    problems = [
        ": ".join(filter(None, (path.name, f"line {line}", source, reasons[row])))
        for row, line, source in zip(bad.index, bad["line"], bad["source"], strict=True)
    ]
    table.insert(0, LABEL, labels)
    table = table[reasons == ""].drop(columns=["line", "label", "split"], errors="ignore")
    table = table.rename(columns={"identity": "identity_name"})
    used = ", ".join(f"{header[place]} ({role})" for role, place in places.items())
    return Found(table.reset_index(drop=True), problems, f"{KINDS['csv']}: columns {used}")


def _read_rows(path: Path, columns: Mapping[str, str]) -> tuple[list[str], dict[str, int], pd.DataFrame]:
    """Read the header, the place of each column of `COLUMNS`, and the rows.

    The rows have the columns `line` (number in the file), the columns of `COLUMNS` that there are (str), and one for
    each further attribute of CelebA (0, 1).
    """
    try:
        check_has_an_end(path)
        if kind := kind_of_file(path):
            raise FacegenderError(path, f"{kind}, not a CSV file", "download it again, or unpack it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            places = _column_places(path, header, columns)
            attributes = {name: place for place, name in enumerate(header) if name in ATTRIBUTES and name != LABEL}
            rows = []
            values = []
            for row in reader:
                if not any(map(str.strip, row)):
                    continue
                where = f"{path}: line {reader.line_num}"
                if len(row) != len(header):
                    raise FacegenderError(where, f"{len(row)} columns instead of {len(header)}", "correct it")
                rows.append((reader.line_num, *(_known(row[place]) for place in places.values())))
                values.append(_attribute_values(where, row, attributes))
    except UnicodeDecodeError as error:
        raise FacegenderError(path, "not UTF-8 text", "save it as UTF-8") from error
    except csv.Error as error:
        raise FacegenderError(f"{path}: line {reader.line_num}", str(error), "correct it") from error
    except OSError as error:
        raise FacegenderError(path, str(error.strerror), "use a CSV file that can be read") from error
    if not rows:
        raise FacegenderError(path, "no rows", "get the complete file")
    table = pd.DataFrame(rows, columns=["line", *places])
    table[list(attributes)] = np.frombuffer(b"".join(values), np.int8).reshape(len(rows), len(attributes))
    return header, places, table


def _column_places(path: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise FacegenderError(path, "columns are separated by semicolons or tabs", "save it with commas")
    places = {}
    for role, known in COLUMNS.items():
        name = columns.get(role)
        found = [
            place
            for place, column in enumerate(header)
            if (column == name if name is not None else plain_name(column) in known)
        ]
        option = f"--{role}-column"
        if len(found) > 1:
            shown = ", ".join(header[place] for place in found)
            raise FacegenderError(path, f"{shown} could each be the {role}", f"name the right column with {option}")
        if found:
            places[role] = found[0]
        elif name is not None:
            raise FacegenderError(path, f"no column {name} among {', '.join(header)}", f"correct {option}")
        elif role in ("path", "label"):
            raise FacegenderError(path, f"no column of the {role} among {', '.join(header)}", f"name it with {option}")
    return places


def _known(value: str) -> str:
    return "" if plain_name(value) in _BLANK else value.strip()


def _attribute_values(where: str, row: list[str], attributes: Mapping[str, int]) -> bytes:
    """Return a row's values of further attributes: one byte each, 0 or 1."""
    values = bytearray()
    for name, place in attributes.items():
        value = plain_name(row[place])
        if value not in ("1", "0", "-1"):
            raise FacegenderError(where, f"{name} is {row[place]!r}, must be 1 or -1 (or 1 or 0)", "correct the row")
        values.append(value == "1")
    return bytes(values)


def parse_labels(labels: pd.Series, column: str, where: str, male: str | None = None) -> pd.Series:
    """Convert labels that are written in any of the usual ways.

    Args:
        labels: str.
        column: name of their column.
        where: the place that an error names.
        male: the label that stands for Male; the only other label is No male.

    Returns:
        int8: 1 Male, 0 No male, -1 neither.

    Raises:
        FacegenderError: it is not clear which label is Male.
    """
    plain = labels.map(plain_name)
    values = set(plain) - {""}
    shown = ", ".join(sorted(values)[:5])
    where = f"{where}: column {column}"
    codes: Mapping[str, int]
    if male is not None:
        others = sorted(values - {plain_name(male)})
        if len(others) != 1 or plain_name(male) not in values:
            raise FacegenderError(
                where,
                f"has the labels {shown}, but --male must name one of two",
                "correct --male, or remove the rows with other labels",
            )
        codes = {plain_name(male): 1, others[0]: 0}
    elif values & set(LABEL_NAMES):
        codes = LABEL_NAMES
    elif values & {"1", "0", "-1"}:
        if plain_name(column) not in _COLUMNS_WHERE_1_IS_MALE:
            raise FacegenderError(where, "coded in numbers", "say which number is Male with --male")
        if {"0", "-1"} <= values:
            raise FacegenderError(where, "both 0 and -1", "use only one of them, for No male")
        codes = {"1": 1, "0": 0, "-1": 0}
    else:
        raise FacegenderError(where, f"has the labels {shown}", "say which is Male with --male")
    return plain.map(lambda value: codes.get(value, -1)).astype(np.int8)
