"""Readers of CelebA's lists (attributes, partitions, identities) in all the forms that people have them in."""

import csv
import io
import os
import re
import unicodedata
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from facegender.data.celeba import ATTRIBUTES, IMAGE_ID, LABEL
from facegender.errors import FacegenderError, shortened
from facegender.files import check_has_an_end, what_it_is

_RESERVED = (IMAGE_ID, "partition", "identity", "label")

_SEPARATOR = "\x1f"
"""ASCII's unit separator. It is put between the fields of every row first, as a comma or space can be part of an id."""

# Of up to 30 digits: Python refuses to convert thousands.
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.0*)?")

_OF_INTEGERS = f"0123456789+-. {_SEPARATOR}".encode()
_ZERO_DECIMALS = re.compile(rf"(?<=[0-9])\.0*(?= *(?:{_SEPARATOR}|$))")

# A field in quotes, or as it is; by the separator before and behind it. A quote inside quotes is doubled (RFC 4180).
_FIELD = {mark: re.compile(rf'(?:^|{mark} *)(?:"((?:[^"]|"")*)"|([^{mark}]*?)) *(?={mark}|$)') for mark in ", "}


def read_attributes(path: str | Path) -> pd.DataFrame:
    """Read the attribute list.

    Args:
        path: a csv whose header is `image_id` (or empty) and attribute names, or CelebA's own text: an optional count
            line, attribute names, then rows of an id and values, separated by spaces.

    Returns:
        One int8 column per attribute, 0 or 1, `Male` among them; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, is not text or has a bad row; names the file and the line.
    """
    lines, first_line = _read_rows(path)
    names = [name.strip() for name in lines[0].split(_SEPARATOR)]
    rows, first_row = lines[1:], first_line + 1
    if names[0] in (IMAGE_ID, ""):
        names = names[1:]
    elif names[0] not in ATTRIBUTES and rows and rows[0].count(_SEPARATOR) == len(names) - 1 and LABEL in names:
        _raise_misnamed_id(path, first_line, names[0])
    _check_attribute_names(path, names, first_line)
    table = _parse(path, names, rows, first_row, range(-1, 2), "1 or -1 (or 1 or 0)", np.int8)
    values = table.to_numpy()
    if (values == -1).any():
        _check_one_coding(path, names, values, first_row)
        table[:] = (values == 1).astype(np.int8)
    return table


def read_partitions(path: str | Path) -> pd.Series:
    """Read the official partition of every image.

    Args:
        path: rows of an id and a number separated by a comma or spaces, with or without a header.

    Returns:
        int8 named `partition`: 0 train, 1 val, 2 test; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, is not text or has a bad row; names the file and the line.
    """
    return _read_pairs(path, "partition", range(3), "0 (train), 1 (val) or 2 (test)", np.int8)


def read_identities(path: str | Path) -> pd.Series:
    """Read the identity on every image.

    Args:
        path: rows of an id and a number separated by a comma or spaces, with or without a header.

    Returns:
        int64 named `identity`; index `image_id`; rows in file order.

    Raises:
        FacegenderError: the file is missing, is not text or has a bad row; names the file and the line.
    """
    return _read_pairs(path, "identity", range(2**63 - 1), "a whole number", np.int64)


def known_identities(path: str | Path) -> pd.Series | None:
    """Read the identity on every image as `read_identities` does; return None if they are not known.

    DVC needs a path that always exists, so a file that holds only the word `unknown` says so. An empty one does too,
    but DVC warns of it.
    """
    if os.path.isfile(path) and Path(path).read_bytes().strip() in (b"unknown", b""):
        return None
    return read_identities(path)


def read_annotations(
    attributes: str | Path, partitions: str | Path | None = None, identities: str | Path | None = None
) -> pd.DataFrame:
    """Read the lists and join them by image id.

    Args:
        attributes: path of the attribute list.
        partitions: path of the partition list; holds the same images. None for no column `partition`.
        identities: path of the identity list, read as `known_identities` does; holds these images and perhaps more.
            None for no column `identity`.

    Returns:
        The attribute columns, int8, then `partition`, int8, and `identity`, int64, where they are known; index
        `image_id`; rows in the order of the attribute list.

    Raises:
        FacegenderError: a list cannot be read, or an image is missing from one of them.
    """
    annotations = read_attributes(attributes)
    if partitions is not None:
        partition = read_partitions(partitions)
        _check_same_images(attributes, annotations.index, partitions, partition.index)
        annotations["partition"] = partition.reindex(annotations.index).astype(np.int8)
    identity = None if identities is None else known_identities(identities)
    if identities is not None and identity is not None:
        # A sample of CelebA usually comes with the identity list of all its images.
        listed = identity.index[identity.index.isin(annotations.index)]
        _check_same_images(attributes, annotations.index, identities, listed)
        annotations["identity"] = identity.reindex(annotations.index).astype(np.int64)
    return annotations


