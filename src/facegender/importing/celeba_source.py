"""CelebA itself as a source: its lists and images as they are downloaded."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.folders import list_files
from facegender.data.image_sources import open_images
from facegender.data.images import IMAGE_SUFFIXES, decode_verified
from facegender.data.lists import read_annotations
from facegender.errors import FacegenderError
from facegender.files import ARCHIVES, DAMAGED_ZIP, kind_of_file, too_large
from facegender.importing.kinds import KINDS
from facegender.importing.outputs import IMAGES, write_images
from facegender.importing.params_file import UNKNOWN_IDENTITIES, project_path
from facegender.preparation.partition import find_images

_LISTS = {"list_attr_celeba": "attribute list", "list_eval_partition": "partition list"}
"""What a folder of CelebA must hold beside the images."""

_SOURCES = "name a folder, a CSV file or CelebA's zip file"
_MAX_LIST_BYTES = 500_000_000
"""The most that is unpacked of a list. CelebA's largest has 27 MB."""


class Celeba(NamedTuple):
    """CelebA's files as they are.

    Attributes:
        paths: what belongs under `dataset` in params.yaml.
        annotations: as `read_annotations` returns them.
    """

    paths: dict[str, str]
    annotations: pd.DataFrame


def lay_out_celeba(source: Path, folder: Path, skip_bad: bool) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Write CelebA's images to a folder.

    A zip file is copied, not linked: DVC makes files that it links to its cache read-only, which would include the
    source.

    Args:
        source: a folder with CelebA's lists and images, or the zip file from Kaggle.
        folder: folder to write to.
        skip_bad: leave out rows of images that are missing.

    Returns:
        The annotations as `read_annotations` returns them, perhaps without `partition`; a line for
        each missing image; and remarks.

    Raises:
        FacegenderError: a list is missing or cannot be read, or images are missing and `skip_bad` is not set.
    """
    annotations, images = _read_celeba(source)
    with open_images(images) as opened:
        missing = list(annotations.index.difference(list(find_images(annotations.index, opened, images))))
        if missing and not skip_bad:
            remedy = "get them, or leave their rows out with --skip-bad"
            raise _missing_images(images, missing, len(annotations), remedy)
        annotations = annotations.drop(index=missing)
        if images.is_dir():
            members = ((image_id, opened.read(image_id)) for image_id in annotations.index)
            write_images(folder / IMAGES, members, len(annotations))
    if images.is_file():
        shutil.copyfile(images, folder / IMAGES)
    how = "copied unchanged" if images.is_file() else "packed"
    notes = [f"kind: {KINDS['celeba']}; {images} {how}, its images not checked"]
    return annotations, [f"{image_id}: missing" for image_id in missing], notes


def find_celeba(folder: Path) -> Celeba:
    """Find CelebA's images and lists in a folder, and check that they are whole: every listed image is there.

    Args:
        folder: with the lists (csv or txt) and the images (`img_align_celeba.zip` or a folder), at any depth.

    Raises:
        FacegenderError: a list is missing or cannot be read, images are missing, or they are not the aligned ones.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        remedy = "name CelebA's folder; for Kaggle's archive.zip, first run: facegender import archive.zip data/celeba"
        raise FacegenderError(folder, what, remedy)
    files = list_files(folder)
    lists = celeba_lists(files)
    for stem, name in _LISTS.items():
        if stem not in lists:
            near = [file for file in files if Path(file).name.casefold().startswith(stem.casefold())]
            what = f"no {name}, {stem}.csv or .txt"
            if near:
                what = f"no {name}, {stem}.csv or .txt, but {near[0]}"
            raise FacegenderError(folder, what, "unpack or rename it" if near else "put it there")
    attributes, partitions = (folder / lists[stem] for stem in _LISTS)
    identities = folder / lists["identity_CelebA"] if "identity_CelebA" in lists else None
    annotations = read_annotations(attributes, partitions, identities)
    images = _celeba_images(folder, files)
    if images == folder and not any(file.lower().endswith(IMAGE_SUFFIXES) for file in files):
        near = [file for file in files if Path(file).name.casefold().startswith("img_align_celeba")]
        what = f"no img_align_celeba.zip, but {near[0]}" if near else "no img_align_celeba.zip"
        remedy = "put it there" if not near else "rename it" if near[0].endswith(".zip") else "unpack it"
        raise FacegenderError(folder, what, remedy)
    with open_images(images) as opened:
        missing = list(annotations.index.difference(list(find_images(annotations.index, opened, images))))
        if missing:
            remedy = f"get them; if you have only a part, run: facegender import {folder} data/NAME --skip-bad"
            raise _missing_images(images, missing, len(annotations), remedy)
        first = annotations.index[0]
        height, width, _ = decode_verified(opened.read(first), first).shape
    if (height, width) != (HEIGHT, WIDTH):
        what = f"{first} has {width}x{height} pixels, not {WIDTH}x{HEIGHT}: perhaps CelebA's images in the wild"
        raise FacegenderError(images, what, "use the aligned and cropped images, img_align_celeba.zip")
    paths = {"images": images, "attributes": attributes, "partitions": partitions}
    dataset = {name: project_path(path) for name, path in paths.items()}
    dataset["identities"] = project_path(identities) if identities else UNKNOWN_IDENTITIES
    return Celeba(dataset, annotations)


