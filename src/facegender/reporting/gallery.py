"""Galleries: pictures with captions, which a stage writes as JPEGs into a folder and the report shows one by one."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facegender.data.images import Pixels, encode_jpeg
from facegender.data.text_files import read_json
from facegender.errors import FacegenderError
from facegender.files import whole_folder, write_json

_LIST = "gallery.json"
_HEIGHT = 436
"""Twice the height of an aligned face in pixels: higher images are shrunk to it, as the report shows none larger."""


class Exhibit(NamedTuple):
    """Pictures that belong together, JPEG each, with a caption: its first line is the heading."""

    caption: str
    jpegs: tuple[bytes, ...]


def exhibit(caption: str, *images: Pixels) -> Exhibit:
    """Make an exhibit of images, uint8 RGB (height, width, 3), of any size."""
    return Exhibit(caption, tuple(encode_jpeg(_shrunk(image)) for image in images))


def write_gallery(folder: str | Path, exhibits: Iterable[Exhibit]) -> None:
    """Write exhibits, in order, as the files 000-0.jpg, 000-1.jpg … and their captions; replaces the folder."""
    with whole_folder(folder) as partial:
        listed = []
        for number, (caption, jpegs) in enumerate(exhibits):
            names = [f"{number:03}-{place}.jpg" for place in range(len(jpegs))]
            for name, jpeg in zip(names, jpegs, strict=True):
                (partial / name).write_bytes(jpeg)
            listed.append({"caption": caption, "files": names})
        write_json(partial / _LIST, {"exhibits": listed})


def read_gallery(folder: str | Path) -> list[Exhibit]:
    """Read what `write_gallery` wrote.

    Raises:
        FacegenderError: its list or a picture cannot be read.
    """
    path, remedy = Path(folder, _LIST), f"run: dvc checkout --force {Path(folder).as_posix()}, or: dvc repro"
    listed = read_json(path, remedy, ["exhibits"])["exhibits"]
    try:
        return [
            Exhibit(str(entry["caption"]), tuple(Path(folder, name).read_bytes() for name in entry["files"]))
            for entry in listed
        ]
    except OSError as error:
        raise FacegenderError(error.filename or path, error.strerror or str(error), remedy) from error
    except (KeyError, TypeError) as error:
        raise FacegenderError(path, "damaged: not a list of pictures with captions", remedy) from error


def _shrunk(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    if height <= _HEIGHT:
        return image
    size = (max(1, round(width * _HEIGHT / height)), _HEIGHT)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
