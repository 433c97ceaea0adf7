"""Decoding, the standard form and encoding of images; Pillow is the independent reader."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from facegender.data.images import (
    MAX_PIXELS,
    Pixels,
    decode_image,
    decode_verified,
    encode_jpeg,
    fit_image,
    standard_jpeg,
    stored_shape,
)
from facegender.errors import FacegenderError

HEIGHT, WIDTH = 60, 40


def smooth_picture(height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Return an image whose four corners differ, so that every rotation and mirroring shows."""
    rows, columns = np.mgrid[:height, :width]
    red, green = rows * 255 // max(height - 1, 1), columns * 255 // max(width - 1, 1)
    return np.stack([red, green, (red + green) // 4], axis=-1).astype(np.uint8)


def translucent_picture() -> Image.Image:
    picture = Image.fromarray(smooth_picture())
    picture.putalpha(Image.fromarray(np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)))
    return picture


def saved(picture: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def pillow_pixels(data: bytes) -> Pixels:
    """Decode with Pillow: rotated as EXIF says, over white."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def largest_difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def right_jpeg() -> bytes:
    return saved(Image.fromarray(smooth_picture()), quality=95)


def forms() -> dict[str, bytes]:
    colour = Image.fromarray(smooth_picture())
    grey, translucent = colour.convert("L"), translucent_picture()
    bgr16 = smooth_picture()[..., ::-1].astype(np.uint16) * 257
    return {
        "colour JPEG": saved(colour),
        "progressive JPEG": saved(colour, progressive=True),
        "JPEG with restart markers": saved(colour, restart_marker_blocks=1),
        # A phone's video after the image, which happens to have the markers of an end and of a scan.
        "JPEG with a video after it": saved(colour) + b"\0ftyp\xff\xd9mdat\xff\xda" + bytes(50),
        "JPEG with a JPEG in its comment": saved(colour, comment=saved(colour.resize((8, 8)))),
        "grey JPEG": saved(grey),
        "CMYK JPEG": saved(colour.convert("CMYK"), quality=95),
        "PNG": saved(colour, "PNG"),
        "grey PNG": saved(grey, "PNG"),
        "RGBA PNG": saved(translucent, "PNG"),
        "grey and alpha PNG": saved(translucent.convert("LA"), "PNG"),
        "16 bit grey PNG": saved(Image.fromarray(smooth_picture()[..., 0].astype(np.uint16) * 257), "PNG"),
        "16 bit PNG": bytes(cv2.imencode(".png", bgr16)[1]),
        "palette PNG": saved(colour.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "palette PNG with a transparent colour": saved(
            colour.convert("P", palette=Image.Palette.ADAPTIVE), "PNG", transparency=3
        ),
        "black and white PNG": saved(colour.convert("1"), "PNG"),
        "BMP": saved(colour, "BMP"),
        "WebP": saved(colour, "WEBP", lossless=True),
        "RGBA WebP": saved(translucent, "WEBP", lossless=True),
        "GIF": saved(colour, "GIF"),
        "TIFF": saved(colour, "TIFF"),
        "RGBA TIFF": saved(translucent, "TIFF"),
        "AVIF": saved(colour, "AVIF", quality=100, subsampling="4:4:4"),
        "RGBA AVIF": saved(translucent, "AVIF", quality=100, subsampling="4:4:4"),
        "JPEG 2000": saved(colour, "JPEG2000"),
        "portable pixmap": saved(colour, "PPM"),
        "portable greymap": saved(grey, "PPM"),
        "portable bitmap": saved(colour.convert("1"), "PPM"),
        "portable pixmap with comments": b"P6 # a\n# b 7 7\n40 # c\n60\n255\n" + smooth_picture().tobytes(),
        "one pixel": saved(Image.new("RGB", (1, 1), (12, 34, 56)), "PNG"),
    }


FORMS = forms()


def expected_pixels(form: str) -> Pixels:
    if form == "16 bit PNG":
        return smooth_picture()
    if form == "16 bit grey PNG":
        # Pillow clips 16 bit where it should scale.
        return np.repeat(smooth_picture()[..., :1], 3, axis=2)
    return pillow_pixels(FORMS[form])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_decodes_as_in_pillow(form: str) -> None:
    image = decode_image(FORMS[form], form)

    assert image.dtype == np.uint8
    # One: alpha and CMYK are rounded in another way. AVIF converts colours to luma and chroma and back.
    assert largest_difference(image, expected_pixels(form)) <= (2 if "AVIF" in form else 1)


def test_16_bit_alpha_goes_over_white() -> None:
    # Grey 0 at alpha 1/3, 1/1 and 0: 255 * (1 - alpha).
    pixels = np.zeros((1, 3, 4), np.uint16)
    pixels[0, :, 3] = 21845, 65535, 0

    image = decode_image(bytes(cv2.imencode(".png", pixels)[1]), "deep.png")

    assert image[0, :, 0].tolist() == [170, 0, 255]


def test_colour_above_its_alpha_is_white_and_does_not_wrap_around() -> None:
    # A TIFF may say that its colour is already multiplied by alpha: 200 + 255 - 100 is more than white.
    tiff = saved(Image.new("RGBA", (2, 2), (200, 50, 0, 100)), "TIFF")
    separate, multiplied = (struct.pack("<HHIHxx", 338, 3, 1, kind) for kind in (2, 1))
    assert tiff.count(separate) == 1

    assert decode_image(tiff.replace(separate, multiplied), "a.tif")[0, 0].tolist() == [255, 205, 155]


def test_opaque_pixels_keep_their_values() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 4, axis=2)
    grey[..., 3] = 255

    assert decode_image(bytes(cv2.imencode(".png", grey)[1]), "a.png")[0, :, 0].tolist() == list(range(256))


def test_only_an_avif_is_searched_for_the_boxes_of_an_avif() -> None:
    png = bytes(cv2.imencode(".png", np.full((2, 3, 4), 30_000, np.uint16))[1])
    boxes = b"pixi\0\0\0\0\x04\x0a" + b"\0\0\0\x09irot\x01"

    assert np.array_equal(decode_image(png + boxes, "a.png"), decode_image(png, "a.png"))


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_than_8_bits_uses_all_of_its_range(bits: int) -> None:
    white = 2**bits - 1
    pixels = np.full((16, 48, 4), white, np.uint16)
    # Black, opaque; black at alpha 1/3; grey of one half, opaque. These become 0, 255 * (1 - 1/3) and 128.
    pixels[:, :16, :3], pixels[:, 16:32, :3], pixels[:, 32:, :3] = 0, 0, (white + 1) // 2
    pixels[:, 16:32, 3] = white // 3
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]

    image = decode_image(bytes(cv2.imencode(".avif", pixels, options)[1]), "deep.avif")

    assert image[8, [8, 24, 40], 1] == pytest.approx([0, 170, 128], abs=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "form",
    [
        *("JPEG", "grey JPEG", "PNG", "RGBA PNG", "RGBA WebP", "RGBA TIFF", "AVIF", "RGBA AVIF"),
    ],
)
def test_images_are_rotated_as_exif_says(form: str, orientation: int) -> None:
    picture = translucent_picture() if "RGBA" in form else Image.fromarray(smooth_picture())
    picture = picture.convert("L") if "grey" in form else picture
    lossless: dict[str, dict[str, Any]] = {"WebP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options: dict[str, Any] = lossless.get(form.split()[-1], {})
    data = saved(picture, form.split()[-1].upper(), exif=exif(orientation), **options)

    image = decode_image(data, form)

    assert image.shape[:2] == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    assert image.flags.c_contiguous
    assert largest_difference(image, pillow_pixels(data)) <= (2 if "AVIF" in form else 1)


def test_pure_red_has_its_first_channel_high() -> None:
    red = Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0))

    for data in (saved(red), saved(red, "PNG"), saved(red.convert("RGBA"), "PNG")):
        jpeg, _ = standard_jpeg(data, "red", HEIGHT, WIDTH)
        assert largest_difference(decode_image(jpeg, "red"), np.full((HEIGHT, WIDTH, 3), (255, 0, 0))) <= 2
        assert largest_difference(pillow_pixels(jpeg), np.full((HEIGHT, WIDTH, 3), (255, 0, 0))) <= 2


def png_that_claims(width: int, height: int) -> bytes:
    """Return the start of a PNG: its signature and header."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))


def damaged() -> dict[str, bytes]:
    jpeg, progressive = right_jpeg(), saved(Image.fromarray(smooth_picture()), progressive=True)
    png, translucent = FORMS["PNG"], FORMS["RGBA PNG"]
    return {
        "empty": b"",
        "html": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
        "zeros": bytes(5_000),
        "one byte": jpeg[:1],
        "start only": jpeg[:2],
        "header only": jpeg[: jpeg.index(b"\xff\xda")],
        "header and scan header": jpeg[: jpeg.index(b"\xff\xda") + 14],
        "half": jpeg[: len(jpeg) // 2],
        "nine tenths": jpeg[: len(jpeg) * 9 // 10],
        "without its last two bytes": jpeg[:-2],
        "without its last byte": jpeg[:-1],
        "half, then zeros": jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2),
        "the end lost in zeros": jpeg[:-5] + bytes(100),
        "half progressive": progressive[: len(progressive) // 2],
        "nearly whole progressive": progressive[:-2],
        "half png": png[: len(png) // 2],
        "png without its last chunk": png[:-12],
        "half RGBA png": translucent[: len(translucent) // 2],
        "half webp": FORMS["WebP"][: len(FORMS["WebP"]) // 2],
        "half RGBA webp": FORMS["RGBA WebP"][: len(FORMS["RGBA WebP"]) // 2],
        "half bmp": FORMS["BMP"][: len(FORMS["BMP"]) // 2],
        "half gif": FORMS["GIF"][: len(FORMS["GIF"]) // 2],
        "half tiff": FORMS["TIFF"][: len(FORMS["TIFF"]) // 2],
        "half avif": FORMS["AVIF"][: len(FORMS["AVIF"]) // 2],
        "half jpeg 2000": FORMS["JPEG 2000"][: len(FORMS["JPEG 2000"]) // 2],
        "half portable pixmap": FORMS["portable pixmap"][: len(FORMS["portable pixmap"]) // 2],
        "a side too long for OpenCV": png_that_claims(2**20 + 1, 1),
        "four channels of float": bytes(cv2.imencode(".tif", np.zeros((HEIGHT, WIDTH, 4), np.float32))[1]),
    }


DAMAGED = damaged()


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_one_line_that_names_the_image(damage: str) -> None:
    with pytest.raises(FacegenderError, match=r"^Jürgen 1\.jpg: ") as caught:
        standard_jpeg(DAMAGED[damage], "Jürgen 1.jpg", HEIGHT, WIDTH)

    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).endswith("get the file again")
    if DAMAGED[damage].startswith(b"\xff\xd8"):
        assert caught.value.what.startswith(("a JPEG that is cut short or damaged", "damaged: "))
    elif DAMAGED[damage]:
        assert caught.value.remedy == "convert it to JPEG, or get the file again"
        unknown = "not a readable image: unsupported, damaged or over the size limit"
        assert caught.value.what == ("a web page, which cannot be read as an image" if damage == "html" else unknown)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\n <!DOCTYPE HTML><title>Quota exceeded</title>", "a web page"),
        (b"\xef\xbb\xbf<html lang=en>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
    ],
)
def test_what_is_in_place_of_an_image_is_named(start: bytes, kind: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        decode_image(start + bytes(50), "a.jpg")

    assert str(caught.value) == (
        f"a.jpg: {kind}, which cannot be read as an image; convert it to JPEG, or get the file again"
    )


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_of_grey_and_alpha_is_refused_because_opencv_drops_its_alpha(compression: str | None) -> None:
    with pytest.raises(FacegenderError, match=r"^a\.tif: not a readable image: unsupported"):
        decode_image(saved(translucent_picture().convert("LA"), "TIFF", compression=compression), "a.tif")


def test_damage_leaves_no_lines_of_opencv_on_the_terminal(tmp_path: Path) -> None:
    # Loaders of these kinds write to standard error through OpenCV's log.
    files = []
    for name in ("half avif", "half gif", "half jpeg 2000", "half portable pixmap", "half tiff"):
        files.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(DAMAGED[name])
    program = (
        "import sys\nfrom pathlib import Path\nfrom facegender.data.images import decode_image\n"
        "for path in sys.argv[1:]:\n"
        "    try: decode_image(Path(path).read_bytes(), path)\n"
        "    except Exception as error: print(error)\n"
    )

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "OPENCV_LOG_LEVEL"} | variables
        return subprocess.run(
            [sys.executable, "-c", program, *files], env=environment, capture_output=True, text=True, check=True
        )

    done = run()
    assert done.stdout.count("not a readable image") == len(files)
    assert done.stderr == ""
    # Who asks for the log gets it.
    assert "[ERROR:" in run(OPENCV_LOG_LEVEL="ERROR").stderr


@pytest.mark.parametrize("form", FORMS)
def test_the_limit_itself_is_decoded_and_one_pixel_more_is_not(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = Image.open(io.BytesIO(FORMS[form])).size

    assert decode_image(FORMS[form], form, max_pixels=width * height).shape == (height, width, 3)

    for name in ("imdecode", "imdecodeWithMetadata"):
        monkeypatch.setattr(cv2, name, lambda *_: pytest.fail("decoded"))
    with pytest.raises(FacegenderError, match=rf"^big: {width} x {height} pixels are more than .*; scale it down$"):
        decode_image(FORMS[form], "big", max_pixels=width * height - 1)
    with pytest.raises(FacegenderError, match=rf"^big: {width} x {height} pixels are more than .*; scale it down$"):
        decode_verified(FORMS[form], "big", max_pixels=width * height - 1)


def test_a_small_file_that_claims_many_pixels_is_refused_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PIXELS == 70_000_000
    with pytest.raises(FacegenderError, match="not a readable image"):  # Not for its size.
        decode_image(png_that_claims(10_000, 7_000), "cut.png")
    bomb = saved(Image.new("1", (10_000, 7_001)), "PNG")
    assert len(bomb) < 20_000
    for name in ("imdecode", "imdecodeWithMetadata"):
        monkeypatch.setattr(cv2, name, lambda *_: pytest.fail("decoded"))
    with pytest.raises(FacegenderError, match=r"^bomb\.png: 10000 x 7001 pixels are more than 70 megapixels; scale it"):
        decode_image(bomb, "bomb.png")
    with pytest.raises(FacegenderError, match=r"^bomb\.png: 10000 x 7001 pixels are more than 70 megapixels; scale it"):
        stored_shape(bomb, "bomb.png")


def test_a_jpeg_header_that_claims_many_pixels_is_refused_for_its_size() -> None:
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, 60_000, 60_000, 1) + b"\x01\x11\0"

    with pytest.raises(FacegenderError, match=r"^a\.jpg: 60000 x 60000 pixels are more than 70 megapixels; scale it"):
        decode_image(b"\xff\xd8" + frame, "a.jpg")


def test_a_jpeg_cut_anywhere_is_refused() -> None:
    jpeg = right_jpeg()

    for length in range(len(jpeg)):
        with pytest.raises(FacegenderError, match=r"^cut\.jpg: "):
            decode_image(jpeg[:length], "cut.jpg")


@pytest.mark.parametrize("extra", [bytes(100), b"<html>", right_jpeg()], ids=["zeros", "html", "another JPEG"])
def test_extra_bytes_after_the_end_of_a_jpeg_changes_nothing(extra: bytes) -> None:
    image = decode_image(right_jpeg() + extra, "long.jpg")

    assert np.array_equal(image, decode_image(right_jpeg(), "right.jpg"))


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"exif": exif(1)}],
    ids=["baseline", "progressive", "4:4:4", "EXIF upright"],
)
def test_a_right_jpeg_stays_as_it_is(options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(smooth_picture()), **options)

    assert standard_jpeg(data, "right.jpg", HEIGHT, WIDTH) == (data, False)


WRONG = {
    **{form: data for form, data in FORMS.items() if "JPEG" not in form or form.startswith(("grey", "CMYK"))},
    "other size": saved(Image.fromarray(smooth_picture(50, 70))),
    "upside down": saved(Image.fromarray(smooth_picture()), exif=exif(3)),
    "on its side": saved(Image.fromarray(smooth_picture(WIDTH, HEIGHT)), exif=exif(6)),
}


@pytest.mark.parametrize("form", WRONG)
def test_anything_else_becomes_a_right_jpeg_once(form: str) -> None:
    jpeg, converted = standard_jpeg(WRONG[form], form, HEIGHT, WIDTH)

    assert converted
    stored = Image.open(io.BytesIO(jpeg))
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (WIDTH, HEIGHT))
    assert 0x0112 not in stored.getexif()
    assert standard_jpeg(jpeg, form, HEIGHT, WIDTH) == (jpeg, False)


# A frame header of 8 bits and three components as the wanted image has it, and one in which all else differs too.
RGB_FRAME = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, HEIGHT, WIDTH, 3) + bytes(range(9))
GREY_FRAME = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, WIDTH, HEIGHT, 1) + bytes(range(3))
COMMENT = 0xFE
# 0xEE is left out: Adobe's segment says which colours the components are.
APPLICATION = [marker for marker in range(0xE0, 0xF0) if marker != 0xEE]


def with_segments(jpeg: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    """Insert segments, by marker and content, after a JPEG's first marker and once more before its scan."""
    inserted = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content for marker, content in segments)
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:2] + inserted + jpeg[2:scan] + inserted + jpeg[scan:]


@pytest.mark.parametrize("marker", [COMMENT, 0xE1, 0xED])
@pytest.mark.parametrize("form", ["grey JPEG", "CMYK JPEG", "other size", "on its side"])
def test_a_frame_header_in_another_segment_does_not_count(form: str, marker: int) -> None:
    data = {**FORMS, **WRONG}[form]
    jpeg, converted = standard_jpeg(with_segments(data, [(marker, b"x" + RGB_FRAME)]), form, HEIGHT, WIDTH)

    assert converted
    assert jpeg == standard_jpeg(data, form, HEIGHT, WIDTH)[0]
    assert Image.open(io.BytesIO(jpeg)).mode == "RGB"


SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from([COMMENT, *APPLICATION]),
        st.lists(
            st.one_of(st.binary(max_size=20), st.sampled_from([RGB_FRAME, GREY_FRAME, b"\xff\xd9", b"\xff\xda"])),
            max_size=4,
        ).map(b"".join),
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(segments=SEGMENTS, progressive=st.booleans())
def test_a_right_jpeg_stays_as_it_is_with_any_further_segments(
    segments: list[tuple[int, bytes]], progressive: bool
) -> None:
    data = with_segments(saved(Image.fromarray(smooth_picture()), progressive=progressive), segments)

    assert standard_jpeg(data, "right.jpg", HEIGHT, WIDTH) == (data, False)


@settings(max_examples=60)
@given(segments=SEGMENTS, form=st.sampled_from(["grey JPEG", "CMYK JPEG", "other size", "upside down"]))
def test_any_other_jpeg_is_converted_the_same_with_any_further_segments(
    segments: list[tuple[int, bytes]], form: str
) -> None:
    data = {**FORMS, **WRONG}[form]

    converted = standard_jpeg(with_segments(data, segments), form, HEIGHT, WIDTH)

    assert converted == standard_jpeg(data, form, HEIGHT, WIDTH)
    assert converted[1]


def test_conversion_keeps_the_image() -> None:
    jpeg, _ = standard_jpeg(FORMS["PNG"], "smooth.png", HEIGHT, WIDTH)

    assert largest_difference(pillow_pixels(jpeg), smooth_picture()) <= 4


def test_all_forms_stack_into_one_array() -> None:
    jpegs = [standard_jpeg(data, form, HEIGHT, WIDTH)[0] for form, data in FORMS.items()]

    stack = np.stack([decode_image(jpeg, "any") for jpeg in jpegs])

    assert stack.shape == (len(FORMS), HEIGHT, WIDTH, 3)
    assert stack.dtype == np.uint8
    assert stack.flags.c_contiguous


@pytest.mark.parametrize(("height", "width"), [(120, 80), (480, 200), (100, 300), (40, 40), (600, 601)])
def test_a_circle_stays_round_and_in_the_middle(height: int, width: int) -> None:
    # Small enough to be inside every crop.
    radius = min(height, width) // 4
    rows, columns = np.ogrid[:height, :width]
    inside = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) <= radius
    circle = np.repeat(255 * inside[..., None].astype(np.uint8), 3, axis=2)

    fitted = fit_image(circle, HEIGHT, WIDTH)

    assert fitted.shape == (HEIGHT, WIDTH, 3)
    white_rows, white_columns = np.nonzero(fitted[..., 0] > 127)
    # The side that is kept whole gives the scale.
    diameter = 2 * radius * max(HEIGHT / height, WIDTH / width)
    assert np.ptp(white_rows) + 1 == pytest.approx(diameter, abs=2)
    assert np.ptp(white_columns) + 1 == pytest.approx(diameter, abs=2)
    assert white_rows.mean() == pytest.approx((HEIGHT - 1) / 2, abs=1)
    assert white_columns.mean() == pytest.approx((WIDTH - 1) / 2, abs=1)


def test_only_the_middle_of_a_wide_image_is_kept() -> None:
    # From 60 rows of 100 columns to 60 by 40: the 30 columns on either side are cut off.
    wide = np.zeros((60, 100, 3), np.uint8)
    wide[:] = np.arange(100)[None, :, None]

    assert fit_image(wide, 60, 40)[0, :, 0].tolist() == list(range(30, 70))


def test_scaling_down_averages() -> None:
    # One of four columns is 200: the mean is 50; a reader of one pixel or two would give 0, 100 or 200.
    stripes = np.zeros((4 * HEIGHT, 4 * WIDTH, 3), np.uint8)
    stripes[:, ::4] = 200

    assert np.unique(fit_image(stripes, HEIGHT, WIDTH)).tolist() == [50]


def test_scaling_down_a_little_averages_too() -> None:
    # Each of the two columns is one of the three and half of the middle one: (0 + 90 / 2) / 1.5.
    stripe = np.zeros((3, 3, 3), np.uint8)
    stripe[:, 1] = 90

    assert np.unique(fit_image(stripe, 2, 2)).tolist() == [30]


def test_scaling_up_blends_what_is_side_by_side() -> None:
    # The middles of the four columns are at 1/4, 3/4, 5/4 and 7/4 of the old ones, whose middles are at 1/2 and 3/2.
    image = np.zeros((1, 2, 3), np.uint8)
    image[:, 1] = 100

    assert fit_image(image, 2, 4)[..., 0].tolist() == [[0, 25, 75, 100]] * 2


def test_of_a_line_only_the_pixel_in_the_middle_is_kept() -> None:
    # Two thirds of a pixel would fit, and two pixels would mix.
    column = np.repeat(np.array([10, 20, 30], np.uint8)[:, None, None], 3, axis=2)

    assert np.unique(fit_image(column, 40, 60)).tolist() == [20]
    assert np.unique(fit_image(column.transpose(1, 0, 2), 60, 40)).tolist() == [20]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 1000), (1000, 1), (2, 3)])
def test_the_smallest_images_fit_too(height: int, width: int) -> None:
    fitted = fit_image(np.full((height, width, 3), 77, np.uint8), HEIGHT, WIDTH)

    assert fitted.shape == (HEIGHT, WIDTH, 3)
    assert np.unique(fitted).tolist() == [77]


def test_encoding_keeps_colours_sharp_and_bytes_the_same() -> None:
    # One red column between blue ones: with chroma subsampling it would turn purple.
    image = np.full((16, 16, 3), (0, 0, 255), np.uint8)
    image[:, 8] = 255, 0, 0

    jpeg = encode_jpeg(image)

    assert jpeg == encode_jpeg(image.copy())
    assert largest_difference(pillow_pixels(jpeg), image) <= 20
