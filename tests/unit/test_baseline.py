import warnings

import numpy as np
import pytest

from facegender.baseline import fit_baseline, grey_pixels
from facegender.errors import FacegenderError


@pytest.mark.parametrize(
    ("color", "grey"),
    # Rec. 601 luma, 0.299 R + 0.587 G + 0.114 B: red and blue exchanged would show.
    [((255, 0, 0), 76 / 255), ((0, 255, 0), 150 / 255), ((0, 0, 255), 29 / 255), ((255, 255, 255), 1.0)],
)
def test_grey_is_the_luma_of_rgb_from_0_to_1(color: tuple[int, int, int], grey: float) -> None:
    pixels = grey_pixels(np.full((218, 178, 3), color, dtype=np.uint8))
    assert pixels.shape == (1044,)
    assert pixels.dtype == np.float32
    assert pixels == pytest.approx(grey, abs=1e-6)


def test_pixels_run_along_rows_of_29_and_average_what_they_cover() -> None:
    image = np.zeros((72, 58, 3), dtype=np.uint8)
    image[10:12, 51:52] = 255
    pixels = grey_pixels(image).reshape(36, 29)
    assert pixels[5, 25] == pytest.approx(0.5, abs=0.01)
    pixels[5, 25] = 0
    assert not pixels.any()


def _faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise that is brighter in one corner for label 1."""
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(seed).uniform(0, 1, (count, 36, 29)).astype(np.float32)
    pixels[:, :6, :6] += 0.25 * labels[:, None, None].astype(np.float32)
    return pixels.reshape(count, -1), labels


def test_baseline_learns_a_difference_and_repeats_itself() -> None:
    pixels, labels = _faces(400, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = fit_baseline(pixels, labels), fit_baseline(pixels, labels)
    unseen, unseen_labels = _faces(400, seed=2)
    assert np.array_equal(first.predict_proba(unseen), second.predict_proba(unseen))
    assert first.score(unseen, unseen_labels) > 0.9
    # The second column is P(Male).
    male = first.predict_proba(unseen)[:, 1]
    assert male[unseen_labels == 1].mean() > 0.7 > 0.3 > male[unseen_labels == 0].mean()


def test_a_pixel_that_never_changes_does_no_harm() -> None:
    pixels, labels = _faces(100, seed=1)
    pixels[:, 500] = 0.5
    assert np.isfinite(fit_baseline(pixels, labels).predict_proba(pixels)).all()


def test_one_class_is_one_line() -> None:
    with pytest.raises(FacegenderError, match="images of one class only"):
        fit_baseline(np.zeros((4, 1044), np.float32), np.ones(4, np.int64))