def _check_same_images(path: str | Path, ids: pd.Index, other_path: str | Path, other_ids: pd.Index) -> None:
    unmatched = [
        f"{len(only)} only in {place} (first: {only[0]}, line {_line_of(place, only[0])})"
        for place, only in (
            (path, ids.difference(other_ids, sort=False)),
            (other_path, other_ids.difference(ids, sort=False)),
        )
        if len(only)
    ]
    if unmatched:
        raise FacegenderError(
            f"{path} and {other_path}",
            f"they do not list the same images: {' and '.join(unmatched)}",
            "use both from the same copy of the data set, or remove these rows",
        )


def _line_of(path: str | Path, image_id: str) -> int:
    rows, first_line = _read_rows(path)
    return next(line for line, row in enumerate(rows, first_line) if row.split(_SEPARATOR)[0] == image_id)


def _read_rows(path: str | Path) -> tuple[list[str], int]:
    """Read a list's rows without the count line, `_SEPARATOR` between their fields; and the first row's line number."""
    text = _read_text(path)
    first, _, rest = text.partition("\n")
    number = 1
    if first.strip().isdecimal():
        if not rest:
            raise FacegenderError(path, "it has a count line but no rows", "get the complete file")
        text, number = rest, 2
    where = f"{path}: line {number}"
    # Text in quotes does not show what separates the columns.
    head = re.sub('"[^"]*"', '""', text.partition("\n")[0])
    if not head.strip():
        raise FacegenderError(where, "the line is blank", "remove it")
    mark = "," if "," in head else " "
    if mark != ",":
        for other, name in ((";", "semicolons"), ("\t", "tabs")):
            if other in head:
                raise FacegenderError(where, f"columns are separated by {name}", "save the list with commas")
    if '"' not in text:
        return _separate(text, mark).split("\n"), number
    rows = [_separate_quoted(row, mark) if '"' in row else _separate(row, mark) for row in text.split("\n")]
    return rows, number


def _read_text(path: str | Path) -> str:
    """Read a text file; its lines end in a line feed, and it does not end in white space."""
    try:
        check_has_an_end(path)
        content = Path(path).read_bytes()
    except OSError as error:
        if os.path.isdir(path):
            raise FacegenderError(path, "this is a folder", "use the list's file") from error
        is_forbidden = isinstance(error, PermissionError)
        remedy = "make it readable" if is_forbidden else "put the list there or change params.yaml"
        raise FacegenderError(path, error.strerror or str(error), remedy) from error
    remedy = "use the unpacked list, saved as UTF-8"
    if kind := what_it_is(content):
        raise FacegenderError(path, f"{kind}, not a list", "download the list again, and unpack it")
    if b"\0" in content or _SEPARATOR.encode() in content:
        raise FacegenderError(path, "not a text file", remedy)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FacegenderError(f"{path}: line {line}", "not UTF-8 text", remedy) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not text:
        raise FacegenderError(path, "the file is empty", "get the file again")
    # Another list of the same images may write accented letters in the other form.
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _separate(text: str, mark: str) -> str:
    """Put `_SEPARATOR` between the fields of one or more lines without quotes, separated by a comma or by spaces."""
    if mark == ",":
        return re.sub(" *, *", _SEPARATOR, text) if " " in text else text.replace(",", _SEPARATOR)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.replace(" \n", "\n").replace("\n ", "\n").strip(" ").replace(" ", _SEPARATOR)


def _separate_quoted(row: str, mark: str) -> str:
    """Put `_SEPARATOR` between the fields of a line; a field in quotes loses them, other quotes stay."""
    row = row.strip(" ")
    last = row.rindex('"')
    rest_of_field, found, values = row[last:].partition(mark)
    fields = [quoted.replace('""', '"') or plain for quoted, plain in _FIELD[mark].findall(row[:last] + rest_of_field)]
    # Often only the id is in quotes; the regular expression is slow for 40 values.
    return _SEPARATOR.join([*fields, _separate(values.strip(" "), mark)] if found else fields)


def _read_pairs(path: str | Path, name: str, allowed: range, expected: str, dtype: type) -> pd.Series:
    rows, first_row = _read_rows(path)
    header = [field.strip() for field in rows[0].split(_SEPARATOR)]
    if header[-1] == name:
        if len(header) == 2 and header[0] not in (IMAGE_ID, ""):
            _raise_misnamed_id(path, first_row, header[0])
        rows, first_row = rows[1:], first_row + 1
    elif header[0] == IMAGE_ID:
        what = f"the last column is {header[-1]!r}, not {name!r}"
        raise FacegenderError(f"{path}: line {first_row}", what, f"use the {name} list")
    return _parse(path, [name], rows, first_row, allowed, expected, dtype)[name]


