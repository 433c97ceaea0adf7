"""Sizes read from headers; Pillow is the independent reader."""

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from facegender.data.image_headers import Size, stored_size
from tests.unit.data.test_images import FORMS, exif, png_that_claims, saved, smooth_picture

STARTS = [
    *(b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"),
    *(b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L", b"RIFF\0\0\0\0WEBPVP8 ", b"P6 7 "),
    b"\0\0\0\x20ftypavif\0\0\0\x14ispe\0\0\0\0",
    b"\0\0\0\x0cjP  \r\n\x87\njp2c\xff\x4f\xff\x51",
]


@pytest.mark.parametrize("form", FORMS)
def test_the_size_of_every_form_is_that_of_pillow(form: str) -> None:
    width, height = Image.open(io.BytesIO(FORMS[form])).size

    assert stored_size(FORMS[form]) == (height, width)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"icc_profile": b"x"}], ids=str)
def test_all_three_headers_of_webp_are_read(options: dict[str, bool]) -> None:
    assert stored_size(saved(Image.new("RGB", (301, 203)), "WEBP", **options)) == (203, 301)


def test_a_bmp_of_os_2_and_one_whose_rows_go_down_are_read() -> None:
    start = b"BM" + bytes(12)
    assert stored_size(start + struct.pack("<IHHHH", 12, 301, 203, 1, 24)) == (203, 301)
    assert stored_size(start + struct.pack("<Iii", 40, 301, -203)) == (203, 301)


def test_a_side_may_need_all_of_its_16_bits() -> None:
    assert stored_size(b"GIF89a" + struct.pack("<HH", 40_000, 50_000)) == (50_000, 40_000)
    assert stored_size(b"BM" + bytes(12) + struct.pack("<IHH", 12, 40_000, 50_000)) == (50_000, 40_000)


def tiff_of(*tags: tuple[int, int]) -> bytes:
    """Return the start of a TIFF with these tags and values of four bytes."""
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    return b"MM\0*" + struct.pack(">IH", 8, len(tags)) + entries


def test_a_tiff_counts_as_large_as_its_tiles() -> None:
    # A tile is decoded as a whole, even where the image is one corner of it.
    assert stored_size(tiff_of((256, 10), (257, 20), (322, 30_000), (323, 16))) == (20, 30_000)


def test_of_a_tag_of_a_tiff_that_comes_twice_the_larger_value_counts() -> None:
    # Which of them a decoder takes must not matter to the limit.
    assert stored_size(tiff_of((256, 30_000), (256, 10), (257, 20), (257, 40_000))) == (40_000, 30_000)


@pytest.mark.parametrize("missing", [256, 257])
def test_a_tiff_without_its_width_or_height_has_no_size(missing: int) -> None:
    assert stored_size(tiff_of(*((tag, 20) for tag in (256, 257) if tag != missing))) is None


def test_a_tiff_that_names_bits_for_more_samples_than_are_read_has_no_size() -> None:
    # Five numbers of 8 bits, which are behind the tags, but no tag that counts the samples.
    sides = b"".join(struct.pack(">HHII", tag, 4, 1, 9) for tag in (256, 257))
    entries = sides + struct.pack(">HHII", 258, 3, 5, 8 + 2 + 12 * 3)
    data = b"MM\0*" + struct.pack(">IH", 8, 3) + entries + struct.pack(">5H", *[8] * 5)

    assert stored_size(data) is None


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("samples", "bits", "read"),
    [(1, 1, True), (1, 16, True), (4, 16, True), (1, 32, False), (4, 64, False), (5, 8, False)],
)
def test_a_tiff_of_floats_or_many_samples_is_not_read(order: str, samples: int, bits: int, read: bool) -> None:
    # Each would take 64 bytes a pixel and more. Several numbers of bits come after the tags.
    after = 8 + 2 + 12 * 4
    several = struct.pack(f"{order}I", after) if samples > 2 else struct.pack(f"{order}HH", bits, 0)
    sides = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, 9) for tag in (256, 257))
    entries = sides + struct.pack(f"{order}HHI", 258, 3, samples) + several
    entries += struct.pack(f"{order}HHIHH", 277, 3, 1, samples, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    data = start + struct.pack(f"{order}IH", 8, 4) + entries + struct.pack(f"{order}{samples}H", *[bits] * samples)

    assert stored_size(data) == ((9, 9) if read else None)


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_comment_in_an_anymap_ends_where_the_decoder_ends_it(end: bytes) -> None:
    data = b"P6 #" + end + b"30 20\n#5 5\n255\n" + bytes(30 * 20 * 3)

    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert stored_size(data) == decoded.shape[:2] == (20, 30)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(3, "H"), (4, "I")])
@pytest.mark.parametrize(("bits", "read"), [(8, True), (64, False)])
def test_the_bits_of_a_tiff_are_read_in_the_type_they_are_written_in(
    order: str, kind: int, code: str, bits: int, read: bool
) -> None:
    tags = [
        struct.pack(f"{order}HHIHxx", 256, 3, 1, 7),
        struct.pack(f"{order}HHIHxx", 257, 3, 1, 5),
        struct.pack(f"{order}HHI{code}", 258, kind, 1, bits).ljust(12, b"\0"),
    ]
    start = b"II*\0" if order == "<" else b"MM\0*"
    data = start + struct.pack(f"{order}IH", 8, len(tags)) + b"".join(tags)

    assert stored_size(data) == ((5, 7) if read else None)


def test_an_avif_and_a_jpeg_2000_count_as_large_as_the_largest_size_that_they_name() -> None:
    avif, jpeg2000 = FORMS["AVIF"], FORMS["JPEG 2000"]
    grid = b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 9_000, 8_000)
    assert stored_size(avif + grid) == stored_size(avif[:40] + grid + avif[40:]) == (8_000, 9_000)
    other = b"jp2c\xff\x4f\xff\x51" + struct.pack(">HHII", 47, 0, 9_000, 8_000)
    assert stored_size(jpeg2000 + other) == (8_000, 9_000)


def test_the_largest_size_is_that_of_the_most_pixels_and_may_need_all_32_bits() -> None:
    def box(width: int, height: int) -> bytes:
        return b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", width, height)

    # A wide or a high line must not hide a large picture from the limit.
    assert stored_size(FORMS["AVIF"] + box(9_000, 8_000) + box(10_000, 1) + box(1, 10_000)) == (8_000, 9_000)
    assert stored_size(FORMS["AVIF"] + box(2**31, 2**31 + 1)) == (2**31 + 1, 2**31)


def test_it_is_the_stored_size_and_not_that_of_a_thumbnail_or_after_rotation() -> None:
    picture = Image.fromarray(smooth_picture())
    thumbnail = saved(picture.resize((8, 8)))
    assert stored_size(saved(picture, exif=exif(6), comment=thumbnail)) == (60, 40)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"%PDF-1.7", b"P7\nWIDTH 3\n", bytes(99)]
)
def test_what_is_not_an_image_has_no_size(data: bytes) -> None:
    assert stored_size(data) is None


@pytest.mark.parametrize(("one", "other"), [(0, 5), (5, 0)])
def test_an_image_without_pixels_has_no_size(one: int, other: int) -> None:
    assert stored_size(png_that_claims(one, other)) is None


@given(st.sampled_from(STARTS), st.binary(max_size=80))
@example(b"II*\0", struct.pack("<IHHHII", 8, 1, 256, 99, 1, 7))  # A width of an unknown type.
def test_any_bytes_have_a_size_or_none(start: bytes, rest: bytes) -> None:
    size = stored_size(start + rest)

    assert size is None or (isinstance(size, Size) and min(size) > 0)
