"""Sources for an import, and readers of what it wrote."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facegender.data.image_sources import open_images
from facegender.data.images import encode_jpeg
from facegender.data.lists import read_annotations
from facegender.importing.kinds import Found


def jpeg(number: int, height: int = 24, width: int = 20) -> bytes:
    return encode_jpeg(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8))


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def touch(folder: Path, names: Sequence[str]) -> Path:
    """Create empty files, for readers that look only at names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(folder: Path) -> pd.DataFrame:
    """Read an imported folder as the stages do, with the column `source` where there is one."""
    identities = folder / "identity_CelebA.txt"
    table = read_annotations(
        folder / "list_attr_celeba.csv",
        folder / "list_eval_partition.csv",
        identities if identities.exists() else None,
    )
    if (folder / "sources.csv").exists():
        sources = pd.read_csv(folder / "sources.csv").drop_duplicates("image_id").set_index("image_id")
        table["source"] = sources["source"]
    return table


def stored(folder: Path) -> dict[Any, bytes]:
    with open_images(folder / "img_align_celeba.zip") as images:
        return {image_id: images.read(image_id) for image_id in read(folder).index}


def labels(found: Found) -> dict[str, int]:
    return dict(zip(found.images["source"], found.images["Male"].tolist(), strict=True))
