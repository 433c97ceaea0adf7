"""The only place where an image's bytes are decoded to pixels, and pixels encoded to bytes."""

import re
import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facegender.errors import FacegenderError

Pixels = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""In a folder or zip, only files with these suffixes, in either case, count as images."""

JPEG_QUALITY = 95
_JPEG_START = b"\xff\xd8"
# ITU-T T.81, table B.1. Among a scan's data, 0xFF is followed by 0x00, or by 0xD0 to 0xD7 where decoding can restart.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # Those three are DHT, JPG and DAC.
_END_OF_IMAGE = 0xD9
_APP1 = 0xE1
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_SIGNATURES_WITH_ALPHA = (b"\x89PNG", b"RIFF", b"GIF8", *_TIFF_SIGNATURES)


def decode_image(data: bytes, name: str) -> Pixels:
    """Decode an image of any kind that OpenCV reads: grey, CMYK, alpha (over white), 16 bit, rotated by EXIF.

    Args:
        data: the file's bytes.
        name: the image's name in errors.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        FacegenderError: the bytes are empty, cut short or not an image.
    """
    if not data:
        raise FacegenderError(name, "the file is empty", "get the file again")
    buffer = np.frombuffer(data, np.uint8)
    if data.startswith(_SIGNATURES_WITH_ALPHA):
        over_white = _decode_over_white(data)
        if over_white is not None:
            return over_white
    # OpenCV's JPEG reader rotates the image as EXIF says. It returns None for one that is cut short, but not always
    # where only the last few bytes are missing.
    image = _imdecode(buffer, cv2.IMREAD_COLOR_RGB)
    is_jpeg = data.startswith(_JPEG_START)
    if image is None or (is_jpeg and not _reaches_its_end(data)):
        what = "a JPEG that is cut short or damaged" if is_jpeg else "not an image, or a damaged or far too large one"
        raise FacegenderError(name, what, "get the file again")
    return np.asarray(image, np.uint8)


def _jpeg_segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a JPEG's markers (ITU-T T.81, B.1.1) up to the end of the image, each with its segment's content.

    Scans are skipped, and so is what comes after the end, such as the video of a phone's live photo.
    """
    place = len(_JPEG_START)
    while found := _JPEG_MARKER.search(jpeg, place):
        marker, start = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            yield marker, b""
            return
        # A segment starts with its length, which counts its own two bytes.
        place = start + int.from_bytes(jpeg[start : start + 2], "big")
        yield marker, jpeg[start + 2 : place]


def _reaches_its_end(jpeg: bytes) -> bool:
    return any(marker == _END_OF_IMAGE for marker, _ in _jpeg_segments(jpeg))


def _imdecode(buffer: Pixels, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(buffer, flags)
    except cv2.error:  # For example, a header that claims more than 2^30 pixels.
        return None


def _decode_over_white(data: bytes) -> Pixels | None:
    """Decode an image with alpha; return None for any other."""
    try:
        stored, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype not in (np.uint8, np.uint16):
        return None
    scale = 65535 if stored.dtype == np.uint16 else 255
    # libtiff itself multiplies 8 bit colour by alpha.
    is_multiplied = data.startswith(_TIFF_SIGNATURES) and stored.dtype == np.uint8
    image = np.empty((*stored.shape[:2], 3), np.uint8)
    # Row by row, as a float takes eight bytes.
    for row in range(len(image)):
        colour, alpha = stored[row, :, :3] / scale, stored[row, :, 3:] / scale
        image[row] = np.rint(255 * np.clip((colour if is_multiplied else colour * alpha) + 1 - alpha, 0, 1))
    exif = [content for kind, content in zip(kinds, metadata, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    # OpenCV rotates an image as EXIF says only when it decodes it without alpha.
    _, with_exif = cv2.imencodeWithMetadata(".png", image, [cv2.IMAGE_METADATA_EXIF] * len(exif), exif)
    return np.asarray(cv2.imdecode(with_exif, cv2.IMREAD_COLOR_RGB), np.uint8)


def encode_jpeg(image: Pixels) -> bytes:
    """Encode uint8 RGB (height, width, 3) as a JPEG without chroma subsampling."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality + sampling)
    return bytes(data)


def fit_image(image: Pixels, height: int, width: int) -> Pixels:
    """Crop the largest centred part with the wanted aspect ratio and scale it, so that no face is stretched.

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
    """Return an image as an RGB JPEG of the wanted size, with its bytes unchanged if it already is one.

    Args:
        data: the file's bytes.
        name: the image's name in errors.
        height: of the result, pixels.
        width: of the result, pixels.

    Returns:
        The JPEG's bytes, and whether it had to be encoded again.

    Raises:
        FacegenderError: as `decode_image`.
    """
    image = decode_image(data, name)
    if image.shape == (height, width, 3) and _is_rgb_jpeg(data, image):
        return data, False
    return encode_jpeg(fit_image(image, height, width)), True


def _is_rgb_jpeg(data: bytes, image: Pixels) -> bool:
    """Return whether bytes that decode to `image` are a JPEG that stores it in three components and not rotated."""
    if not data.startswith(_JPEG_START):
        return False
    segments = list(_jpeg_segments(data))
    # A frame header (T.81, B.2.2) has the sample precision, lines, samples per line, and components: 1 grey, 4 CMYK.
    wanted = struct.pack(">BHHB", 8, *image.shape)
    frame = next((content for marker, content in segments if marker in _FRAME_HEADERS), b"")
    # EXIF, with the rotation, is in an APP1 segment.
    has_exif = any(marker == _APP1 for marker, _ in segments)
    return frame.startswith(wanted) and not (has_exif and _is_rotated(data, image))


def _is_rotated(data: bytes, image: Pixels) -> bool:
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return stored is None or not np.array_equal(stored[..., ::-1], image)
