"""Stage augment: shards of transformed copies of the training images."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from facegender.data.images import decode_image
from facegender.data.shards import read_records, read_shard, shard_paths, write_shard
from facegender.errors import one_line_errors
from facegender.files import whole_folder
from facegender.params import load_params
from facegender.preparation.augment import Ranges, augment_record
from facegender.reporting.costs import recorded_cost
from facegender.reporting.pictures import image_grid

PICTURED = 8


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write data/preprocessed/train_copies from data/preprocessed/train."""
    group = load_params().augment
    ranges = Ranges(**group.model_dump(exclude={"copies", "seed"}))
    copies = range(1, group.copies + 1)
    source = Path("data/preprocessed/train")
    # OpenCV releases the GIL, so threads are enough.
    with whole_folder("data/preprocessed/train_copies") as folder, ThreadPoolExecutor() as pool:
        for path in tqdm(shard_paths(source), "augment train", unit="shard", disable=None):
            records = read_shard(path)
            for copy in copies:
                name = f"{path.stem}-copy-{copy}.zip"
                transform = partial(augment_record, ranges=ranges, seed=group.seed, copy=copy)
                write_shard(folder / name, pool.map(transform, records))

    originals = list(islice(read_records(source), PICTURED))
    rows = [originals] + [
        [augment_record(record, ranges, group.seed, copy) for record in originals] for copy in copies[:3]
    ]
    captions = ["original"] + [f"copy {copy}" for copy in copies[:3]]
    image_grid(
        "metrics/plots/augment.png",
        [decode_image(record.jpeg, record.image_id) for row in rows for record in row],
        [f"{record.image_id}\n{caption}" for row, caption in zip(rows, captions, strict=True) for record in row],
        "Training images, each above its transformed copies",
        columns=len(originals),
    )


if __name__ == "__main__":
    main()
