"""Random transformations of training images, each determined by its seed, image id and copy number alone."""

import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facegender.cluster import thread_limit
from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.shards import Record, ShardFile, read_shard, write_shard
from facegender.errors import FacegenderError
from facegender.files import write_json

TRANSFORMATIONS_FILE = "transformations.json"
"""The file in a folder without copies that says how training transforms every image anew in every epoch."""

GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""The share of red, green and blue in a pixel's grey (ITU-R BT.601)."""


class Ranges(NamedTuple):
    """The ranges of the transformations.

    The first seven have the meaning of Keras's ImageDataGenerator arguments. The last three have that of Pillow's
    ImageEnhance, with the factor 1 + range * u for a random u from -1 to 1.

    Attributes:
        rotation: degrees, to either side.
        zoom: each axis is scaled by 1 - zoom to 1 + zoom, independently.
        horizontal_flip: whether half of the copies are mirrored left to right.
        vertical_flip: whether half of the copies are mirrored top to bottom.
        width_shift: share of the width, to either side.
        height_shift: share of the height, to either side.
        shear: degrees, to either side.
        brightness: pixels are multiplied by the factor.
        contrast: each pixel's difference from the image's mean grey is multiplied by the factor.
        colour: each pixel's difference from its own grey is multiplied by the factor.
    """

    rotation: float
    zoom: float
    horizontal_flip: bool
    vertical_flip: bool
    width_shift: float
    height_shift: float
    shear: float
    brightness: float
    contrast: float
    colour: float


class Draws(NamedTuple):
    """Where one copy lies in each range: numbers from -1 to 1, in the order in which they are drawn.

    A copy is mirrored if the number is negative.
    """

    rotation: float
    shear: float
    width_shift: float
    height_shift: float
    zoom_x: float
    zoom_y: float
    mirror_x: float
    mirror_y: float
    brightness: float
    contrast: float
    colour: float


