"""Stage partition: draw the balanced train, val and test samples."""

from facegender.data.lists import read_annotations
from facegender.errors import one_line_errors
from facegender.files import write_csv
from facegender.params import load_params
from facegender.preparation.partition import drop_shared_identities, sample_splits
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write data/partition/{train,val,test}.csv."""
    params = load_params()
    dataset, partition = params.dataset, params.partition
    annotations = read_annotations(dataset.attributes, dataset.partitions, dataset.identities)
    kept = drop_shared_identities(annotations)
    if len(kept) < len(annotations):
        left_out = len(annotations) - len(kept)
        print(f"images left out, as their person is in another official partition as well: {left_out}")
    counts = {"train": partition.train, "val": partition.val, "test": partition.test}
    for split, table in sample_splits(kept, counts, partition.seed).items():
        write_csv(f"data/partition/{split}.csv", table)


if __name__ == "__main__":
    main()
