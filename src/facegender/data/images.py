"""The only place where an image's bytes are decoded to pixels, and pixels encoded to bytes."""

import os
import re
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facegender.data.decoder_warnings import damage_reported
from facegender.data.image_headers import (
    END_OF_IMAGE,
    FRAME_HEADERS,
    JPEG_START,
    TIFF_STARTS,
    is_avif,
    jpeg_segments,
    stored_size,
)
from facegender.errors import FacegenderError
from facegender.files import what_it_is

Pixels = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".avif", ".jp2", ".pbm", ".pgm", ".ppm"),
)
"""In a folder or zip, only files with these suffixes, in either case, count as images: the kinds that are decoded."""

MAX_PIXELS = 70_000_000
"""The largest image that is decoded unless a caller says otherwise: cameras of 64 megapixels are below it, and decoding
takes up to 16 bytes a pixel (16 bit with transparency). A file of a few kilobytes may claim any size."""

MAX_FILE_BYTES = 8 * MAX_PIXELS
"""The largest file that is read as an image: 16 bit with transparency, not compressed."""

JPEG_QUALITY = 95
_APP1 = 0xE1
_STARTS_WITH_ALPHA = (b"\x89PNG", b"RIFF", b"GIF8", *TIFF_STARTS)
# ISO/IEC 23008-12, 6.5.10 and 6.5.12: boxes of nine bytes whose last one is the angle or axis.
_AVIF_ROTATION, _AVIF_MIRROR = (re.compile(rb"\0\0\0\x09" + name + rb"(.)", re.DOTALL) for name in (b"irot", b"imir"))
# 6.5.6: a full box with the number of channels and the bits of each.
_AVIF_BITS = re.compile(rb"pixi\0\0\0\0.(.)", re.DOTALL)

# Otherwise OpenCV writes a line to standard error for each damaged image, which names no file.
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image: grey, CMYK, alpha (over white), 16 bit, rotated by EXIF or as AVIF says; of several, the first.

    Args:
        data: the file's bytes, of one of the kinds that `facegender.data.image_headers.stored_size` knows.
        name: the image's name in errors.
        max_pixels: a larger image is not decoded; its size is read from its header.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        FacegenderError: the bytes are empty, cut short or not such an image, or it is too large.
    """
    check_size(data, name, max_pixels)
    image = None
    if data.startswith(_STARTS_WITH_ALPHA) or is_avif(data):
        image = _decode_over_white(data)
    if image is None:
        # OpenCV's JPEG reader rotates the image as EXIF says. It returns None for one that is cut short, but not always
        # where only the last few bytes are missing.
        image = _imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None or (data.startswith(JPEG_START) and not _reaches_its_end(data)):
        raise _unreadable(data, name)
    return _turned_as_avif_says(data, image) if is_avif(data) else image


def decode_verified(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image from outside as `decode_image` does, and take a warning of the decoder for damage.

    Where bytes in the middle of a JPEG are damaged, the decoder often goes on with wrong pixels, and only warns. What
    the pipeline has stored is free of this, and is decoded in many threads, for which this function is not made: see
    `facegender.data.decoder_warnings.damage_reported`.

    Raises:
        FacegenderError: as `decode_image`, or the decoder found damage.
    """
    with damage_reported() as warnings:
        image = decode_image(data, name, max_pixels)
    if warnings:
        raise FacegenderError(name, f"damaged: {warnings[0]}", "get the file again, or save it anew in an image editor")
    return image


