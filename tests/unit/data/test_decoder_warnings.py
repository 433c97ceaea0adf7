"""Damage that a decoder only warns of: the image is named and refused, and nothing reaches the terminal."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegender.data.decoder_warnings import damage_reported
from facegender.data.images import decode_image, decode_verified, standard_jpeg, stored_shape
from facegender.errors import FacegenderError
from facegender.importing.images import image_bytes
from facegender.serving.app import predict_picture
from facegender.serving.photographs import predict_photographs, read_faces, read_photographs
from tests.unit.data.test_images import FORMS, png_that_claims

SIDE = 64
MODEL: Any = SimpleNamespace(height=SIDE, width=SIDE)
"""Stands in for a model that is asked for nothing but its size."""


def noisy_jpeg(**options: bool | int) -> bytes:
    """Return a JPEG whose scan is long: its pixels are noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def damaged_copies() -> dict[str, bytes]:
    """Return whole JPEGs, copies with 16 zero bytes at many places of their scans, and other warned damage."""
    copies = {}
    kinds: dict[str, dict[str, bool | int]] = {"baseline": {}, "progressive": {"progressive": True}}
    for kind, options in {**kinds, "restarts": {"restart_marker_blocks": 2}}.items():
        jpeg = noisy_jpeg(**options)
        copies[f"{kind}, whole"] = jpeg
        scan = jpeg.index(b"\xff\xda")
        for place in range(scan + 20, len(jpeg) - 20, (len(jpeg) - scan) // 25):
            copies[f"{kind} {place}"] = jpeg[:place] + bytes(16) + jpeg[place + 16 :]
    whole = noisy_jpeg()
    copies["an unknown revision of JFIF"] = whole.replace(b"JFIF\0\x01", b"JFIF\0\x09", 1)
    copies["extra bytes before the end"] = whole[:-2] + b"\x12" * 50 + whole[-2:]
    return copies


DAMAGED = damaged_copies()


def said_by_opencv(images: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    """Return what decoders write about each image, in a process of their own, and `unreadable` if they give none."""
    for name, content in images.items():
        (folder / name).write_bytes(content)
    program = (
        "import os, sys\nimport cv2\ncv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)\n"
        "for path in sys.argv[1:]:\n"
        "    os.write(2, f'name: {os.path.basename(path)}\\n'.encode())\n"
        "    if cv2.imread(path, cv2.IMREAD_COLOR) is None: os.write(2, b'unreadable\\n')\n"
    )
    paths = [str(folder / name) for name in images]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    return dict(part.split("\n", 1) for part in done.stderr.split("name: ")[1:])


def refused(name: str) -> str | None:
    try:
        decode_verified(DAMAGED[name], name)
    except FacegenderError as error:
        return error.what if error.where == name else str(error)
    return None


def test_exactly_the_images_that_the_decoder_warns_of_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = {name: lines.strip() for name, lines in said_by_opencv(DAMAGED, tmp_path).items()}
    capfd.readouterr()

    reasons = {name: refused(name) for name in DAMAGED}

    assert {name for name, reason in reasons.items() if reason} == {name for name, lines in said.items() if lines}
    warned = {name: lines for name, lines in said.items() if lines and "unreadable" not in lines}
    assert len(warned) > 30
    assert {name: reasons[name] for name in warned} == {name: f"damaged: {lines}" for name, lines in warned.items()}
    assert capfd.readouterr().err == ""
    assert not any(reasons[f"{kind}, whole"] for kind in ("baseline", "progressive", "restarts"))


@pytest.mark.parametrize("form", FORMS)
def test_whole_images_are_decoded_as_without_the_check(form: str) -> None:
    assert np.array_equal(decode_verified(FORMS[form], form), decode_image(FORMS[form], form))


def test_remarks_on_metadata_are_no_damage_and_do_not_reach_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG", icc_profile=b"no profile" * 20)
    capfd.readouterr()

    decode_image(buffer.getvalue(), "a.png")
    assert "libpng warning: iCCP" in capfd.readouterr().err
    assert decode_verified(buffer.getvalue(), "a.png").shape == (8, 8, 3)
    assert capfd.readouterr().err == ""


def test_a_warning_is_one_line_with_the_image_what_was_found_and_what_to_do() -> None:
    with pytest.raises(FacegenderError) as raised:
        decode_verified(DAMAGED["extra bytes before the end"], "a.jpg")

    line = str(raised.value)
    assert line.startswith("a.jpg: damaged: Corrupt JPEG data: ")
    assert line.endswith("; get the file again, or save it anew in an image editor")
    assert "\n" not in line


def test_damaged_images_are_neither_kept_nor_measured() -> None:
    name = "extra bytes before the end"

    for read in (lambda: standard_jpeg(DAMAGED[name], "a.jpg", SIDE, SIDE), lambda: stored_shape(DAMAGED[name], "a")):
        with pytest.raises(FacegenderError, match=r"^a(\.jpg)?: "):
            read()
    assert stored_shape(noisy_jpeg(), "a.jpg") == (SIDE, SIDE, 3)
    with pytest.raises(FacegenderError, match="are more than 70 megapixels"):
        stored_shape(png_that_claims(60_000, 60_000), "a.png")


def read_as_photograph(path: Path) -> object:
    [prediction] = predict_photographs(read_photographs([str(path)]), MODEL, "never", 0)
    if prediction.error:
        raise FacegenderError(prediction.path, prediction.error, "")
    return prediction


READERS: dict[str, Callable[[Path], object]] = {
    "predict": read_as_photograph,
    "explain": lambda path: read_faces(str(path), SIDE, SIDE, "never"),
    "app": lambda path: predict_picture(path.read_bytes(), MODEL),
    "import": lambda path: image_bytes(path.read_bytes(), path.name),
    "preprocess": lambda path: standard_jpeg(path.read_bytes(), path.name, SIDE, SIDE),
    "eda": lambda path: stored_shape(path.read_bytes(), path.name),
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_images_from_outside_refuses_damage(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(DAMAGED["extra bytes before the end"])

    with pytest.raises(FacegenderError, match="damaged"):
        READERS[reader](path)


def damaged_tiffs(compression: str) -> list[bytes]:
    """Return copies of a TIFF, each with two other bytes among its pixels."""
    chance = np.random.default_rng(0)
    buffer = io.BytesIO()
    pixels = chance.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "TIFF", compression=compression)
    copies = []
    for _ in range(60):
        content = bytearray(buffer.getvalue())
        for place in chance.integers(1000, SIDE * SIDE, 2):
            content[place] ^= 1 + int(chance.integers(255))
        copies.append(bytes(content))
    return [buffer.getvalue(), *copies]


@pytest.mark.parametrize("compression", ["tiff_deflate", "tiff_lzw", "jpeg"])
def test_a_tiff_that_libtiff_reports_damaged_is_refused(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, *copies = damaged_tiffs(compression)
    said = said_by_opencv({f"{number:02}": content for number, content in enumerate(copies)}, tmp_path)
    damaged = {name for name, lines in said.items() if "TIFF_Error" in lines or "Corrupt" in lines or "unread" in lines}
    capfd.readouterr()

    refused = set()
    for number, content in enumerate(copies):
        try:
            decode_verified(content, "a.tif")
        except FacegenderError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refused.add(f"{number:02}")

    assert refused == damaged
    assert len(damaged) > 10
    assert decode_verified(whole, "a.tif").shape == (SIDE, SIDE, 3)
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with damage_reported() as warnings:
        os.write(2, b"50%|ab\xff|Corrupt JPEG data: bad Huffman code\nlibpng error: bad\nand a line\n")
        assert warnings == []

    assert warnings == ["Corrupt JPEG data: bad Huffman code"]
    shown = capfd.readouterr().err
    assert shown.startswith("50%|ab")
    assert "and a line\n" in shown
    assert "Corrupt" not in shown
    assert "libpng" not in shown


def test_more_than_a_pipe_holds_is_cut_and_does_not_block() -> None:
    with damage_reported() as warnings:
        for _ in range(3000):
            try:
                os.write(2, b"Corrupt JPEG data: premature end of data segment\n" * 2)
            except BlockingIOError:
                break

    assert len(warnings) > 100


def test_an_error_in_the_block_restores_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), damage_reported():
        raise ZeroDivisionError
    os.write(2, b"still here\n")

    assert capfd.readouterr().err == "still here\n"


def test_threads_do_not_get_each_others_warnings() -> None:
    names = ["extra bytes before the end", "whole"] * 100
    whole = noisy_jpeg()

    def verdict(name: str) -> bool:
        with damage_reported() as warnings:
            decode_image(DAMAGED.get(name, whole), name)
        return bool(warnings)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(verdict, names)) == [name != "whole" for name in names]


def test_it_works_where_standard_error_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DAMAGED["extra bytes before the end"])
    program = (
        "import sys\nfrom pathlib import Path\nfrom facegender.data.images import decode_verified\n"
        "for _ in range(2):\n"
        "    try: decode_verified(Path(sys.argv[1]).read_bytes(), 'a.jpg')\n"
        "    except Exception as error: print(error)\n"
    )
    command = f'exec "{sys.executable}" -c "$0" "$1" 2>&-'

    done = subprocess.run(["sh", "-c", command, program, str(tmp_path / "a.jpg")], stdout=subprocess.PIPE, text=True)

    assert done.stdout.count("a.jpg: damaged: Corrupt JPEG data: ") == 2


def test_what_others_write_where_standard_error_is_closed_goes_nowhere() -> None:
    before = os.dup(2)
    os.close(2)
    try:
        for _ in range(2):
            with damage_reported() as warnings:
                os.write(2, b"Corrupt JPEG data: bad Huffman code\nand a line\n")
            assert warnings == ["Corrupt JPEG data: bad Huffman code"]
    finally:
        os.dup2(before, 2)
        os.close(before)


def test_standard_error_stays_as_it_is_for_ordinary_images(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for _ in range(100):
        decode_verified(noisy_jpeg(), "a.jpg")

    assert (len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0) == before
    assert capfd.readouterr().err == ""
