"""Stage preprocess: verify the images of a split and store them as shards of standard JPEGs."""

import sys
from pathlib import Path

from tqdm import tqdm

from facegender.cache import alone
from facegender.data.image_sources import open_images
from facegender.data.shards import write_shards
from facegender.data.tables import read_table
from facegender.errors import one_line_errors
from facegender.files import whole_folder, write_json
from facegender.params import load_params
from facegender.preparation.preprocess import good_records, preprocess
from facegender.reporting.costs import recorded_cost

SHOWN = 20
"""Images that were left out, of which the first are named."""


@one_line_errors()
@recorded_cost
@alone
def main(split: str) -> None:
    """Preprocess data/partition/`split`.csv."""
    params = load_params()
    group = params.preprocess
    table = read_table(f"data/partition/{split}.csv")
    further = params.evaluate.datasets.get(split)
    source = params.dataset.images if further is None else further.images
    counts: dict[str, int] = {}
    problems: list[str] = []
    with open_images(source) as images, whole_folder(Path("data/preprocessed", split)) as folder:
        outcomes = tqdm(
            preprocess(table, images, group.height, group.width), f"preprocess {split}", len(table), disable=None
        )
        write_shards(folder, good_records(outcomes, group.on_bad_image, split, counts, problems))
    write_json(f"metrics/preprocess/{split}.json", counts)
    print(
        f"preprocess {split}: {counts['images']:,} images of {group.width}x{group.height}, {counts['converted']:,} of "
        f"them converted; {counts['skipped']:,} left out"
    )
    for problem in problems[:SHOWN]:
        print(f"  {problem}")
    if len(problems) > SHOWN:
        print(f"  … and {len(problems) - SHOWN:,} more")


if __name__ == "__main__":
    main(sys.argv[1])
