"""The packaged weights: whole, small, and worth more than random ones."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facegender.data.celeba import ATTRIBUTES
from facegender.errors import FacegenderError
from facegender.network import weights
from facegender.network.sidecar import trunk_end
from facegender.network.weights import (
    SYNTHETIC_END,
    SYNTHETIC_WEIGHTS,
    lower_blocks,
    random_backbone,
    synthetic_backbone,
)
from facegender.params import Cut
from facegender.repository.check import _ABOVE_SYNTHETIC
from facegender.synthetic.copula import sample_attributes
from facegender.synthetic.dataset import draw_faces

pytestmark = pytest.mark.slow

TRAIN, TEST, SEED = 300, 200, 3


def test_the_file_is_smaller_than_2_megabytes() -> None:
    # Git keeps every version of it.
    assert SYNTHETIC_WEIGHTS.stat().st_size < 2_000_000


@pytest.mark.parametrize("cut", get_args(Cut))
def test_the_cuts_that_get_a_remark_are_those_with_random_blocks_below(cut: str) -> None:
    blocks = [f"mixed{number}" for number in range(11)]
    last_frozen = "mixed10" if cut == "head" else trunk_end(cut)
    is_random = last_frozen in blocks and blocks.index(last_frozen) > blocks.index(SYNTHETIC_END)

    assert (cut in _ABOVE_SYNTHETIC) == is_random


def test_a_changed_byte_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(SYNTHETIC_WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    copy = tmp_path / SYNTHETIC_WEIGHTS.name
    copy.write_bytes(content)
    monkeypatch.setattr(weights, "SYNTHETIC_WEIGHTS", copy)

    with pytest.raises(FacegenderError, match=r"synthetic_weights\.npz: missing or damaged"):
        synthetic_backbone()


def probe_accuracy(backbone: Callable[[], keras.Model]) -> float:
    """Fit a logistic regression on pooled features of drawn faces at half size, and return its accuracy on others."""
    images = draw_faces(TRAIN + TEST, SEED)[:, ::2, ::2]
    male = sample_attributes(TRAIN + TEST, SEED)["Male"].to_numpy()
    features = lower_blocks(backbone()).predict(images / np.float32(127.5) - 1, batch_size=50, verbose=0)
    features = features.mean(axis=(1, 2))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return float(probe.fit(features[:TRAIN], male[:TRAIN]).score(features[TRAIN:], male[TRAIN:]))


@pytest.mark.long
def test_the_weights_tell_male_better_than_random_ones_although_they_never_saw_it() -> None:
    assert "Male" in ATTRIBUTES
    # Three standard errors of a difference between two accuracies of 200 images are about 0.1.
    assert probe_accuracy(synthetic_backbone) > probe_accuracy(random_backbone) + 0.05
