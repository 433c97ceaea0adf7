"""Measure what batch normalisation of InceptionV3 with random weights sees on synthetic faces.

Usage: python scripts/measure_batch_norm.py

Writes src/facegender/network/random_statistics.npz, from which `random_backbone` takes its statistics: float32 `mean`
and `variance`, the channels of all layers one after the other. It is run again only when the random weights change,
not when faces are drawn differently: the statistics need to be plausible, not those of any one data set.
"""

# ruff: noqa: E402

from facegender.network.startup import configure_tensorflow

configure_tensorflow()  # Before a module imports TensorFlow.

import keras
import numpy as np
import tensorflow as tf

from facegender.errors import OneLineParser, one_line_errors
from facegender.files import whole_file
from facegender.network.backbone import normalisation_layers
from facegender.network.weights import RANDOM_STATISTICS, initial_backbone
from facegender.synthetic.dataset import draw_faces

IMAGES, SEED = 64, 0


@one_line_errors()
def main() -> None:
    """Measure and write."""
    images = draw_faces(IMAGES, SEED)
    backbone = initial_backbone()
    # The statistics are sums, and the order of addition affects their last digits.
    tf.config.experimental.enable_op_determinism()
    layers = normalisation_layers(backbone)
    for layer in layers:
        layer.momentum = 0.0
    # As a graph, which frees memory that is no longer needed: eager execution takes 4 GB, for the same bytes.
    tf.function(lambda scaled: backbone(scaled, training=True))(tf.constant(images.astype(np.float32) / 127.5 - 1))
    statistics = {
        name: np.concatenate([keras.ops.convert_to_numpy(getattr(layer, f"moving_{name}")) for layer in layers])
        for name in ("mean", "variance")
    }
    with whole_file(RANDOM_STATISTICS) as partial, partial.open("wb") as file:
        np.savez(file, **statistics)


if __name__ == "__main__":
    OneLineParser(prog="python scripts/measure_batch_norm.py", description=__doc__).parse_args()
    main()