def _missing_images(images: Path, missing: list[str], listed: int, remedy: str) -> FacegenderError:
    return FacegenderError(
        images, f"{len(missing)} of {listed} listed images are missing (first: {missing[0]})", remedy
    )


def celeba_lists(files: Iterable[str]) -> dict[str, str]:
    """Return CelebA's lists among files, by their names without suffix; nothing if there is no attribute list."""
    lists: dict[str, str] = {}
    for file in files:
        name = file.rsplit("/", 1)[-1]
        stem, _, suffix = name.rpartition(".")
        if stem in ("list_attr_celeba", "list_eval_partition", "identity_CelebA") and suffix in ("csv", "txt"):
            lists.setdefault(stem, file)
    return lists if "list_attr_celeba" in lists else {}


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file.

    Raises:
        FacegenderError: it is not a zip file, or a damaged one, or the block cannot unpack a member.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED_ZIP as error:
        kind = kind_of_file(path)
        seen = kind if kind else f"not a folder, a CSV file or a complete zip file ({error})"
        raise FacegenderError(
            path, seen, "unpack it, and import the folder" if kind in ARCHIVES else _SOURCES
        ) from error
    with archive:
        try:
            yield archive
        except DAMAGED_ZIP as error:
            what = f"a list cannot be unpacked ({error})"
            raise FacegenderError(path, what, "download it again, or unpack it and import the folder") from error


def _read_celeba(source: Path) -> tuple[pd.DataFrame, Path]:
    """Return the annotations, sorted by image id, and the zip file or folder of the images."""
    is_zip = source.is_file()
    with tempfile.TemporaryDirectory() if is_zip else nullcontext(str(source)) as place:
        if is_zip:
            with open_zip(source) as archive:
                lists = celeba_lists(archive.namelist())
                for member in lists.values():
                    size = archive.getinfo(member).file_size
                    if size > _MAX_LIST_BYTES:
                        raise too_large(f"{source}: {member}", size, _MAX_LIST_BYTES, "a list")
                # `extract` returns where it put a member, which is inside `place` for any name.
                lists = {stem: archive.extract(member, place) for stem, member in lists.items()}
            images = source
        else:
            files = list_files(source)
            lists = celeba_lists(files)
            images = _celeba_images(source, files)
        if not lists:
            raise FacegenderError(source, "no list_attr_celeba.csv or .txt", "use the folder that has it")
        try:
            paths = {stem: Path(place, file) for stem, file in lists.items()}
            annotations = read_annotations(
                paths["list_attr_celeba"], paths.get("list_eval_partition"), paths.get("identity_CelebA")
            )
        except FacegenderError as error:
            # The user knows the zip file, not the temporary folder that its lists were read from.
            where, what, remedy = (text.replace(place, str(source)) for text in (error.where, error.what, error.remedy))
            raise FacegenderError(where, what, remedy, error.details) from error
    return annotations.sort_index(), images


def _celeba_images(source: Path, files: Iterable[str]) -> Path:
    """Return the zip file or folder of aligned images beside the lists."""
    for file in files:
        parts = file.split("/")
        if parts[-1] == IMAGES:
            return source / file
        if "img_align_celeba" in parts[:-1]:
            return source.joinpath(*parts[: parts.index("img_align_celeba") + 1])
    return source
