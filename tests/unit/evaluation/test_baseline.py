import io
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, ShardFile, write_shard
from facegender.errors import FacegenderError
from facegender.evaluation.baseline import fit_baseline, grey_pixels, pixel_shards


@pytest.mark.parametrize(
    ("color", "grey"),
    # Rec. 601 luma, 0.299 R + 0.587 G + 0.114 B, so swapped red and blue would show.
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((255, 255, 255), 255)],
)
def test_grey_is_the_luma_of_rgb(color: tuple[int, int, int], grey: int) -> None:
    pixels = grey_pixels(np.full((218, 178, 3), color, dtype=np.uint8))
    assert pixels.shape == (1044,)
    assert pixels.dtype == np.uint8
    assert (pixels == grey).all()


def test_grey_values_are_in_rows_of_29_and_average_the_area_they_cover() -> None:
    # A value is the mean of 4 x 4 pixels, all of which count. At 2 x 2 or with an odd number, other filters agree.
    image = np.zeros((144, 116, 3), dtype=np.uint8)
    image[20:24, 100:102] = 255
    pixels = grey_pixels(image).reshape(36, 29)
    assert pixels[5, 25] in (127, 128)
    pixels[5, 25] = 0
    assert not pixels.any()
    image[:] = 0
    image[20, 100:104] = 255
    pixels = grey_pixels(image).reshape(36, 29)
    assert pixels[5, 25] in (63, 64)
    pixels[5, 25] = 0
    assert not pixels.any()


def _shard(name: str, *records: Record) -> ShardFile:
    buffer = io.BytesIO()
    write_shard(buffer, records)
    return ShardFile(name, buffer.getvalue())


def test_each_shard_gives_the_ids_labels_and_grey_pixels_of_its_images() -> None:
    dark, bright = (encode_jpeg(np.full((36, 29, 3), value, np.uint8)) for value in (30, 220))
    shards = [
        _shard("0.zip", Record("b.jpg", 1, dark), Record("a.jpg", 0, bright)),
        _shard("1.zip", Record("c.jpg", 1, bright)),
    ]

    first, second = pixel_shards(shards)

    assert (first.image_ids, second.image_ids) == (["b.jpg", "a.jpg"], ["c.jpg"])
    assert (first.labels.tolist(), second.labels.tolist()) == ([1, 0], [1])
    assert first.labels.dtype == first.pixels.dtype == np.uint8
    assert (first.pixels.shape, second.pixels.shape) == ((2, 1044), (1, 1044))
    assert np.abs(first.pixels.mean(axis=1) - [30, 220]).max() < 2


def test_a_damaged_image_of_a_shard_is_named() -> None:
    shard = _shard("0.zip", Record("a.jpg", 1, b"no JPEG"))
    with pytest.raises(FacegenderError, match=r"^a\.jpg: "):
        next(pixel_shards([shard]))


def _faces(count: int, seed: int, difference: int = 63) -> tuple[np.ndarray, np.ndarray]:
    """Return noise that is brighter in one corner for label 1, uint8 (count, 1044), and its labels."""
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(seed).integers(0, 192, (count, 36, 29), dtype=np.uint8)
    pixels[:, :6, :6] += (difference * labels[:, None, None]).astype(np.uint8)
    return pixels.reshape(count, -1), labels


def test_the_baseline_learns_a_difference_and_is_repeatable() -> None:
    pixels, labels = _faces(400, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = fit_baseline(pixels, labels), fit_baseline(pixels, labels)
    unseen, unseen_labels = _faces(400, seed=2)
    male = first.predict(unseen)
    assert np.array_equal(male, second.predict(unseen))
    assert ((male > 0.5) == unseen_labels).mean() > 0.9
    assert male[unseen_labels == 1].mean() > 0.7 > 0.3 > male[unseen_labels == 0].mean()


def test_more_images_than_fit_in_one_block_are_each_predicted_in_order() -> None:
    pixels, labels = _faces(1203, seed=1)
    fitted = fit_baseline(pixels, labels)
    assert fitted.predict(pixels) == pytest.approx(
        np.concatenate([fitted.predict(row[None]) for row in pixels]), rel=1e-4
    )


def test_its_probabilities_are_close_to_an_exact_solver() -> None:
    # Hard enough that a wrong penalty or too few steps show: they give differences of 0.07 to 0.27.
    pixels, labels = _faces(600, seed=1, difference=8)
    unseen, unseen_labels = _faces(1000, seed=2, difference=8)
    exact = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000)).fit(pixels / 255, labels)
    expected = exact.predict_proba(unseen / 255)[:, 1]

    found = fit_baseline(pixels, labels).predict(unseen)

    assert np.abs(found - expected).mean() < 0.03
    assert log_loss(unseen_labels, found) < log_loss(unseen_labels, expected) + 0.01


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_it_learns_how_many_images_are_male(share: float) -> None:
    # Only 10 pixels differ, so that many images are ambiguous, and the share of Male images decides on them.
    pixels, labels = _faces(6000, seed=1, difference=40)
    pixels[:, 10:] = 127
    kept = np.concatenate(
        [np.flatnonzero(labels == label)[: round(2000 * of_class)] for label, of_class in enumerate([1 - share, share])]
    )
    exact = make_pipeline(StandardScaler(), LogisticRegression(C=0.03)).fit(pixels[kept] / 255, labels[kept])

    found = fit_baseline(pixels[kept], labels[kept]).predict(pixels[kept])

    assert found.mean() == pytest.approx(share, abs=0.03)
    assert np.abs(found - exact.predict_proba(pixels[kept] / 255)[:, 1]).mean() < 0.03


def test_a_constant_pixel_gives_finite_float32_probabilities() -> None:
    pixels, labels = _faces(100, seed=1)
    pixels[:, 500] = 127
    probabilities = fit_baseline(pixels, labels).predict(pixels)
    assert np.isfinite(probabilities).all()
    assert probabilities.dtype == np.float32


def test_one_class_only_is_an_error() -> None:
    with pytest.raises(FacegenderError, match=r"^data/preprocessed/train: has images of only one class; replace"):
        fit_baseline(np.zeros((4, 1044), np.uint8), np.ones(4, np.int64))
