"""CelebA itself as a source: its lists and images as they are downloaded."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd

from facegender.data.folders import list_files
from facegender.data.image_sources import DAMAGED_ZIP, open_images
from facegender.data.lists import read_annotations
from facegender.errors import FacegenderError
from facegender.importing.kinds import KINDS
from facegender.importing.outputs import IMAGES, write_images


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
        missing = [image_id for image_id in annotations.index if opened.find(image_id) is None]
        if missing and not skip_bad:
            raise FacegenderError(
                images,
                f"{len(missing)} of {len(annotations)} listed images are missing (first: {missing[0]})",
                "get them, or leave their rows out with --skip-bad",
            )
        annotations = annotations.drop(index=missing)
        if images.is_dir():
            members = ((image_id, opened.read(image_id)) for image_id in annotations.index)
            write_images(folder / IMAGES, members, len(annotations))
    if images.is_file():
        shutil.copyfile(images, folder / IMAGES)
    how = "copied unchanged" if images.is_file() else "packed"
    notes = [f"kind: {KINDS['celeba']}; {images} {how}, its images not checked"]
    return annotations, [f"{image_id}: missing" for image_id in missing], notes


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
        FacegenderError: it is not a zip file, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DAMAGED_ZIP as error:
        raise FacegenderError(
            path, f"not a folder, a CSV file or a complete zip file ({error})", "use one of these"
        ) from error


def _read_celeba(source: Path) -> tuple[pd.DataFrame, Path]:
    """Return the annotations, sorted by image id, and the zip file or folder of the images."""
    is_zip = source.is_file()
    with tempfile.TemporaryDirectory() if is_zip else nullcontext(str(source)) as place:
        if is_zip:
            with open_zip(source) as archive:
                lists = celeba_lists(archive.namelist())
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
