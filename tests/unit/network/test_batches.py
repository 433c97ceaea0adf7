"""Batches of features and images for training."""

import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.data.images import Pixels
from facegender.data.shards import Record, read_shard, shard_paths, write_shard
from facegender.network import batches, features
from facegender.network.batches import (
    MIXED_IMAGE_SHARDS,
    MIXED_SHARDS,
    feature_batches,
    image_batches,
    ordered_batches,
    steps_per_epoch,
)
from facegender.network.features import FeatureShard


def fake_shards(patch: pytest.MonkeyPatch, sizes: list[int]) -> list[Path]:
    """Fake shards of these sizes; image n has the features [n, -n] and the label n % 2."""
    starts = np.cumsum([0, *sizes])

    def load(path: Path) -> FeatureShard:
        number = int(path.name)
        images = np.arange(starts[number], starts[number + 1])
        return FeatureShard(
            images.astype(str), (images % 2).astype(np.int8), np.stack([images, -images], axis=1).astype(np.float16)
        )

    patch.setattr(batches, "load_shard", load)
    patch.setattr(features, "load_shard", load)
    return [Path(str(number)) for number in range(len(sizes))]


def epoch_order(paths: list[Path], batch_size: int, seed: int, epoch: int) -> list[int]:
    return [int(image) for batch, _ in feature_batches(paths, batch_size, seed, epoch) for image in batch[:, 0]]


