"""Stage augment: shards of transformed copies of the training images, or how training transforms them itself."""

from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from facegender.cache import alone
from facegender.cluster import spread
from facegender.data.images import Pixels, decode_image
from facegender.data.shards import Record, read_files, read_records, shard_paths
from facegender.errors import one_line_errors
from facegender.files import whole_folder
from facegender.params import load_params
from facegender.preparation.augment import Ranges, augment_record, copy_shards, fresh_image, write_transformations
from facegender.reporting.costs import recorded_cost
from facegender.reporting.gallery import exhibit, write_gallery
from facegender.reporting.pictures import image_grid

PICTURED = 8
PICTURED_COPIES = 3


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/preprocessed/train_copies from data/preprocessed/train, and pictures of some."""
    group = load_params().augment
    ranges = Ranges(**group.model_dump(exclude={"mode", "copies", "seed"}))
    source = Path("data/preprocessed/train")
    with whole_folder("data/preprocessed/train_copies") as folder:
        if group.mode == "fresh":
            write_transformations(folder, ranges, group.seed)
            print("augment: nothing is stored, because training transforms each image itself (augment.mode: fresh)")
        else:
            write_copies(source, folder, ranges, group.seed, group.copies)
            print(f"augment: {group.copies} transformed copies of each training image")

    originals = list(islice(read_records(source), PICTURED))
    if group.mode == "fresh":
        title, name = "Training images, each above its transformations in the first epochs", "epoch"
        numbers = range(1, PICTURED_COPIES + 1)
    else:
        title, name = "Training images, each above its transformed copies", "copy"
        numbers = range(1, min(group.copies, PICTURED_COPIES) + 1)
    transform = fresh_image if group.mode == "fresh" else stored_image
    columns = [
        [
            decode_image(record.jpeg, record.image_id),
            *(transform(record, ranges, group.seed, number) for number in numbers),
        ]
        for record in originals
    ]
    shown = ["original", *(f"{name} {number}" for number in numbers)]
    write_gallery(
        "data/augment",
        [exhibit(record.image_id, *column) for record, column in zip(originals, columns, strict=True)],
    )
    image_grid(
        "metrics/plots/augment.png",
        [column[row] for row in range(len(shown)) for column in columns],
        [f"{record.image_id}\n{caption}" for caption in shown for record in originals],
        title,
        columns=len(originals),
    )


def stored_image(record: Record, ranges: Ranges, seed: int, copy: int) -> Pixels:
    """Return a copy as training sees it: after its JPEG encoding."""
    return decode_image(augment_record(record, ranges, seed, copy).jpeg, record.image_id)


def write_copies(source: Path, folder: Path, ranges: Ranges, seed: int, copies: int) -> None:
    """Write into `folder` the shards of the copies 1 to `copies` of every record in the shards of `source`."""
    paths = shard_paths(source)
    names = [f"{path.stem}-copy-{copy}.zip" for path in paths for copy in range(1, copies + 1)]
    shards = spread(partial(copy_shards, ranges=ranges, seed=seed, copies=copies), read_files(paths))
    progress = tqdm(shards, "augment train", len(names), unit="shard", disable=None)
    for name, content in zip(names, progress, strict=True):
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
