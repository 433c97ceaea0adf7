"""InceptionV3 with random weights, for runs without trained ones."""

from pathlib import Path

import keras
import numpy as np

from facegender.network.backbone import normalisation_layers

RANDOM_STATISTICS = Path(__file__).with_name("random_statistics.npz")
"""Mean and variance of each channel of batch normalisation, which scripts/measure_batch_norm.py writes."""

_RANDOM_SEED = 0


def random_backbone() -> keras.Model:
    """Build InceptionV3 without its top, with random weights that are always the same.

    The statistics of batch normalisation come from RANDOM_STATISTICS: with Keras's initial ones (mean 0, variance 1)
    activations shrink by a factor of about 2,000 on the way to mixed7, and with those of noise they grow up to tenfold.
    """
    backbone = initial_backbone()
    with np.load(RANDOM_STATISTICS) as statistics:
        mean, variance = statistics["mean"], statistics["variance"]
    start = 0
    for layer in normalisation_layers(backbone):
        end = start + layer.moving_mean.shape[0]
        layer.moving_mean.assign(mean[start:end])
        layer.moving_variance.assign(variance[start:end])
        start = end
    return backbone


def initial_backbone() -> keras.Model:
    """Build InceptionV3 without its top, with Keras's initial weights under a fixed seed."""
    keras.utils.set_random_seed(_RANDOM_SEED)
    return keras.applications.InceptionV3(include_top=False, weights=None)