def _parse(
    path: str | Path, names: list[str], rows: list[str], first_row: int, allowed: range, expected: str, dtype: type
) -> pd.DataFrame:
    """Turn rows of an id and values into a table of integers in `allowed`; `first_row` is the first one's line."""
    if not rows:
        raise FacegenderError(path, "it has a header but no rows", "get the complete file")
    if any(row.count(_SEPARATOR) != len(names) for row in rows):
        _raise_ragged(path, rows, first_row, len(names) + 1)
    written = "".join([row.partition(_SEPARATOR)[2] for row in rows])
    # pandas 2.3 takes 1e-5 for 0, and crashes at 1e2147483648.
    if written.encode().translate(None, _OF_INTEGERS):
        _raise_bad_value(path, names, rows, first_row, allowed, expected)
    if "." in written:
        # As floats, integers from 2^53 on would be rounded.
        rows = [_without_decimals(row) for row in rows]
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(rows)),
            sep=_SEPARATOR,
            header=None,
            names=[IMAGE_ID, *names],
            index_col=False,
            # int64, as pandas lets 257 wrap around to 1 in int8.
            dtype={IMAGE_ID: str, **dict.fromkeys(names, np.int64)},
            na_filter=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
        )
    except (ValueError, OverflowError):
        _raise_bad_value(path, names, rows, first_row, allowed, expected)
    table = table.set_index(IMAGE_ID)
    values = table.to_numpy()
    if values.min() < allowed.start or values.max() >= allowed.stop:
        _raise_bad_value(path, names, rows, first_row, allowed, expected)
    _check_ids(path, table.index, first_row)
    return table.astype(dtype)


def _without_decimals(row: str) -> str:
    image_id, separator, values = row.partition(_SEPARATOR)
    return image_id + separator + _ZERO_DECIMALS.sub("", values)


def _check_attribute_names(path: str | Path, names: list[str], line: int) -> None:
    where = f"{path}: line {line}"
    if LABEL not in names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        near = [name for name in names if name.casefold() == LABEL.casefold()]
        remedy = f"rename {near[0]} to {LABEL}" if near else "use the list whose header names attributes"
        raise FacegenderError(where, f"no column {LABEL} among {shown}", remedy)
    for name in names:
        if not name:
            raise FacegenderError(where, f"column {names.index(name) + 2} has no name", "name or remove it")
        if name in _RESERVED:
            raise FacegenderError(where, f"column {name} is not an attribute", "remove or rename it")
        if names.count(name) > 1:
            raise FacegenderError(where, f"column {name} appears twice", "remove one")


def _check_one_coding(path: str | Path, names: list[str], values: np.ndarray, first_row: int) -> None:
    places = [np.argwhere(values == no) for no in (0, -1)]
    if all(map(len, places)):
        zero, minus = (f"{names[column]} in line {row + first_row}" for row, column in (found[0] for found in places))
        what = f"both 0 ({zero}) and -1 ({minus}) mean no"
        raise FacegenderError(path, what, "use only one of them")


def _check_ids(path: str | Path, ids: pd.Index, first_row: int) -> None:
    duplicated = ids.duplicated()
    if duplicated.any():
        second = int(np.argmax(duplicated))
        first = int(np.argmax(ids == ids[second]))
        what = f"{ids[second]!r} is already in line {first_row + first}"
        raise FacegenderError(f"{path}: line {first_row + second}", what, "remove one")
    for line, image_id in enumerate(ids, first_row):
        if not image_id or "/" in image_id or "\\" in image_id:
            what = f"image id {shortened(image_id)!r} must be a file name without folders"
            raise FacegenderError(f"{path}: line {line}", what, "fix the row")


def _raise_misnamed_id(path: str | Path, line: int, name: str) -> NoReturn:
    raise FacegenderError(f"{path}: line {line}", f"the first column is {name!r}", f"rename it to {IMAGE_ID}")


def _raise_ragged(path: str | Path, rows: list[str], first_row: int, columns: int) -> NoReturn:
    position, row = next((i, row) for i, row in enumerate(rows) if row.count(_SEPARATOR) != columns - 1)
    where = f"{path}: line {first_row + position}"
    found = row.count(_SEPARATOR) + 1
    if found == 1 and not row.strip():
        raise FacegenderError(where, "the line is blank", "remove it")
    what = f"{found} column{'s' * (found > 1)} instead of {columns}"
    raise FacegenderError(where, what, "fix or remove the row")


def _raise_bad_value(
    path: str | Path, names: list[str], rows: list[str], first_row: int, allowed: range, expected: str
) -> NoReturn:
    for line, row in enumerate(rows, first_row):
        for name, value in zip(names, row.split(_SEPARATOR)[1:], strict=True):
            # strip() alone would accept a no-break space, which the caller refuses.
            if not _NUMBER.fullmatch(value.strip(" ")) or int(value.split(".")[0]) not in allowed:
                shown = repr(shortened(value)) if value.strip() else "blank"
                what = f"{name} is {shown}, must be {expected}"
                raise FacegenderError(f"{path}: line {line}", what, "fix or remove the row")
    raise FacegenderError(path, f"one value is not {expected}", "fix it")
