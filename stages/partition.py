"""Stage partition: take train, val and test splits from their partitions, or list all images of a further test set."""

import sys
from collections.abc import Mapping, Sequence

import pandas as pd

from facegender.cache import alone
from facegender.data.image_sources import open_images
from facegender.data.lists import read_annotations
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.params import load_params
from facegender.preparation.partition import (
    all_rows,
    check_present,
    drop_shared_identities,
    find_images,
    sample_splits,
)
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
@alone
def main(test_set: str | None = None) -> None:
    """Write data/partition/{train,val,test}.csv, or data/partition/`test_set`.csv."""
    params = load_params()
    dataset, partition, on_bad_image = params.dataset, params.partition, params.preprocess.on_bad_image
    if test_set is not None:
        other = params.evaluate.datasets[test_set]
        annotations = read_annotations(other.attributes, identities=other.identities)
        table = all_rows(annotations, f"evaluate.datasets.{test_set}")
        check_images(other.images, annotations, [table], on_bad_image)
        write_csv(f"data/partition/{test_set}.csv", table)
        print(f"partition: {describe({test_set: table})}")
        return
    annotations = read_annotations(dataset.attributes, dataset.partitions, dataset.identities)
    kept = drop_shared_identities(annotations)
    if len(kept) < len(annotations):
        left_out = len(annotations) - len(kept)
        print(f"partition: images left out because their identity is in another official partition too: {left_out:,}")
    counts = {"train": partition.train, "val": partition.val, "test": partition.test}
    splits = sample_splits(kept, counts, partition.seed)
    check_images(dataset.images, annotations, list(splits.values()), on_bad_image)
    for split, table in splits.items():
        write_csv(f"data/partition/{split}.csv", table)
    print(f"partition: {describe(splits)}")


def check_images(path: str, annotations: pd.DataFrame, tables: Sequence[pd.DataFrame], on_bad_image: str) -> None:
    """Check that the images are there, and say if their files have other names than in the lists."""
    with open_images(path) as images:
        files = find_images(annotations.index, images, path)
    if on_bad_image == "fail":
        check_present(tables, files, path)
    renamed = [(image_id, file) for image_id, file in files.items() if not file.endswith(image_id)]
    if renamed:
        image_id, file = renamed[0]
        count = f"{len(renamed):,}"
        print(
            f"partition: images whose files have other names than in the lists: {count}, such as {file} for {image_id}"
        )


def describe(splits: Mapping[str, pd.DataFrame]) -> str:
    """Say how many images splits have, and whether their identities are known."""
    images = ", ".join(f"{len(table):,} {split}" for split, table in splits.items())
    known = all("identity" in table for table in splits.values())
    return f"{images} images, identities {'known' if known else 'unknown'}"


if __name__ == "__main__":
    main(*sys.argv[1:])