def draw_copy(seed: int, image_id: str, copy: int) -> Draws:
    """Draw the numbers of one copy of one image. They are keyed, so order, shards and workers have no effect.

    All are drawn regardless of the ranges, so changing one range leaves the others' effect as it is.
    """
    digest = hashlib.blake2b(f"{seed}/{copy}/{image_id}".encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    return Draws(*(2 * generator.random(len(Draws._fields)) - 1).tolist())


def affine_map(ranges: Ranges, draws: Draws, height: int, width: int) -> npt.NDArray[np.float64]:
    """Return the affine map from an output pixel (x, y, 1) to the input pixel that it shows, shape (2, 3).

    The map first mirrors and zooms, then shears, then rotates about the centre, and then shifts.
    """
    # Plain numbers, as threads wait for each other in Python code: NumPy takes ten times as long for such matrices.
    angle, slant = math.radians(ranges.rotation * draws.rotation), math.radians(ranges.shear * draws.shear)
    scale_x = (1 + ranges.zoom * draws.zoom_x) * (-1 if ranges.horizontal_flip and draws.mirror_x < 0 else 1)
    scale_y = (1 + ranges.zoom * draws.zoom_y) * (-1 if ranges.vertical_flip and draws.mirror_y < 0 else 1)
    # Rotation [[cos, -sin], [sin, cos]], times shear [[1, -sin], [0, cos]], times scale.
    cos, sin = math.cos(angle), math.sin(angle)
    xx, xy = cos * scale_x, (-cos * math.sin(slant) - sin * math.cos(slant)) * scale_y
    yx, yy = sin * scale_x, (-sin * math.sin(slant) + cos * math.cos(slant)) * scale_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    shift_x, shift_y = ranges.width_shift * draws.width_shift * width, ranges.height_shift * draws.height_shift * height
    return np.array(
        [
            [xx, xy, centre_x + shift_x - (xx * centre_x + xy * centre_y)],
            [yx, yy, centre_y + shift_y - (yx * centre_x + yy * centre_y)],
        ]
    )


def colour_map(ranges: Ranges, draws: Draws, mean: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return the affine map from a pixel (red, green, blue, 1) to its new red, green and blue, shape (3, 4).

    With the factors b, c and s of brightness, contrast and colour, the pixel's own grey g(p) and the image's mean grey
    m, they map p to b p, to m + c (p - m), and to g(p) + s (p - g(p)). As contrast and colour keep m and g(p), and
    brightness multiplies them by b, any order gives

        b c (s p + (1 - s) g(p)) + b (1 - c) m

    Args:
        ranges: of the transformations.
        draws: the numbers of the copy.
        mean: red, green and blue of the image, each averaged over all pixels.
    """
    brightness = 1 + ranges.brightness * draws.brightness
    contrast = 1 + ranges.contrast * draws.contrast
    colour = 1 + ranges.colour * draws.colour
    own = brightness * contrast * colour
    red, green, blue = (brightness * contrast * (1 - colour) * weight for weight in GREY_WEIGHTS)
    grey = sum(weight * value for weight, value in zip(GREY_WEIGHTS, mean, strict=True))
    offset = brightness * (1 - contrast) * grey
    return np.array(
        [[own + red, green, blue, offset], [red, own + green, blue, offset], [red, green, own + blue, offset]]
    )


def transform_image(image: Pixels, ranges: Ranges, draws: Draws) -> Pixels:
    """Transform one image: first its geometry, then its colours.

    Args:
        image: uint8 RGB (height, width, 3).
        ranges: of the transformations.
        draws: the numbers of the copy.

    Returns:
        uint8 RGB of the same shape; areas outside the original repeat the nearest edge pixel. Colours are rounded, and
        clipped to 0 to 255, once.
    """
    height, width = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = affine_map(ranges, draws, height, width)
    moved = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if ranges.brightness or ranges.contrast or ranges.colour:
        red, green, blue, _ = cv2.mean(moved)
        # From uint8, OpenCV would round the map to 1/1024 before applying it, and one value in ten would be off by 1.
        wide = cv2.transform(moved.astype(np.uint16), colour_map(ranges, draws, (red, green, blue)))
        moved = cv2.convertScaleAbs(wide)  # Clips at 255; uint16 is clipped at 0.
    return np.asarray(moved, np.uint8)


def fresh_image(record: Record, ranges: Ranges, seed: int, epoch: int) -> Pixels:
    """Return a training image as one epoch (1, 2 …) shows it: the pixels of its copy with the epoch's number.

    Args:
        record: of the original image.
        ranges: of the transformations.
        seed: of the transformations.
        epoch: counted from 1.

    Returns:
        uint8 RGB (height, width, 3).

    Raises:
        FacegenderError: the record's JPEG is damaged.
    """
    return transform_image(decode_image(record.jpeg, record.image_id), ranges, draw_copy(seed, record.image_id, epoch))


def augment_record(record: Record, ranges: Ranges, seed: int, copy: int) -> Record:
    """Return copy number `copy` (1, 2 …) of a training record, with the same image id."""
    return record._replace(jpeg=encode_jpeg(fresh_image(record, ranges, seed, copy)))


def copy_shards(shards: Iterable[ShardFile], ranges: Ranges, seed: int, copies: int) -> Iterator[bytes]:
    """Yield, for each shard of training records, the shards of their copies 1 to `copies`."""
    # OpenCV releases the GIL, so threads are enough.
    with ThreadPoolExecutor(thread_limit() or None) as pool:
        for shard in shards:
            records = read_shard(io.BytesIO(shard.content))
            for copy in range(1, copies + 1):
                transform = partial(augment_record, ranges=ranges, seed=seed, copy=copy)
                buffer = io.BytesIO()
                write_shard(buffer, pool.map(transform, records))
                yield buffer.getvalue()


def write_transformations(folder: str | Path, ranges: Ranges, seed: int) -> None:
    """Write TRANSFORMATIONS_FILE into a folder."""
    write_json(Path(folder, TRANSFORMATIONS_FILE), {"ranges": ranges._asdict(), "seed": seed})


def read_transformations(folder: str | Path) -> tuple[Ranges, int] | None:
    """Read the ranges and the seed from TRANSFORMATIONS_FILE in a folder.

    Returns:
        None if there is no such file: then training images are not transformed anew.

    Raises:
        FacegenderError: the file is damaged.
    """
    path = Path(folder, TRANSFORMATIONS_FILE)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:  # Not JSON, or not UTF-8.
        content = None
    if not _describes_transformations(content):
        raise FacegenderError(
            path,
            "was not written by the stage augment",
            "run: dvc checkout, or: dvc repro --single-item --force augment",
        )
    return Ranges(**content["ranges"]), content["seed"]


def _describes_transformations(content: Any) -> bool:
    if not (isinstance(content, dict) and content.keys() == {"ranges", "seed"} and type(content["seed"]) is int):
        return False
    ranges, kinds = content["ranges"], Ranges.__annotations__
    return (
        isinstance(ranges, dict)
        and ranges.keys() == kinds.keys()
        and all(type(value) in ((bool,) if kinds[name] is bool else (int, float)) for name, value in ranges.items())
    )
