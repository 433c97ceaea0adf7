"""What people's own data looks like: the kinds of sources of pictures and labels, and their readers."""

import csv
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from facegender.data.celeba import ATTRIBUTES, CLASSES, LABEL
from facegender.data.folders import list_files
from facegender.data.images import IMAGE_SUFFIXES
from facegender.errors import FacegenderError

KINDS = {
    "celeba": "CelebA's own lists and images",
    "classes": "a folder per class",
    "utkface": "UTKFace file names",
    "csv": "a csv of path and label",
}

NAMES = {
    **dict.fromkeys(("male", "males", "man", "men", "m"), 1),
    **dict.fromkeys(("no male", "not male", "female", "females", "woman", "women", "f"), 0),
}
"""What folders and labels are called that need no explanation, as `plain_name` gives them."""

PARTITION_NAMES = {
    **dict.fromkeys(("train", "training", "0"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "1"), 1),
    **dict.fromkeys(("test", "testing", "2"), 2),
}

COLUMNS = {
    "path": ("path", "file", "filename", "file name", "filepath", "file path", "image", "image id", "image path"),
    "label": ("male", "label", "gender", "sex", "class"),
    "person": ("identity", "person", "person id"),
    "split": ("partition", "split"),
}
"""The names that a csv's columns are known by, as `plain_name` gives them."""

# The labels of these columns are 1 for Male beyond doubt; gender and sex are coded either way.
_COLUMNS_WHERE_1_IS_MALE = ("male", "label")
# [age]_[gender]_[race]_[date and time].jpg, as https://susanqq.github.io/UTKFace/ says; gender: 0 male, 1 female.
_UTKFACE_NAME = re.compile(r"\d{1,3}_([01])_[0-4]_\d+(\D.*)?")


class Found(NamedTuple):
    """What a source holds.

    `pictures` has a row per picture and the columns `path` (of the file), `source` (what the picture is called in
    messages and in sources.csv), `Male` (0, 1), perhaps `partition` (0, 1, 2), `person` (str, blank: unknown) and other
    attributes of CelebA (0, 1). `problems` has a line for each picture that is left out of it.
    """

    pictures: pd.DataFrame
    problems: list[str]
    description: str


def plain_name(text: str) -> str:
    """Bring a name or label to the form that `NAMES` and others have: `No_Male` to `no male`, `1.0` to `1`."""
    text = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", text.strip().casefold())
    return re.sub(r"^\+?(-?\d+)(\.0*)?$", r"\1", text)


def find_kind(source: Path, male: str | None = None) -> str:
    """Find out which of `KINDS` a source is.

    Raises:
        FacegenderError: it is none of them, or could be several.
    """
    if source.is_file():
        if source.suffix.lower() == ".csv":
            return "csv"
        with open_zip(source) as archive:
            if celeba_lists(archive.namelist()):
                return "celeba"
        raise FacegenderError(f"{source}: a zip without CelebA's attribute list; unpack it and give the folder")
    if celeba_lists(list_files(source)):
        return "celeba"
    pictures = _pictures(source)
    kinds = [
        kind
        for kind, is_it in (
            ("classes", len(set(_class_names(pictures, male).values())) == 2),
            ("utkface", 2 * sum(bool(_utkface_gender(name)) for name in pictures) > len(pictures)),
            ("csv", len(list(source.glob("*.csv"))) == 1),
        )
        if is_it
    ]
    if len(kinds) > 1:
        raise FacegenderError(f"{source}: could be {' or '.join(KINDS[kind] for kind in kinds)}; say which with --kind")
    if not kinds:
        raise FacegenderError(
            f"{source}: {len(pictures)} pictures, but no lists of CelebA, folders of both classes (male, female …), "
            "UTKFace's file names or one csv; name the folder that is Male with --male"
        )
    return kinds[0]


def read_source(source: Path, kind: str, male: str | None, columns: Mapping[str, str], images: Path | None) -> Found:
    """Read a source of any kind but CelebA's."""
    if kind == "classes":
        return read_classes(source, male)
    if kind == "utkface":
        return read_utkface(source)
    if source.is_dir():
        paths = list(source.glob("*.csv"))
        if len(paths) != 1:
            raise FacegenderError(f"{source}: holds {len(paths)} csv files; give the path of the right one")
        source = paths[0]
    return read_csv(source, columns, male, images)


def _pictures(source: Path) -> list[str]:
    return [name for name in list_files(source) if name.lower().endswith(IMAGE_SUFFIXES)]


def _listed(source: Path) -> tuple[list[str], str]:
    """The pictures of a folder, and a remark on what else is there."""
    files = list_files(source)
    pictures = [name for name in files if name.lower().endswith(IMAGE_SUFFIXES)]
    others = {Path(name).suffix.lower() or "no suffix" for name in set(files) - set(pictures)}
    remark = f"; other files passed over: {len(files) - len(pictures)} ({', '.join(sorted(others))})" if others else ""
    return pictures, remark


