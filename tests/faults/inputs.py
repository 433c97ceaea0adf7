"""Wrong input by the thousand, from a seed: each case is read as the pipeline and the commands read it, and judged.

`python -m tests.faults` runs all cases, `make faults` does too, and `test_inputs.py` runs some of them.
"""

import csv
import io
import random
import signal
import traceback
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facegender.data.image_sources import open_images
from facegender.data.images import standard_jpeg
from facegender.data.lists import read_attributes, read_identities, read_partitions
from facegender.errors import FacegenderError, FacegenderErrors
from facegender.importing.csv_source import read_csv
from facegender.params import load_params
from facegender.serving.classifier import load_classifier
from tests.onnx_model import save_mean_network
from tests.paths import ROOT

READ, CONVERTED, REFUSED, CRASHED, LOST = "read", "converted", "refused", "crashed", "lost"
"""The verdicts: taken as it is; an image that is converted; an error of one line; any other exception, an error of
several lines, or no answer in time; right input that is refused or changed, or input of which a part disappears."""

SECONDS = 30
HEIGHT, WIDTH = 109, 89

Case = Callable[[random.Random, Path], str]


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise a TimeoutError if the block takes longer."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"no answer in {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(kind: str, number: int, folder: Path) -> tuple[str, str]:
    """Run a case.

    Args:
        kind: a key of CASES.
        number: with the kind, the seed.
        folder: for its files.

    Returns:
        The verdict, and for CRASHED and LOST what happened.
    """
    try:
        with time_limit(SECONDS):
            return CASES[kind](random.Random(f"{kind} {number}"), folder), ""
    except FacegenderErrors as errors:
        lines = [str(error) for error in errors.errors]
    except FacegenderError as error:
        lines = [str(error)]
    except AssertionError as error:
        return LOST, f"{kind} {number}: {error}"
    except Exception:
        return CRASHED, f"{kind} {number}: {traceback.format_exc()}"
    crooked = [line for line in lines if "\n" in line or not line.isprintable()]
    return (CRASHED, f"{kind} {number}: {crooked}") if crooked else (REFUSED, "")


def damage(chance: random.Random, data: bytes) -> bytes:
    """Damage a file in one to three ways."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randint(0, max(0, len(content) - 1))
        length = chance.choice((1, 2, 4, 16, 200))
        match chance.randrange(8):
            case 0 if content:
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place : place + length] = bytes(length)
            case 2:
                content[place : place + length] = chance.randbytes(length)
            case 3:
                del content[place:]
            case 4:
                del content[place : place + length]
            case 5:
                content[place:place] = content[place // 2 : place // 2 + length]
            case 6:
                content[place % 64 : place % 64 + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4))
                )
            case _:
                content[place:place] = chance.choice(ODD_BYTES)
    return bytes(content)


ODD_BYTES = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\x1a", b"\x1b[31m", b"\x1f", b",", b";", b"\t"),
    *(b" ", b'"', b"'", b"-", b"nan", b"1e999", b"1e2147483648", b"9" * 5000, b"\xe9", "\u202e\u2028\x85".encode()),
    *(b"../", b"/etc/passwd", b"<!doctype html>", b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"PK\x03\x04", b"PK\x05\x06"),
)

NAMES = (
    "000001.jpg",
    "a b.jpg",
    "jos\u00e9.png",
    "jose\u0301 2.png",
    "=1.jpg",
    "x,y.jpg",
    "NA",
    "007",
    "..",
    "\u65e5.jpg",
)


def image_ids(chance: random.Random, with_marks: bool) -> list[str]:
    """Return different ids; some contain commas or spaces only if they are quoted."""
    plain = [f"{chance.randrange(10**6):06}.jpg" for _ in range(chance.randint(1, 12))]
    odd = [name for name in NAMES if with_marks or not {",", " "} & set(name)]
    ids = plain + chance.sample(odd, chance.randint(0, 4))
    return list(dict.fromkeys(unicodedata.normalize("NFC", image_id) for image_id in ids))


def lists(chance: random.Random, folder: Path) -> str:
    """Read one of CelebA's lists, in any of its forms, wrong in three of four cases."""
    kind = chance.choice(("attributes", "partition", "identity"))
    quoted, mark = chance.random() < 0.4, chance.choice(", ")
    ids = image_ids(chance, quoted)
    if kind == "attributes":
        columns = ["Male", *chance.sample(("Smiling", "Bald", "Young"), chance.randint(0, 3))]
        chance.shuffle(columns)
        numbers = [[chance.randint(0, 1) for _ in columns] for _ in ids]
        no = chance.choice((0, -1))
        written = [[str(value or no) for value in row] for row in numbers]
    else:
        columns = [kind]
        numbers = [[chance.randrange(3 if kind == "partition" else 10 ** chance.randint(1, 17))] for _ in ids]
        written = [list(map(str, row)) for row in numbers]
    suffix = chance.choice(("", "", ".0"))
    rows = [[image_id, *(value + suffix for value in row)] for image_id, row in zip(ids, written, strict=True)]
    has_header = kind == "attributes" or chance.random() < 0.5
    if has_header:
        rows.insert(0, [chance.choice(("image_id", "")) if mark == "," else "image_id", *columns])
    quote = '"' if quoted else ""
    lines = [mark.join(f"{quote}{field}{quote}" for field in row) for row in rows]
    if chance.random() < 0.3:
        lines.insert(0, str(chance.choice((len(ids), 202599))))
    text = chance.choice(("\n", "\r\n", "\r")).join(lines) + chance.choice(("", "\n", "\n\n "))
    data = chance.choice((b"", b"", b"\xef\xbb\xbf")) + text.encode()
    is_wrong = chance.random() < 0.75
    path = folder / "list.csv"
    path.write_bytes(damage(chance, data) if is_wrong else data)
    read: Callable[[Path], Any] = {
        "attributes": read_attributes,
        "partition": read_partitions,
        "identity": read_identities,
    }[kind]
    if not is_wrong:
        table = taken(read, path)
        expected = pd.DataFrame(numbers, pd.Index(ids), columns)
        assert list(table.index) == ids, "the ids differ"
        assert np.array_equal(pd.DataFrame(table)[columns].to_numpy(), expected.to_numpy()), "the values differ"
        return READ
    table = read(path)
    found = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    # Damage may turn a first row into a count of the rows or a header.
    extra = len(lines) - len(ids)
    assert len(found) - max(extra, 1) <= len(table) <= len(found), "rows disappear"
    assert table.index.is_unique, "an id is there twice"
    return READ


def taken(read: Callable[[Path], Any], path: Path) -> Any:
    """Read what is right: an error is a loss."""
    try:
        return read(path)
    except FacegenderError as error:
        raise AssertionError(f"refused: {error}") from error


def tables(chance: random.Random, folder: Path) -> str:
    """Read a CSV file of paths and labels, wrong in three of four cases."""
    words = chance.choice((("1", "0"), ("male", "female"), ("Man", "Woman"), ("1.0", "0.0"), ("1", "-1"), ("M", "F")))
    blanks = ("", "nan", "None", "NULL", "n/a")
    header = [chance.choice(("path", "File Name", "image")), chance.choice(("Male", "label"))]
    header += ["identity", "split"][: chance.randint(0, 2)]
    rows, good = [], 0
    for image_id in image_ids(chance, True):
        label = chance.choice(words) if chance.random() < 0.9 else chance.choice(blanks)
        rows.append([image_id, label, chance.choice(("Ann", "Bob", *blanks)), chance.choice(("train", "val", "2"))])
        good += label in words and image_id not in ("NA",)
    text = io.StringIO()
    table = csv.writer(text, lineterminator=chance.choice(("\n", "\r\n")))
    table.writerows(row[: len(header)] for row in [header, *rows])
    is_wrong = chance.random() < 0.75
    path = folder / "faces.csv"
    data = text.getvalue().encode()
    path.write_bytes(damage(chance, data) if is_wrong else data)
    if not is_wrong:
        labels = {row[1] for row in rows} & set(words)
        if not labels:
            return READ
        found = taken(read_csv, path)
        assert len(found.images) == good, "other rows are good"
        assert len(found.images) + len(found.problems) == len(rows), "rows disappear"
        return READ
    found = read_csv(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        count = sum(any(map(str.strip, row)) for row in csv.reader(file)) - 1
    assert len(found.images) + len(found.problems) == count, "rows disappear"
    return READ


FORMATS = ("JPEG", "JPEG", "JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")
MODES = ("RGB", "RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16")
NOT_READ = (("TIFF", "LA"), ("JPEG2000", "CMYK"))
"""Whole images that are refused: OpenCV drops the alpha of the first, and does not decode the second."""
SIZES = ((WIDTH, HEIGHT), (WIDTH, HEIGHT), (178, 218), (1, 1), (2, 300), (400, 30))


@cache
def picture(form: str, mode: str, size: tuple[int, int], variant: int) -> bytes | None:
    """Return an image file, or None if Pillow does not write such files."""
    noise = np.random.default_rng(variant).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    image = Image.fromarray(noise).resize(size)
    options: dict[str, Any] = {"progressive": variant == 1, "quality": 90} if form == "JPEG" else {}
    if form == "TIFF" and variant == 1:
        options = {"compression": "tiff_lzw"}
    buffer = io.BytesIO()
    try:
        if mode == "I;16":
            deep = Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257)
            deep.save(buffer, form, **options)
        else:
            if "A" in mode:
                image.putalpha(128)
            image.convert(mode).save(buffer, form, **options)
    except (OSError, KeyError, ValueError):
        return None
    return buffer.getvalue()


def images(chance: random.Random, folder: Path) -> str:
    """Verify and convert an image of any kind, mode and size, damaged in three of four cases."""
    data = None
    while data is None:
        form, mode = chance.choice(FORMATS), chance.choice(MODES)
        data = picture(form, mode, chance.choice(SIZES), chance.randrange(3))
    is_wrong = chance.random() < 0.75
    given = damage(chance, data) if is_wrong else data
    try:
        jpeg, converted = standard_jpeg(given, "face.jpg", HEIGHT, WIDTH)
    except FacegenderError as error:
        if is_wrong or (form, mode) in NOT_READ:
            raise
        raise AssertionError(f"a whole {mode} {form} is refused: {error}") from error
    stored = Image.open(io.BytesIO(jpeg))
    stored.load()
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (WIDTH, HEIGHT)), "not as stored images are"
    return CONVERTED if converted else READ


