"""Random partitions of imported images."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from facegender.importing.partitions import assign_partitions


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(0, 2**64 - 1),
    st.permutations(range(60)),
)
def test_no_identity_is_in_two_partitions(rows: list[tuple[int, int]], seed: int, order: list[int]) -> None:
    index = [f"{n}.jpg" for n in range(len(rows))]
    labels = pd.Series([label for label, _ in rows], index)
    identities = pd.Series([str(identity) for _, identity in rows], index)

    partition = assign_partitions(labels, identities, (0.6, 0.2, 0.2), seed)

    assert partition.groupby(identities).nunique().max() == 1
    shuffled = [index[n] for n in order if n < len(rows)]
    again = assign_partitions(labels[shuffled], identities[shuffled], (0.6, 0.2, 0.2), seed)
    assert again[index].equals(partition)


def test_each_class_is_split_by_the_shares_and_the_seed() -> None:
    labels = pd.Series([0] * 100 + [1] * 20, [f"{n}.jpg" for n in range(120)])

    one, two = (assign_partitions(labels, None, (0.8, 0.1, 0.1), seed) for seed in (1, 2))

    assert one.groupby([labels, one]).size().tolist() == [80, 10, 10, 16, 2, 2]
    assert not one.equals(two)


def test_shares_hold_approximately_with_identities() -> None:
    labels = pd.Series([0, 1] * 500, [f"{n}.jpg" for n in range(1000)])
    identities = pd.Series([str(n % 200) for n in range(1000)], labels.index)

    partition = assign_partitions(labels, identities, (0.8, 0.1, 0.1), 120)

    assert partition.value_counts().sort_index().tolist() == [800, 100, 100]