@given(
    sizes=st.lists(st.integers(1, 9), max_size=11),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 100),
)
def test_every_image_comes_at_most_once_and_less_than_a_batch_is_left_out(
    sizes: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        paths = fake_shards(patch, sizes)
        batches = list(feature_batches(paths, batch_size, seed, epoch))

    images = [int(image) for batch, _ in batches for image in batch[:, 0]]
    assert len(set(images)) == len(images)
    assert set(images) <= set(range(sum(sizes)))
    if sum(sizes) >= batch_size:
        assert {len(labels) for _, labels in batches} == {batch_size}
        assert len(batches) == sum(sizes) // batch_size
    else:
        # Too few for one batch: all of them, together.
        assert len(images) == sum(sizes)
        assert len(batches) == min(1, len(sizes))
    for batch, labels in batches:
        assert batch.dtype == np.float16
        assert labels.dtype == np.int8
        assert batch[:, 1].tolist() == (-batch[:, 0]).tolist()
        assert labels.tolist() == [int(image) % 2 for image in batch[:, 0]]


def test_seed_and_epoch_determine_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fake_shards(monkeypatch, [20] * 6)

    order = epoch_order(paths, 8, seed=1, epoch=0)

    assert order == epoch_order(paths, 8, seed=1, epoch=0)
    assert order != epoch_order(paths, 8, seed=1, epoch=1)
    assert order != epoch_order(paths, 8, seed=2, epoch=0)
    assert order != epoch_order(paths, 8, seed=0, epoch=1)


def test_images_left_over_in_one_epoch_come_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fake_shards(monkeypatch, [5, 5])

    seen = Counter(image for epoch in range(20) for image in epoch_order(paths, 4, seed=1, epoch=epoch))

    # 8 of 10 images an epoch: 16 times on average in 20 epochs, with a standard deviation of sqrt(20 * 0.8 * 0.2) < 2.
    assert set(seen) == set(range(10))
    assert min(seen.values()) >= 8


def test_batches_mix_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    # As shards and their copies: without mixing, a batch of 20 would be one shard.
    paths = fake_shards(monkeypatch, [20] * 8)

    batches = [batch[:, 0].astype(int) // 20 for batch, _ in feature_batches(paths, 20, seed=1, epoch=0)]

    assert len(batches) == 8
    # 20 of 80 images come from fewer than three of four shards with probability 6 * C(40, 20) / C(80, 20) < 3e-7.
    assert all(len(set(shards.tolist())) >= 3 for shards in batches)


def test_shards_come_in_another_order_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fake_shards(monkeypatch, [4] * 12)

    first_shards = {
        frozenset(image // 4 for image in epoch_order(paths, 4, seed=1, epoch=epoch)[: 4 * MIXED_SHARDS])
        for epoch in range(10)
    }

    # Ten random choices of 4 of 12 shards, out of 495 possible ones.
    assert len(first_shards) > 5


def test_shards_are_read_once_and_few_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [10] * 13
    paths = fake_shards(monkeypatch, sizes)
    load = batches.load_shard
    reads: Counter[Path] = Counter()
    loaded = []
    alive = []

    def tracked_load(path: Path) -> FeatureShard:
        reads[path] += 1
        shard = load(path)
        loaded.append(weakref.ref(shard.features))
        alive.append(sum(array() is not None for array in loaded))
        return shard

    monkeypatch.setattr(batches, "load_shard", tracked_load)
    for _ in feature_batches(paths, 7, seed=1, epoch=0):
        pass

    assert max(alive) == MIXED_SHARDS
    assert reads == Counter(paths)


def test_nothing_is_read_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fake_shards(monkeypatch, [10] * 20)
    load = batches.load_shard
    reads: list[Path] = []

    def noted_load(path: Path) -> FeatureShard:
        reads.append(path)
        return load(path)

    monkeypatch.setattr(batches, "load_shard", noted_load)
    next(feature_batches(paths, 5, seed=1, epoch=0))

    assert len(reads) == MIXED_SHARDS


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=11), batch_size=st.integers(1, 12), data=st.data())
def test_an_epoch_continues_after_the_batches_that_are_done(
    sizes: list[int], batch_size: int, data: st.DataObject
) -> None:
    steps = steps_per_epoch(sum(sizes), batch_size)
    done = data.draw(st.integers(0, steps))
    with pytest.MonkeyPatch.context() as patch:
        paths = fake_shards(patch, sizes)
        whole = [batch.tolist() for batch, _ in feature_batches(paths, batch_size, 1, 2)]
        rest = [batch.tolist() for batch, _ in feature_batches(paths, batch_size, 1, 2, done)]

    assert len(whole) == steps
    assert rest == whole[done:]


@pytest.fixture
def image_shards(tmp_path: Path) -> list[Path]:
    """Return three shards of 20 records whose JPEG is the image's number."""
    for number in range(3):
        images = range(20 * number, 20 * number + 20)
        records = [Record(f"{image}.jpg", image % 2, str(image).encode()) for image in images]
        write_shard(tmp_path / f"{number:05}.zip", records)
    return shard_paths(tmp_path)


def numbered(record: Record, epoch: int) -> Pixels:
    """Stand in for decoding: two pixels with the image's number and the epoch."""
    return np.array([[[int(record.jpeg)], [epoch]]], np.uint8)


def test_images_come_shuffled_with_their_labels_and_the_epoch(image_shards: list[Path]) -> None:
    batches = list(image_batches(image_shards, 8, seed=1, epoch=3, to_pixels=numbered))

    assert [images.shape for images, _ in batches] == [(8, 1, 2, 1)] * 7
    order = [int(image) for images, _ in batches for image in images[:, 0, 0, 0]]
    assert len(set(order)) == 56
    assert order != sorted(order)
    assert {int(epoch) for images, _ in batches for epoch in images[:, 0, 1, 0]} == {3}
    assert [int(label) for _, labels in batches for label in labels] == [image % 2 for image in order]


def test_images_that_are_done_are_not_decoded(image_shards: list[Path]) -> None:
    decoded = []

    def noted(record: Record, epoch: int) -> Pixels:
        decoded.append(record.image_id)
        return numbered(record, epoch)

    whole = [images.tolist() for images, _ in image_batches(image_shards, 8, 1, 0, to_pixels=numbered)]
    rest = [images.tolist() for images, _ in image_batches(image_shards, 8, 1, 0, 5, to_pixels=noted)]

    assert rest == whole[5:]
    assert len(decoded) == 16


def test_of_many_image_shards_few_are_read_and_one_batch_is_decoded_at_a_time(
    image_shards: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = image_shards * 40
    reads: list[Path] = []
    decoded = []

    def noted_read(path: Path) -> list[Record]:
        reads.append(path)
        return read_shard(path)

    def noted(record: Record, epoch: int) -> Pixels:
        decoded.append(record.image_id)
        return numbered(record, epoch)

    monkeypatch.setattr(batches, "read_shard", noted_read)
    of_epoch = image_batches(paths, 8, 1, 0, to_pixels=noted)
    for number in (1, 2, 3):
        next(of_epoch)
        assert len(decoded) == 8 * number
    assert len(reads) == MIXED_IMAGE_SHARDS < len(paths)


def test_ordered_batches_keep_the_order_and_end_with_two_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = fake_shards(monkeypatch, [3, 2, 4, 1])

    batches = list(ordered_batches(paths))

    assert [batch[:, 0].tolist() for batch, _ in batches] == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 0], [1, 0], [1, 0, 1, 0, 1]]
    assert [batch[:, 0].tolist() for batch, _ in ordered_batches(paths[:1])] == [[0, 1, 2]]
    assert list(ordered_batches([])) == []
