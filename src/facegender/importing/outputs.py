"""The files that an import writes, in CelebA's format."""

import csv
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from facegender.data.tables import write_csv
from facegender.errors import PARTIAL

IMAGES = "img_align_celeba.zip"
ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST = "list_attr_celeba.csv", "list_eval_partition.csv", "identity_CelebA.txt"
SOURCES = "sources.csv"
OUTPUTS = (IMAGES, ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST, SOURCES)


@contextmanager
def whole_outputs(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files move to `folder` only if the block ends without an error.

    Unlike `facegender.files.whole_folder`, it keeps other files in `folder`, such as those of DVC.
    """
    # On the same disk, even if `folder` is a link or on a disk of its own.
    folder = folder.resolve()
    near = next(path for path in (folder, *folder.parents) if path.is_dir())
    partial = near / f"{PARTIAL}{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, folder)
            return
        for name in OUTPUTS:
            if (partial / name).exists():
                os.replace(partial / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_images(path: Path, images: Iterable[tuple[str, bytes]], count: int) -> None:
    """Write images as CelebA's zip file, uncompressed. The same images give the same bytes.

    Args:
        path: file to write.
        images: ids and the content of the image files.
        count: expected number of images, for the progress bar.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for image_id, data in tqdm(images, "pack", count, disable=None):
            # Without a date, a member gets the earliest that a zip file can hold.
            member = zipfile.ZipInfo(f"img_align_celeba/{image_id}")
            member.create_system = 3  # Unix, on Windows too, for the same bytes.
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)


def write_lists(folder: Path, annotations: pd.DataFrame) -> None:
    """Write CelebA's lists.

    Args:
        folder: folder to write to.
        annotations: as `read_annotations` returns them.
    """
    annotations = annotations.sort_index()
    image_ids = annotations.index
    attributes = annotations[[name for name in annotations if name not in ("partition", "identity")]] * 2 - 1
    attributes.insert(0, "image_id", image_ids)
    write_csv(folder / ATTRIBUTE_LIST, attributes)
    write_csv(folder / PARTITION_LIST, pd.DataFrame({"image_id": image_ids, "partition": annotations["partition"]}))
    if "identity" in annotations:
        # CelebA separates by a space; with commas, an image id that has either can be quoted.
        separator = "," if image_ids.str.contains("[ ,]").any() else " "
        with (folder / IDENTITY_LIST).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter=separator, lineterminator="\n")
            rows.writerows(zip(image_ids, annotations["identity"], strict=True))