def zips(chance: random.Random, folder: Path) -> str:
    """Read every image of a zip file, damaged in nine of ten cases."""
    names = image_ids(chance, True)
    names = [name for name in names if name.endswith((".jpg", ".png"))] or ["1.jpg"]
    contents = {name: chance.randbytes(chance.randint(1, 300)) * chance.randint(1, 3) for name in names}
    path = folder / "images.zip"
    how = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    is_read = how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in contents.items():
            archive.writestr(chance.choice(("", "img_align_celeba/", "../", "/", "a/b/")) + name, content)
    is_wrong = chance.random() < 0.9 or not is_read
    if is_wrong:
        path.write_bytes(damage(chance, path.read_bytes()))
    with open_images(path) as source:
        found = {name: source.read(name) for name in names if not is_wrong or source.find(name)}
    assert all(contents[name] == content for name, content in found.items()), "other bytes than were packed"
    if len(found) < len(names):
        raise FacegenderError(path, "images are missing, as the stage partition says", "")
    return READ


def params(chance: random.Random, folder: Path) -> str:
    """Read a params.yaml with changed lines and bytes."""
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").split("\n")
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        key = lines[place].partition(":")[0]
        match chance.randrange(5):
            case 0:
                lines[place] = f"{key}: {chance.choice(ODD_VALUES)}"
            case 1:
                del lines[place]
            case 2:
                lines.insert(place, lines[chance.randrange(len(lines))])
            case 3:
                lines[place] = chance.choice((" ", "    ", "\t", "- ")) + lines[place]
            case _:
                lines[place] = key
    data = "\n".join(lines).encode()
    path = folder / "params.yaml"
    path.write_bytes(damage(chance, data) if chance.random() < 0.3 else data)
    load_params(path)
    return READ


