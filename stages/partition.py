"""Stage partition: take train, val and test splits from their partitions, or list all images of a further test set."""

import sys

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
        write_csv(f"data/partition/{test_set}.csv", all_rows(annotations, f"evaluate.datasets.{test_set}"))
        return
    annotations = read_annotations(dataset.attributes, dataset.partitions, dataset.identities)
    kept = drop_shared_identities(annotations)
    if len(kept) < len(annotations):
        left_out = len(annotations) - len(kept)
        print(f"images left out because their identity is in another official partition too: {left_out}")
    counts = {"train": partition.train, "val": partition.val, "test": partition.test}
    for split, table in sample_splits(kept, counts, partition.seed).items():
        write_csv(f"data/partition/{split}.csv", table)


if __name__ == "__main__":
    main(*sys.argv[1:])