def _table(rows: Iterable[tuple[object, ...]], columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({LABEL: np.int8})


def read_classes(source: Path, male: str | None = None) -> Found:
    """Read pictures in folders that are named as classes, at any depth, perhaps in folders named as partitions.

    Args:
        source: the folder.
        male: the folder that is Male; the one other folder beside it is No male. None where `NAMES` has the names.

    Raises:
        FacegenderError: not both classes are there.
    """
    pictures, remark = _listed(source)
    names = _class_names(pictures, male)
    if len(set(names.values())) < 2:
        raise FacegenderError(f"{source}: no folders of both classes; name the one that is Male with --male")
    rows, problems, partitions = [], [], []
    for name in pictures:
        folders = [plain_name(part) for part in name.split("/")[:-1]]
        labels = {names[part] for part in folders if part in names}
        if len(labels) != 1:
            where = "folders of both classes" if labels else f"no folder of a class ({', '.join(sorted(names))})"
            problems.append(f"{_printable(name)}: lies in {where}")
            continue
        rows.append((os.path.join(source, name), _printable(name), labels.pop()))
        partitions.append({PARTITION_NAMES[part] for part in folders if part in PARTITION_NAMES and not part.isdigit()})
    table = _table(rows, ["path", "source", LABEL])
    if any(partitions):
        outside = [len(partition) != 1 for partition in partitions]
        problems += [f"{name}: lies in no folder of one partition, as others do" for name in table["source"][outside]]
        table["partition"] = [min(partition, default=-1) for partition in partitions]
        table = table[~np.array(outside)].reset_index(drop=True)
    shown = ", ".join(f"{name} is {CLASSES[label]}" for name, label in sorted(names.items()))
    return Found(table, problems, f"{KINDS['classes']}: {shown}{remark}")


def _class_names(pictures: Iterable[str], male: str | None) -> dict[str, int]:
    """Give the label of each folder that stands for a class."""
    paths = {name.rpartition("/")[0] for name in pictures}
    folders = [tuple(map(plain_name, path.split("/"))) for path in paths]
    if male is None:
        return {part: NAMES[part] for parts in folders for part in parts if part in NAMES}
    male = plain_name(male)
    above = {parts[: parts.index(male)] for parts in folders if male in parts}
    beside = {parts[len(start)] for start in above for parts in folders if parts[: len(start)] == start != parts}
    others = sorted(beside - {male})
    if above and len(others) != 1:
        raise FacegenderError(
            f"--male {male}: beside it {', '.join(others) or 'no folder'}, but there must be one, of the other class; "
            "import from a folder that holds only the two"
        )
    return {male: 1, others[0]: 0} if above else {}


def _utkface_gender(name: str) -> re.Match[str] | None:
    return _UTKFACE_NAME.fullmatch(name.rsplit("/", 1)[-1])


def read_utkface(source: Path) -> Found:
    """Read pictures that are named [age]_[gender]_[race]_[date].jpg; gender 0 is male and 1 female."""
    pictures, remark = _listed(source)
    rows, problems = [], []
    for name in pictures:
        match = _utkface_gender(name)
        if match:
            rows.append((os.path.join(source, name), _printable(name), 1 - int(match[1])))
        else:
            problems.append(f"{_printable(name)}: not named [age]_[gender]_[race]_[date].jpg")
    return Found(_table(rows, ["path", "source", LABEL]), problems, f"{KINDS['utkface']}{remark}")


def _printable(name: str) -> str:
    # A file's name need not be text.
    return name.encode("utf-8", "backslashreplace").decode()


def read_csv(
    path: Path, columns: Mapping[str, str] | None = None, male: str | None = None, images: Path | None = None
) -> Found:
    """Read a csv with a header and a row per picture.

    Args:
        path: the csv, UTF-8, apart by commas.
        columns: names of columns by the keys of `COLUMNS`, where these do not tell.
        male: the label that is Male; the one other label is No male. None where the labels are in `NAMES`, or 1 and 0
            (or -1).
        images: folder that the paths start from; None for the csv's own.

    Raises:
        FacegenderError: a column is missing or could be several, the labels cannot be told, or the csv is no such file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            places = _column_places(path, header, columns or {})
            attributes = [place for place, name in enumerate(header) if name in ATTRIBUTES and name != LABEL]
            rows = []
            for row in reader:
                if not any(map(str.strip, row)):
                    continue
                if len(row) != len(header):
                    raise FacegenderError(
                        f"{path}: line {reader.line_num} has {len(row)} columns in place of {len(header)}; correct it"
                    )
                fields = [row[place].strip() for place in places.values()]
                rows.append((reader.line_num, *fields, _yes_no(path, reader.line_num, header, row, attributes)))
    except UnicodeDecodeError as error:
        raise FacegenderError(f"{path}: no UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise FacegenderError(f"{path}: line {reader.line_num}: {error}; correct it") from error
    except OSError as error:
        raise FacegenderError(f"{path}: {error.strerror}; give the csv's file") from error
    if not rows:
        raise FacegenderError(f"{path}: holds no rows; get the whole file")
    table = pd.DataFrame(rows, columns=["line", *places, "attributes"])
    labels = parse_labels(table["label"], header[places["label"]], str(path), male)
    table[LABEL] = labels
    folder = path.parent if images is None else images
    # Some csv files are written on Windows.
    table["source"] = table["path"].str.replace("\\", "/")
    table["path"] = [os.path.join(folder, name) for name in table["source"]]
    reasons = pd.Series("", table.index)
    if "split" in places:
        table["partition"] = table["split"].map(lambda name: PARTITION_NAMES.get(plain_name(name), -1)).astype(np.int8)
        reasons[table["partition"] == -1] = "no partition such as train, val, test, 0, 1 or 2"
    reasons[labels == -1] = "no label of either class"
    reasons[table["source"] == ""] = "no path"
    problems = [
        f"{path.name} line {table['line'][row]}: {table['source'][row]}: {reasons[row]}"
        for row in table.index[reasons != ""]
    ]
    values = np.frombuffer(b"".join(table["attributes"]), np.int8).reshape(len(table), len(attributes))
    for position, place in enumerate(attributes):
        table[header[place]] = values[:, position]
    table = table[reasons == ""].drop(columns=["line", "label", "attributes", "split"], errors="ignore")
    used = ", ".join(f"{header[place]} ({role})" for role, place in places.items())
    return Found(table.reset_index(drop=True), problems, f"{KINDS['csv']}: columns {used}")


def _column_places(path: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise FacegenderError(f"{path}: columns are apart by semicolons or tabs; save it with commas")
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
            raise FacegenderError(f"{path}: {shown} could each be the {role}; name the right column with {option}")
        if found:
            places[role] = found[0]
        elif name is not None:
            raise FacegenderError(f"{path}: no column {name} among {', '.join(header)}; correct {option}")
        elif role in ("path", "label"):
            raise FacegenderError(f"{path}: no column of the {role} among {', '.join(header)}; name it with {option}")
    return places


def _yes_no(path: Path, line: int, header: list[str], row: list[str], places: list[int]) -> bytes:
    """Read a row's further attributes: a byte each, 0 or 1."""
    values = bytearray()
    for place in places:
        value = plain_name(row[place])
        if value not in ("1", "0", "-1"):
            raise FacegenderError(
                f"{path}: line {line}: {header[place]} is {row[place]!r}, must be 1 or -1 (or 1 or 0)"
            )
        values.append(value == "1")
    return bytes(values)


def parse_labels(labels: pd.Series, column: str, where: str, male: str | None = None) -> pd.Series:
    """Tell labels that are written in any of the usual ways.

    Args:
        labels: str.
        column: the name of their column.
        where: what an error names first.
        male: the label that is Male; the one other label is No male.

    Returns:
        int8: 1 Male, 0 No male, -1 neither.

    Raises:
        FacegenderError: it is not clear which label is Male.
    """
    plain = labels.map(plain_name)
    values = set(plain) - {""}
    if male is not None:
        others = sorted(values - {plain_name(male)})
        if len(others) != 1 or plain_name(male) not in values:
            shown = ", ".join(sorted(values)[:5])
            raise FacegenderError(f"{where}: {column} has the labels {shown}; --male must name one of two")
        codes = {plain_name(male): 1, others[0]: 0}
    elif values & set(NAMES):
        codes = NAMES
    elif values & {"1", "0", "-1"}:
        if plain_name(column) not in _COLUMNS_WHERE_1_IS_MALE:
            raise FacegenderError(f"{where}: {column} is coded in numbers; say which is Male with --male")
        if {"0", "-1"} <= values:
            raise FacegenderError(f"{where}: {column} is 0 and also -1; use one of them for `no` throughout")
        codes = {"1": 1, "0": 0, "-1": 0}
    else:
        shown = ", ".join(sorted(values)[:5])
        raise FacegenderError(f"{where}: {column} has the labels {shown}; say which is Male with --male")
    return plain.map(lambda value: codes.get(value, -1)).astype(np.int8)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip.

    Raises:
        FacegenderError: it is no zip, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise FacegenderError(f"{path}: neither a folder, a csv nor a whole zip ({error}); give one of them") from error


def celeba_lists(files: Iterable[str]) -> dict[str, str]:
    """Give CelebA's lists among the files, by their names without suffix; nothing without the attribute list."""
    lists: dict[str, str] = {}
    for file in files:
        name = file.rsplit("/", 1)[-1]
        stem, _, suffix = name.rpartition(".")
        if stem in ("list_attr_celeba", "list_eval_partition", "identity_CelebA") and suffix in ("csv", "txt"):
            lists.setdefault(stem, file)
    return lists if "list_attr_celeba" in lists else {}
