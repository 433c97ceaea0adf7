"""Stage partition: take train, val and test splits from their partitions, or list all images of a further test set."""

import sys
from collections.abc import Mapping

import pandas as pd

from facegender.data.lists import read_annotations
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.params import load_params
from facegender.preparation.partition import all_rows, drop_shared_identities, sample_splits
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main(test_set: str | None = None) -> None:
    """Write data/partition/{train,val,test}.csv, or data/partition/`test_set`.csv."""
    params = load_params()
    dataset, partition = params.dataset, params.partition
    if test_set is not None:
        other = params.evaluate.datasets[test_set]
        annotations = read_annotations(other.attributes, identities=other.identities)
        table = all_rows(annotations, f"evaluate.datasets.{test_set}")
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
    for split, table in splits.items():
        write_csv(f"data/partition/{split}.csv", table)
    print(f"partition: {describe(splits)}")


def describe(splits: Mapping[str, pd.DataFrame]) -> str:
    """Say how many images splits have, and whether their identities are known."""
    images = ", ".join(f"{len(table):,} {split}" for split, table in splits.items())
    known = all("identity" in table for table in splits.values())
    return f"{images} images, identities {'known' if known else 'unknown'}"


if __name__ == "__main__":
    main(*sys.argv[1:])
