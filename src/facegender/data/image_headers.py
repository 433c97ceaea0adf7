"""What an image file says about itself before any pixel is decoded: its kind and its size."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

JPEG_START = b"\xff\xd8"
TIFF_STARTS = (b"II*\0", b"MM\0*")
# Of the file type box, which starts an ISO base media file (ISO/IEC 14496-12), after its four bytes of length.
AVIF_BRANDS = (b"ftypavif", b"ftypavis")

FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header; those three are DHT, JPG and DAC."""
END_OF_IMAGE = 0xD9

# ITU-T T.81, table B.1. Among a scan's data, 0xFF is followed by 0x00, or by 0xD0 to 0xD7 where decoding can restart.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
# Tags of the image and of a tile, which may be larger.
_TIFF_HEIGHTS, _TIFF_WIDTHS = (257, 323), (256, 322)
_TIFF_BITS, _TIFF_SAMPLES = 258, 277
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}
# Floats, and more than three colours and alpha, are not read, but would take up to 64 bytes a pixel. Of two samples,
# grey and alpha, OpenCV reads only the first.
_MOST_BITS, _READ_SAMPLES = 16, (1, 3, 4)
# A portable anymap's numbers may have comments between them, which end with either sign for OpenCV.
_ANYMAP = re.compile(rb"P[1-6](?:\s|#[^\r\n]*[\r\n])+(\d{1,9})(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})\s")


class Size(NamedTuple):
    """Height and width of an image as it is stored, before any rotation, in pixels."""

    height: int
    width: int


_NO_SIZE = Size(0, 0)


def stored_size(data: bytes) -> Size | None:
    """Read the size of an image from its header, without decoding it.

    Where a file has several sizes, such as that of a thumbnail or of a second frame, the result is at least as large as
    what is decoded.

    Args:
        data: the file's bytes: JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, JPEG 2000 or a portable anymap.

    Returns:
        The size, at least 1 x 1; None if the file is of another kind or its header is damaged.
    """
    for is_kind, read_size in _KINDS:
        if is_kind(data):
            try:
                size = read_size(data)
            except (struct.error, IndexError, KeyError, ValueError):
                return None
            return size if size.height > 0 and size.width > 0 else None
    return None


def is_avif(data: bytes) -> bool:
    """Return whether the bytes start as an AVIF image does."""
    return data[4:12] in AVIF_BRANDS


def jpeg_segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a JPEG's markers (ITU-T T.81, B.1.1) up to the end of the image, each with its segment's content.

    Scans are skipped, and so is what comes after the end, such as the video of a phone's live photo.
    """
    place = len(JPEG_START)
    while found := _JPEG_MARKER.search(jpeg, place):
        marker, start = found[1][0], found.end()
        if marker == END_OF_IMAGE:
            yield marker, b""
            return
        # A segment starts with its length, which counts its own two bytes.
        place = start + int.from_bytes(jpeg[start : start + 2], "big")
        yield marker, jpeg[start + 2 : place]


def _jpeg_size(data: bytes) -> Size:
    # A frame header (T.81, B.2.2) has the sample precision, lines and samples per line.
    frame = next((content for marker, content in jpeg_segments(data) if marker in FRAME_HEADERS), b"")
    return Size(*struct.unpack_from(">HH", frame, 1))


def _png_size(data: bytes) -> Size:
    # PNG (W3C), 11.2.1: the first chunk, IHDR, after its length.
    width, height = struct.unpack_from(">II", data, 16)
    return Size(height, width)


def _gif_size(data: bytes) -> Size:
    # GIF89a, 18: the logical screen.
    width, height = struct.unpack_from("<HH", data, 6)
    return Size(height, width)


def _webp_size(data: bytes) -> Size:
    # RFC 9649, 2.5 to 2.7: the first chunk says which of three headers it has.
    kind = data[12:16]
    if kind == b"VP8X":
        return Size(1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little"))
    if kind == b"VP8L":
        [bits] = struct.unpack_from("<I", data, 21)
        return Size(1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return Size(height & 0x3FFF, width & 0x3FFF)


def _bmp_size(data: bytes) -> Size:
    # A bitmap core header has 12 bytes and 16 bit sizes; in the others a negative height means that rows go down.
    [header] = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return Size(abs(height), width)


def _tiff_size(data: bytes) -> Size:
    # TIFF 6.0, section 2: the first image file directory, with 12 bytes for each tag.
    order = "<" if data.startswith(b"II") else ">"
    [start] = struct.unpack_from(f"{order}I", data, 4)
    [entries] = struct.unpack_from(f"{order}H", data, start)
    sizes = dict.fromkeys(_TIFF_HEIGHTS + _TIFF_WIDTHS, 0)
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        if tag == _TIFF_BITS:
            # One number for each sample; if they take more than four bytes, they are elsewhere in the file.
            bits = f"{order}{count}{_TIFF_TYPES[kind]}" if count <= max(_READ_SAMPLES) else ""
            where = place + 8 if struct.calcsize(bits) <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
            if max(struct.unpack_from(bits, data, where)) > _MOST_BITS:
                return _NO_SIZE
        elif tag in sizes or tag == _TIFF_SAMPLES:
            [value] = struct.unpack_from(order + _TIFF_TYPES[kind], data, place + 8)
            if tag == _TIFF_SAMPLES and value not in _READ_SAMPLES:
                return _NO_SIZE
            sizes[tag] = max(sizes.get(tag, 0), value)
    return Size(max(sizes[tag] for tag in _TIFF_HEIGHTS), max(sizes[tag] for tag in _TIFF_WIDTHS))


def _avif_size(data: bytes) -> Size:
    # ISO/IEC 23008-12, 6.5.3: a full box, ispe, for the image, its alpha, its thumbnail and each tile of a grid.
    return _largest(data, b"\0\0\0\x14ispe\0\0\0\0", 0)


def _jpeg2000_size(data: bytes) -> Size:
    # ITU-T T.800, A.5.1: the start of the codestream and of its size marker, then two numbers of two bytes each.
    return _largest(data, b"jp2c\xff\x4f\xff\x51", 4)


def _anymap_size(data: bytes) -> Size:
    found = _ANYMAP.match(data)
    return Size(int(found[2]), int(found[1])) if found else _NO_SIZE


def _largest(data: bytes, before: bytes, skip: int) -> Size:
    """Return the largest of the sizes, width first, that come so many bytes after the places of `before`."""
    places = (found.end() + skip for found in re.finditer(re.escape(before), data))
    sizes = (struct.unpack_from(">II", data, place) for place in places)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Size(height, width)


_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Size]], ...] = (
    (lambda data: data.startswith(JPEG_START), _jpeg_size),
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png_size),
    (lambda data: data.startswith(TIFF_STARTS), _tiff_size),
    (lambda data: data.startswith(b"BM"), _bmp_size),
    (lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp_size),
    (lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif_size),
    (is_avif, _avif_size),
    (lambda data: data.startswith(b"\0\0\0\x0cjP  "), _jpeg2000_size),
    (lambda data: _ANYMAP.match(data) is not None, _anymap_size),
)
