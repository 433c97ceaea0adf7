"""Turn a partition table and the raw images into verified records."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import pandas as pd

from facegender.cluster import spread
from facegender.data.image_sources import ImageSource
from facegender.data.images import standard_jpeg
from facegender.data.shards import Record
from facegender.errors import FacegenderError

_IMAGES_PER_TASK = 100


class RawImage(NamedTuple):
    """The raw image of one row.

    Attributes:
        name: the image's id.
        row: the row's line in the partition table, from 2.
        label: 0 or 1.
        content: the file's bytes, or why they cannot be read.
    """

    name: str
    row: int
    label: int
    content: bytes | FacegenderError


class Outcome(NamedTuple):
    """The result for one row: a record or the error instead of it, and whether the image had to be encoded again."""

    record: Record | None
    problem: FacegenderError | None
    converted: bool


def preprocess(table: pd.DataFrame, images: ImageSource, height: int, width: int) -> Iterator[Outcome]:
    """Verify every image of a split by decoding it, and convert it to the standard form where needed.

    Args:
        table: columns `image_id` (str) and `label` (0 or 1), one row per image.
        images: the raw images.
        height: of the records' images, pixels.
        width: of the records' images, pixels.

    Yields:
        One outcome per row, in order.
    """
    return spread(partial(_verify, height=height, width=width), _read_rows(table, images), _IMAGES_PER_TASK)


def _read_rows(table: pd.DataFrame, images: ImageSource) -> Iterator[RawImage]:
    for row, (image_id, label) in enumerate(zip(table["image_id"], table["label"], strict=True), start=2):
        content: bytes | FacegenderError
        try:
            content = images.read(image_id)
        except FacegenderError as error:
            content = error
        yield RawImage(image_id, row, int(label), content)


def _verify(images: Iterable[RawImage], height: int, width: int) -> Iterator[Outcome]:
    for image in images:
        try:
            if isinstance(image.content, FacegenderError):
                raise image.content
            jpeg, converted = standard_jpeg(image.content, image.name, height, width)
        except FacegenderError as error:
            yield Outcome(None, error.within(f"row {image.row}"), False)
        else:
            yield Outcome(Record(image.name, image.label, jpeg), None, converted)


def good_records(
    outcomes: Iterable[Outcome], on_bad_image: str, split: str, counts: dict[str, int], problems: list[str]
) -> Iterator[Record]:
    """Yield the good records and count all outcomes.

    Args:
        outcomes: as `preprocess` yields them.
        on_bad_image: `fail` or `skip`.
        split: names the table in an error.
        counts: is filled with `images`, `converted` and `skipped`.
        problems: is filled with a line for each bad image.

    Raises:
        FacegenderError: after the last outcome, if there were bad images and `on_bad_image` is `fail`, or if no good
            image is left. It lists all bad images.
    """
    counts.update(images=0, converted=0, skipped=0)
    for outcome in outcomes:
        if outcome.record is None:
            problems.append(str(outcome.problem))
            counts["skipped"] += 1
        else:
            counts["images"] += 1
            counts["converted"] += outcome.converted
            yield outcome.record
    where = f"data/partition/{split}.csv"
    if problems and on_bad_image == "fail":
        remedy = "fix them, or set preprocess.on_bad_image to skip"
        raise FacegenderError(where, f"{len(problems)} bad images", remedy, problems)
    if problems and not counts["images"]:
        raise FacegenderError(where, "all images are bad", "fix them, or check dataset.images", problems)
