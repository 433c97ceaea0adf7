"""Random transformations of training images, each determined by its seed, image id and copy number alone."""

import hashlib
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.shards import Record


class Ranges(NamedTuple):
    """The ranges of the transformations, with the meaning of Keras's ImageDataGenerator arguments.

    Attributes:
        rotation: degrees, to either side.
        zoom: each axis is scaled by 1 - zoom to 1 + zoom, independently.
        horizontal_flip: whether half of the copies are mirrored left to right.
        vertical_flip: whether half of the copies are mirrored top to bottom.
        width_shift: share of the width, to either side.
        height_shift: share of the height, to either side.
        shear: degrees, to either side.
    """

    rotation: float
    zoom: float
    horizontal_flip: bool
    vertical_flip: bool
    width_shift: float
    height_shift: float
    shear: float


def copy_generator(seed: int, image_id: str, copy: int) -> np.random.Generator:
    """Return the generator for one copy of one image. It is keyed, so order, shards and workers have no effect."""
    digest = hashlib.blake2b(f"{seed}/{copy}/{image_id}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def random_matrix(ranges: Ranges, height: int, width: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Choose the affine map from an output pixel (x, y, 1) to the input pixel that it shows, shape (2, 3).

    All random numbers are generated regardless of the ranges, so changing one range leaves the others' effect as it is.
    """
    rotation, shear, width_shift, height_shift = generator.uniform(-1, 1, 4)
    zoom_x, zoom_y = 1 + ranges.zoom * generator.uniform(-1, 1, 2)
    mirror_x, mirror_y = generator.random(2) < 0.5
    angle, slant = np.deg2rad(ranges.rotation * rotation), np.deg2rad(ranges.shear * shear)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    skew = np.array([[1, -np.sin(slant)], [0, np.cos(slant)]])
    scale = np.diag(
        [
            zoom_x * (-1 if ranges.horizontal_flip and mirror_x else 1),
            zoom_y * (-1 if ranges.vertical_flip and mirror_y else 1),
        ]
    )
    linear = turn @ skew @ scale
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = np.array([ranges.width_shift * width_shift * width, ranges.height_shift * height_shift * height])
    return np.column_stack([linear, centre + shift - linear @ centre])


def augment_image(image: Pixels, ranges: Ranges, generator: np.random.Generator) -> Pixels:
    """Transform one image.

    Args:
        image: uint8 RGB (height, width, 3).
        ranges: of the transformations.
        generator: chooses a value within each range.

    Returns:
        uint8 RGB of the same shape; areas outside the original repeat the nearest edge pixel.
    """
    height, width = image.shape[:2]
    matrix = random_matrix(ranges, height, width, generator)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def augment_record(record: Record, ranges: Ranges, seed: int, copy: int) -> Record:
    """Return copy number `copy` (1, 2 …) of a training record, with the same image id."""
    generator = copy_generator(seed, record.image_id, copy)
    image = augment_image(decode_image(record.jpeg, record.image_id), ranges, generator)
    return record._replace(jpeg=encode_jpeg(image))
