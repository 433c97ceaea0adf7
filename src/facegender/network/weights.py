"""InceptionV3 with the weights chosen by backbone.weights: ImageNet's, those in a file, or random ones."""

from pathlib import Path

import keras
import numpy as np

from facegender.errors import FacegenderError
from facegender.network.backbone import normalisation_layers

RANDOM_STATISTICS = Path(__file__).with_name("random_statistics.npz")
"""Mean and variance of each channel of batch normalisation, which scripts/measure_batch_norm.py writes."""

_RANDOM_SEED = 0


def pretrained_backbone(weights: str | Path) -> keras.Model:
    """Build InceptionV3 without its top, with trained weights.

    Args:
        weights: `imagenet`, or the path of an .h5 file of InceptionV3 without its top.

    Raises:
        FacegenderError: the weights cannot be downloaded, are missing, or are not those of InceptionV3.
    """
    if weights == "imagenet":
        try:
            return keras.applications.InceptionV3(include_top=False, weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception when its download fails.
            raise FacegenderError(
                "backbone.weights: imagenet",
                f"the download failed ({_first_line(error)})",
                "go online once, or set backbone.weights to file and backbone.weights_file to an .h5 file",
            ) from error
    where = f"backbone.weights_file: {weights}"
    if not Path(weights).is_file():
        raise FacegenderError(where, "no such file", "use a path relative to the folder of params.yaml")
    try:
        return keras.applications.InceptionV3(include_top=False, weights=str(weights))
    except (OSError, ValueError, KeyError) as error:
        raise FacegenderError(
            where, f"not weights of InceptionV3 without its top ({_first_line(error)})", "use another file"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
