"""From the partition table and the raw images to verified records."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from facegender.data.images import standard_jpeg
from facegender.data.raw import ImageSource
from facegender.data.shards import Record
from facegender.errors import FacegenderError


class Outcome(NamedTuple):
    """What became of one row: a record or the problem in its place, and whether its bytes had to be made anew."""

    record: Record | None
    problem: str
    converted: bool


def preprocess(table: pd.DataFrame, images: ImageSource, height: int, width: int) -> Iterator[Outcome]:
    """Verify every image of a split by decoding it, and bring it to the standard form where needed.

    Args:
        table: columns `image_id` (str) and `label` (0 or 1), one row per image.
        images: the raw images.
        height: of the records' images, pixels.
        width: of the records' images, pixels.

    Yields:
        One outcome per row, in order.
    """
    for number, (image_id, label) in enumerate(zip(table["image_id"], table["label"], strict=True), start=2):
        try:
            jpeg, converted = standard_jpeg(images.read(image_id), image_id, height, width)
        except FacegenderError as error:
            yield Outcome(None, f"row {number}: {error}", False)
        else:
            yield Outcome(Record(image_id, int(label), jpeg), "", converted)


def good_records(
    outcomes: Iterable[Outcome], on_bad_image: str, split: str, counts: dict[str, int]
) -> Iterator[Record]:
    """Yield the good records, counting as they pass.

    Args:
        outcomes: as `preprocess` yields them.
        on_bad_image: `fail` or `skip`.
        split: what an error calls the table.
        counts: is filled with `images`, `converted` and `skipped`.

    Raises:
        FacegenderError: after the last outcome, when there were bad images and `on_bad_image` is `fail`, or when no
            image is left. It lists all of them.
    """
    counts.update(images=0, converted=0, skipped=0)
    problems = []
    for outcome in outcomes:
        if outcome.record is None:
            problems.append(outcome.problem)
            counts["skipped"] += 1
        else:
            counts["images"] += 1
            counts["converted"] += outcome.converted
            yield outcome.record
    listing = "\n".join(f"  {problem}" for problem in problems)
    if problems and on_bad_image == "fail":
        raise FacegenderError(
            f"data/partition/{split}.csv: {len(problems)} bad images; mend them, or set preprocess.on_bad_image to "
            f"skip:\n{listing}"
        )
    if problems and not counts["images"]:
        raise FacegenderError(f"data/partition/{split}.csv: every image is bad:\n{listing}")
