"""Stage pretrained: InceptionV3 with the weights chosen by backbone.weights, in a file that DVC versions."""

import keras
import numpy as np
import tensorflow as tf

from facegender.data.celeba import HEIGHT, WIDTH
from facegender.errors import FacegenderError, one_line_errors
from facegender.network.backbone import build_backbone
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import convert, part
from facegender.network.sidecar import FEATURES, HEAD, IMAGE, TrunkSpec
from facegender.network.weights import pretrained_backbone, random_backbone
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

BACKBONE = "models/backbone.keras"
TOLERANCE = 1e-3


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/backbone.keras."""
    group = load_params().backbone
    if group.weights == "random":
        pretrained = random_backbone()
    else:
        pretrained = pretrained_backbone(group.weights_file if group.weights == "file" else group.weights)
    backbone = build_backbone()
    backbone.set_weights(pretrained.get_weights())
    save_model(backbone, BACKBONE, {})
    check_conversion(backbone)
    print(f"pretrained: InceptionV3, backbone.weights {group.weights}")


def check_conversion(backbone: keras.Model) -> None:
    """Check that the converted backbone, which computes features on a CPU, computes what Keras does."""
    images = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
    trunk = TrunkSpec(trainable_from=HEAD, weights_md5="", height=HEIGHT, width=WIDTH)
    network = part(convert(read_layers(BACKBONE), trunk), IMAGE, FEATURES)
    # GPUs round float32 to TensorFloat-32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    expected = np.asarray(backbone(images, training=False))
    difference = np.abs(OpenVinoEngine(network)(images) - expected).max() / np.abs(expected).max()
    if not difference <= TOLERANCE:
        what = f"features differ by {difference:.6f} of the largest between Keras and the converted network"
        raise FacegenderError(BACKBONE, what, "install the versions of the packages that requirements.lock names")


if __name__ == "__main__":
    main()
