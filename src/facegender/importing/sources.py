"""What kind of source someone has, and the readers of folders per class and of UTKFace."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facegender.data.celeba import CLASSES, LABEL
from facegender.data.folders import describe_counts, list_files, suffix_counts
from facegender.data.images import IMAGE_SUFFIXES
from facegender.errors import FacegenderError
from facegender.importing.celeba_source import celeba_lists, open_zip
from facegender.importing.csv_source import read_csv
from facegender.importing.kinds import KINDS, LABEL_NAMES, PARTITION_NAMES, Found, plain_name

# [age]_[gender]_[race]_[date and time].jpg; gender is 0 for male and 1 for female: https://susanqq.github.io/UTKFace/
_UTKFACE_NAME = re.compile(r"\d{1,3}_([01])_[0-4]_\d+(\D.*)?")


def find_kind(source: Path, male: str | None = None) -> str:
    """Return the key of `KINDS` that a source is.

    Args:
        source: a folder, a CSV file or a zip file.
        male: the folder that stands for Male; None if `LABEL_NAMES` has its name.

    Raises:
        FacegenderError: it is none of them, or could be several.
    """
    if source.is_file():
        if source.suffix.lower() == ".csv":
            return "csv"
        with open_zip(source) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
        if celeba_lists(members):
            return "celeba"
        if "xl/workbook.xml" in members:
            raise FacegenderError(source, "an Excel workbook", "save its table as a CSV file, and import that")
        what = f"a zip file without CelebA's attribute list, but {describe_counts(suffix_counts(members))}"
        raise FacegenderError(source, what, "unpack it, and import the folder")
    files = list_files(source)
    if celeba_lists(files):
        return "celeba"
    images = _only_images(files)
    matches = {
        "classes": len(set(_folder_labels(images, male).values())) == 2,
        "utkface": 2 * sum(bool(_utkface_name(name)) for name in images) > len(images),
        "csv": len(_csv_files(source)) == 1,
    }
    kinds = [kind for kind, is_match in matches.items() if is_match]
    if len(kinds) > 1:
        raise FacegenderError(source, f"could be {' or '.join(KINDS[kind] for kind in kinds)}", "say which with --kind")
    if not kinds:
        raise FacegenderError(
            source,
            f"{describe_counts(suffix_counts(files))}, but no CelebA lists, no folders of both classes (male, female, "
            "…), no UTKFace file names and not exactly one CSV file",
            "name the folder that is Male with --male",
        )
    return kinds[0]


def read_source(
    source: Path, kind: str, male: str | None, columns: Mapping[str, str], image_folder: Path | None
) -> Found:
    """Read a source of any kind but `celeba`; the arguments are those of `import_data`."""
    if kind == "classes":
        return read_classes(source, male)
    if kind == "utkface":
        return read_utkface(source)
    if source.is_dir():
        paths = _csv_files(source)
        if len(paths) != 1:
            raise FacegenderError(source, f"holds {len(paths)} CSV files", "use the path of the right one")
        source = paths[0]
    return read_csv(source, columns, male, image_folder)


def read_classes(source: Path, male: str | None = None) -> Found:
    """Read images in folders named after classes, at any depth, perhaps inside folders named after partitions.

    Args:
        source: the folder.
        male: the folder that stands for Male; the only other folder beside it is No male. None if `LABEL_NAMES` has the
            names.

    Raises:
        FacegenderError: there are not folders of both classes.
    """
    images, remark = _list_images(source)
    names = _folder_labels(images, male)
    if len(set(names.values())) < 2:
        raise FacegenderError(source, "no folders of both classes", "name the folder that is Male with --male")
    rows, problems, partitions = [], [], []
    for name in images:
        folders = [plain_name(part) for part in name.split("/")[:-1]]
        labels = {names[part] for part in folders if part in names}
        if len(labels) != 1:
            known = ", ".join(sorted(names))
            reason = "in folders of both classes" if labels else f"not in a folder of a class ({known})"
            problems.append(f"{_printable(name)}: {reason}")
            continue
        rows.append((os.path.join(source, name), _printable(name), labels.pop()))
        partitions.append({PARTITION_NAMES[part] for part in folders if part in PARTITION_NAMES and not part.isdigit()})
    table = _table(rows)
    if any(partitions):
        outside = [len(partition) != 1 for partition in partitions]
        problems += [f"{name}: not in a folder of one partition, as others are" for name in table["source"][outside]]
        table["partition"] = [min(partition, default=-1) for partition in partitions]
        table = table[~np.array(outside)].reset_index(drop=True)
    shown = ", ".join(f"{name} is {CLASSES[label]}" for name, label in sorted(names.items()))
    return Found(table, problems, f"{KINDS['classes']}: {shown}{remark}")


def read_utkface(source: Path) -> Found:
    """Read images that are named [age]_[gender]_[race]_[date].jpg; gender is 0 for male and 1 for female."""
    images, remark = _list_images(source)
    rows, problems = [], []
    for name in images:
        match = _utkface_name(name)
        if match:
            rows.append((os.path.join(source, name), _printable(name), 1 - int(match[1])))
        else:
            problems.append(f"{_printable(name)}: not named [age]_[gender]_[race]_[date].jpg")
    return Found(_table(rows), problems, f"{KINDS['utkface']}{remark}")


def _csv_files(source: Path) -> list[Path]:
    return [path for path in source.iterdir() if path.suffix.lower() == ".csv" and path.is_file()]


def _only_images(files: Iterable[str]) -> list[str]:
    return [name for name in files if name.lower().endswith(IMAGE_SUFFIXES)]


def _list_images(source: Path) -> tuple[list[str], str]:
    """Return the images of a folder, and a remark on its other files."""
    files = list_files(source)
    images = _only_images(files)
    others = {Path(name).suffix.lower() or "no suffix" for name in set(files) - set(images)}
    remark = f"; other files ignored: {len(files) - len(images)} ({', '.join(sorted(others))})" if others else ""
    return images, remark


def _folder_labels(images: Iterable[str], male: str | None) -> dict[str, int]:
    """Return the label of each folder that stands for a class; nothing if none does."""
    paths = {name.rpartition("/")[0] for name in images}
    folders = [tuple(map(plain_name, path.split("/"))) for path in paths]
    if male is None:
        return {part: LABEL_NAMES[part] for parts in folders for part in parts if part in LABEL_NAMES}
    male = plain_name(male)
    above = {parts[: parts.index(male)] for parts in folders if male in parts}
    beside = {parts[len(start)] for start in above for parts in folders if parts[: len(start)] == start != parts}
    others = sorted(beside - {male})
    if above and len(others) != 1:
        raise FacegenderError(
            f"--male {male}",
            f"{', '.join(others) or 'no folder'} beside it, but exactly one, of the other class, is needed",
            "import from a folder that holds only the two",
        )
    return {male: 1, others[0]: 0} if above else {}


def _utkface_name(name: str) -> re.Match[str] | None:
    return _UTKFACE_NAME.fullmatch(name.rsplit("/", 1)[-1])


def _printable(name: str) -> str:
    # A file name may hold bytes that are not text.
    return name.encode("utf-8", "backslashreplace").decode()


def _table(rows: Iterable[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "source", LABEL]).astype({LABEL: np.int8})