def check_size(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Check the size of an image by its header, without decoding it.

    Raises:
        FacegenderError: the bytes are empty or not an image, or it has more than `max_pixels`.
    """
    if not data:
        raise FacegenderError(name, "the file is empty", "get the file again")
    size = stored_size(data)
    if size is None:
        raise _unreadable(data, name)
    if size.height * size.width > max_pixels:
        what = f"{size.width} x {size.height} pixels are more than {max_pixels / 1e6:g} megapixels"
        raise FacegenderError(name, what, "scale it down")


def stored_shape(data: bytes, name: str) -> tuple[int, int, int]:
    """Return height, width and channels of an image as it is stored, before any conversion or rotation.

    Raises:
        FacegenderError: as `decode_verified`.
    """
    check_size(data, name)
    with damage_reported() as warnings:
        image = _imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or warnings:
        raise _unreadable(data, name)
    height, width = image.shape[:2]
    return height, width, image.shape[2] if image.ndim == 3 else 1


def _unreadable(data: bytes, name: str) -> FacegenderError:
    if data.startswith(JPEG_START):
        return FacegenderError(name, "a JPEG that is cut short or damaged", "get the file again")
    if kind := what_it_is(data):
        return FacegenderError(
            name, f"{kind}, which cannot be read as an image", "convert it to JPEG, or get the file again"
        )
    what = "not a readable image: unsupported, damaged or over the size limit"
    return FacegenderError(name, what, "convert it to JPEG, or get the file again")


def _reaches_its_end(jpeg: bytes) -> bool:
    return any(marker == END_OF_IMAGE for marker, _ in jpeg_segments(jpeg))


def _imdecode(buffer: Pixels, flags: int) -> Pixels | None:
    try:
        image = cv2.imdecode(buffer, flags)
    except cv2.error:  # For example, a side of more than 2^20 pixels.
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _decode_over_white(data: bytes) -> Pixels | None:
    """Decode an image with alpha; return None for any other."""
    try:
        stored, kinds, metadata = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype not in (np.uint8, np.uint16):
        return None
    scale = _largest_value(data) if stored.dtype == np.uint16 else 255
    # libtiff itself multiplies 8 bit colour by alpha.
    is_multiplied = data.startswith(TIFF_STARTS) and stored.dtype == np.uint8
    image = np.empty((*stored.shape[:2], 3), np.uint8)
    # Row by row, as a float takes eight bytes.
    for row in range(len(image)):
        colour, alpha = stored[row, :, 2::-1] / scale, stored[row, :, 3:] / scale
        image[row] = np.rint(255 * np.clip((colour if is_multiplied else colour * alpha) + 1 - alpha, 0, 1))
    exif = [content for kind, content in zip(kinds, metadata, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    return _turned_as_exif_says(image, exif) if exif else image


def _largest_value(data: bytes) -> int:
    """Return the value of white in 16 bit pixels; AVIF uses only 10 or 12 of the bits."""
    bits = _AVIF_BITS.search(data) if is_avif(data) else None
    return 2 ** bits[1][0] - 1 if bits else 65535


def _turned_as_exif_says(image: Pixels, exif: list[npt.NDArray[Any]]) -> Pixels:
    # OpenCV rotates an image as EXIF says only when it decodes it without alpha.
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, with_exif = cv2.imencodeWithMetadata(".png", bgr, [cv2.IMAGE_METADATA_EXIF] * len(exif), exif)
    return np.asarray(cv2.imdecode(with_exif, cv2.IMREAD_COLOR_RGB), np.uint8)


def _turned_as_avif_says(data: bytes, image: Pixels) -> Pixels:
    """Rotate and then mirror an image as an AVIF file's boxes say, which OpenCV does not do."""
    if rotation := _AVIF_ROTATION.search(data):
        image = np.rot90(image, rotation[1][0] & 3)  # Anticlockwise.
    if mirror := _AVIF_MIRROR.search(data):
        image = image[:, ::-1] if mirror[1][0] & 1 else image[::-1]
    return np.ascontiguousarray(image)


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
        FacegenderError: as `decode_verified`.
    """
    image = decode_verified(data, name)
    if image.shape == (height, width, 3) and _is_rgb_jpeg(data, image):
        return data, False
    return encode_jpeg(fit_image(image, height, width)), True


def _is_rgb_jpeg(data: bytes, image: Pixels) -> bool:
    """Return whether bytes that decode to `image` are a JPEG that stores it in three components and not rotated."""
    if not data.startswith(JPEG_START):
        return False
    segments = list(jpeg_segments(data))
    # A frame header (T.81, B.2.2) has the sample precision, lines, samples per line, and components: 1 grey, 4 CMYK.
    wanted = struct.pack(">BHHB", 8, *image.shape)
    frame = next((content for marker, content in segments if marker in FRAME_HEADERS), b"")
    # EXIF, with the rotation, is in an APP1 segment.
    has_exif = any(marker == _APP1 for marker, _ in segments)
    return frame.startswith(wanted) and not (has_exif and _is_rotated(data, image))


def _is_rotated(data: bytes, image: Pixels) -> bool:
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return stored is None or not np.array_equal(stored[..., ::-1], image)