ODD_VALUES = (
    *("~", "", "yes", "-1", "1e999", ".nan", "9" * 5000, "2026-99-99", "!!int x", "!!binary x", "!own 1", "&a [*a]"),
    *("*b", "{", "[[[", "'", '"\\x1b[31m"', "|", "? x", "<<: 1", "!!python/object:os.system", "!!set {a}", "\u2028"),
)


def models(chance: random.Random, folder: Path) -> str:
    """Load an ONNX file, damaged in nine of ten cases, and predict with it."""
    path = folder / "model.onnx"
    save_mean_network(path, 6, 4, 0.25)
    if chance.random() < 0.9:
        path.write_bytes(damage(chance, path.read_bytes()))
    classifier = load_classifier(path)
    pixels = np.zeros((2, min(classifier.height, 500), min(classifier.width, 500), 3), np.uint8)
    assert classifier.predict(pixels).shape == (2,), "not a probability for each image"
    return READ


CASES: dict[str, Case] = {
    "lists": lists,
    "tables": tables,
    "images": images,
    "zips": zips,
    "params": params,
    "models": models,
}
"""Each kind of input, with the function that makes and reads one."""

NUMBERS = {"lists": 4000, "tables": 2000, "images": 4000, "zips": 1500, "params": 500, "models": 1000}
"""Cases of each kind in `make faults`."""


def run(numbers: dict[str, int], folder: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Run cases.

    Args:
        numbers: how many of each kind.
        folder: for their files.

    Returns:
        How often each verdict was given, by kind, and what happened in the cases that were not as they should be.
    """
    counts: dict[str, Counter[str]] = {}
    reports = []
    for kind, count in numbers.items():
        counts[kind] = Counter()
        for number in range(count):
            verdict, report = judge(kind, number, folder)
            counts[kind][verdict] += 1
            reports += [report] if report else []
    return counts, reports
