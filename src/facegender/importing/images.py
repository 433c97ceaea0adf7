"""Images of a source: their ids, their copies, and the bytes to store."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from facegender.data.celeba import CLASSES, HEIGHT, LABEL, WIDTH
from facegender.data.images import MAX_FILE_BYTES, decode_verified, encode_jpeg
from facegender.errors import FacegenderError
from facegender.files import read_regular_file
from facegender.serving.alignment import Align, aligned_faces

_SUFFIXES = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
"""By the first bytes of the formats that are kept; others become JPEGs."""


def identify(images: pd.DataFrame, align: Align = "never") -> tuple[pd.DataFrame, list[str]]:
    """Add the column `image_id`, which depends only on the image's bytes, not on its name or on other images.

    Args:
        images: as in `facegender.importing.kinds.Found`.
        align: as `image_bytes` takes it.

    Returns:
        The images that can be read, and a line for each one that cannot.
    """
    image_ids, problems = [], []
    for path, source in tqdm(zip(images["path"], images["source"], strict=True), "identify", len(images), disable=None):
        try:
            data = read_regular_file(path, MAX_FILE_BYTES)
        except FacegenderError as error:
            image_ids.append("")
            problems.append(f"{source}: {error.what}")
        else:
            digest = hashlib.blake2b(data, digest_size=8).hexdigest()
            suffix = stored_suffix(data) if align == "never" else ""
            image_ids.append(digest + (suffix or ".jpg"))
    images = images.assign(image_id=image_ids)
    return images[images["image_id"] != ""], problems


def check_copies(images: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out images whose copies have another label or identity.

    Copies that agree get the earliest of their partitions and the identity that is known.

    Args:
        images: as `identify` returns them.

    Returns:
        The images whose copies agree, and a line for each one whose copies do not.
    """
    problems = []
    bad: set[str] = set()
    copies = images[images["image_id"].duplicated(keep=False)]
    for column in (LABEL, "identity_name"):
        if column in copies:
            known = copies[(copies[column] != "") & ~copies["image_id"].isin(bad)]
            values = known.groupby("image_id")[column].nunique()
            different = values.index[values > 1]
            for _, group in copies[copies["image_id"].isin(different)].groupby("image_id"):
                problems += _contradictions(list(zip(group["source"], group[column].tolist(), strict=True)))
            bad.update(different)
    images = images[~images["image_id"].isin(bad)]
    groups = images.groupby("image_id")
    if "partition" in images:
        images = images.assign(partition=groups["partition"].transform("min"))
    if "identity_name" in images:
        images = images.assign(identity_name=groups["identity_name"].transform("max"))
    return images, problems


def _contradictions(copies: Sequence[tuple[str, int | str]]) -> list[str]:
    """Return a line for each copy of an image that names a copy of another label or identity.

    Args:
        copies: source and label (int) or name of the identity (str).
    """
    lines = []
    for source, value in copies:
        other, other_value = next(copy for copy in copies if copy[1] not in (value, ""))
        what = repr(other_value) if isinstance(other_value, str) else CLASSES[other_value]
        lines.append(f"{source}: the same image as {other}, which is {what}")
    return lines


def image_bytes(data: bytes, name: str, align: Align = "never") -> bytes:
    """Check an image and return the bytes to store: its own if the pipeline reads them, or a JPEG.

    Args:
        data: the file's bytes.
        name: the image's name in errors.
        align: `never`, or how `facegender.serving.alignment.aligned_faces` looks for the one face.

    Raises:
        FacegenderError: the bytes are not an image, or there is not exactly one face to align.
    """
    image = decode_verified(data, name)
    if align != "never":
        faces = aligned_faces(image, align, HEIGHT, WIDTH)
        if len(faces) != 1:
            found = f"{len(faces)} faces" if faces else "no face"
            raise FacegenderError(name, f"{found} found, but the label is for one", "crop or remove it")
        aligned = faces[0][1]
        if stored_suffix(data) != ".jpg" or not np.array_equal(aligned, image):
            return encode_jpeg(aligned)
    return data if stored_suffix(data) else encode_jpeg(image)


def stored_suffix(data: bytes) -> str:
    """Return the suffix of an image format that the pipeline reads, by its first bytes; blank for any other."""
    return next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), "")
