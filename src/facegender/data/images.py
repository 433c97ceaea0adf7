"""The one way that a picture's bytes become pixels, and pixels bytes."""

import re
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facegender.errors import FacegenderError

Pixels = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""In a folder or zip, only files with these suffixes, in either case, count as images."""

JPEG_QUALITY = 95
# In a scan, 0xFF comes before 0x00 where it is data, and before 0xD0 to 0xD7 where decoding may start anew.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_END_OF_IMAGE = b"\xd9"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_SIGNATURES_WITH_ALPHA = (b"\x89PNG", b"RIFF", b"GIF8", *_TIFF_SIGNATURES)


def decode_image(data: bytes, name: str) -> Pixels:
    """Decode a picture of any kind that OpenCV reads: grey, CMYK, alpha (over white), 16 bit, turned by EXIF.

    Args:
        data: the file's bytes.
        name: what an error calls the picture.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        FacegenderError: the bytes are empty, cut short or no picture.
    """
    if not data:
        raise FacegenderError(name, "the file is empty", "get the file again")
    buffer = np.frombuffer(data, np.uint8)
    if data.startswith(_SIGNATURES_WITH_ALPHA):
        over_white = _decode_over_white(data)
        if over_white is not None:
            return over_white
    # OpenCV's JPEG reader turns the picture as EXIF says and gives None for one that is cut short: but for the last
    # few bytes, sometimes.
    image = _imdecode(buffer, cv2.IMREAD_COLOR_RGB)
    is_jpeg = data.startswith(b"\xff\xd8")
    if image is None or (is_jpeg and not _reaches_its_end(data)):
        kind = "a JPEG that is cut short or damaged" if is_jpeg else "no picture, a damaged or a far too large one"
        raise FacegenderError(name, kind, "get the file again")
    return np.asarray(image, np.uint8)


def _reaches_its_end(jpeg: bytes) -> bool:
    """Follow a JPEG's markers (ITU-T T.81, B.1.1) to its end; a phone's film after it is not its own."""
    place = 2
    while found := _JPEG_MARKER.search(jpeg, place):
        if found[1] == _END_OF_IMAGE:
            return True
        # A segment has its length, of two bytes, behind its marker; a scan follows behind its header.
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
    return False


def _imdecode(buffer: Pixels, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(buffer, flags)
    except cv2.error:  # A header that claims more than 2^30 pixels, for one.
        return None


def _decode_over_white(data: bytes) -> Pixels | None:
    """Decode a picture with alpha; None for any other."""
    try:
        stored, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype not in (np.uint8, np.uint16):
        return None
    scale = 65535 if stored.dtype == np.uint16 else 255
    # libtiff multiplies 8 bit colour by alpha itself.
    is_multiplied = data.startswith(_TIFF_SIGNATURES) and stored.dtype == np.uint8
    image = np.empty((*stored.shape[:2], 3), np.uint8)
    # By rows, as a float takes eight bytes.
    for row in range(len(image)):
        colour, alpha = stored[row, :, :3] / scale, stored[row, :, 3:] / scale
        image[row] = np.rint(255 * np.clip((colour if is_multiplied else colour * alpha) + 1 - alpha, 0, 1))
    exif = [content for kind, content in zip(kinds, metadata, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    # OpenCV turns a picture as EXIF says only where it decodes it without alpha.
    _, turnable = cv2.imencodeWithMetadata(".png", image, [cv2.IMAGE_METADATA_EXIF] * len(exif), exif)
    return np.asarray(cv2.imdecode(turnable, cv2.IMREAD_COLOR_RGB), np.uint8)


def encode_jpeg(image: Pixels) -> bytes:
    """Encode uint8 RGB (height, width, 3) as a JPEG without chroma subsampling."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality + sampling)
    return bytes(data)


def fit_image(image: Pixels, height: int, width: int) -> Pixels:
    """Cut the largest centred part of the wanted proportions and scale it, so that no face is stretched.

    Args:
        image: uint8 RGB (any height, any width, 3).
        height: of the result, pixels.
        width: of the result, pixels.

    Returns:
        uint8 RGB (height, width, 3); `image` itself when it already fits.
    """
    old_height, old_width = image.shape[:2]
    if (old_height, old_width) == (height, width):
        return image
    scale = min(old_height / height, old_width / width)
    cut_height, cut_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (old_height - cut_height) // 2, (old_width - cut_width) // 2
    part = image[top : top + cut_height, left : left + cut_width]
    interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), np.uint8)


def standard_jpeg(data: bytes, name: str, height: int, width: int) -> tuple[bytes, bool]:
    """Give a picture as an RGB JPEG of the wanted size, its bytes untouched when they already are one.

    Args:
        data: the file's bytes.
        name: what an error calls the picture.
        height: of the result, pixels.
        width: of the result, pixels.

    Returns:
        The JPEG's bytes, and whether they had to be made anew.

    Raises:
        FacegenderError: as `decode_image`.
    """
    image = decode_image(data, name)
    if image.shape == (height, width, 3) and data.startswith(b"\xff\xd8"):
        # A JPEG needs no change when its frame header says three components (ITU-T T.81, B.2.2), not one for grey or
        # four for CMYK, and its stored pixels are the picture, not turned by EXIF.
        frame = rb"\xff[\xc0-\xcf]\x00\x11\x08" + re.escape(struct.pack(">HH", height, width)) + rb"\x03"
        if re.search(frame, data) and not (b"Exif\0\0" in data and _is_turned(data, image)):
            return data, False
    return encode_jpeg(fit_image(image, height, width)), True


def _is_turned(data: bytes, image: Pixels) -> bool:
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return stored is None or not np.array_equal(stored[..., ::-1], image)
