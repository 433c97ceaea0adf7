"""Stage pretrained: InceptionV3 with the weights chosen by backbone.weights, in a file that DVC versions."""

import keras
import numpy as np
import tensorflow as tf

from facegender.cache import alone
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.errors import one_line_errors
from facegender.network.backbone import build_backbone
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import check_conversion, convert, part
from facegender.network.sidecar import FEATURES, HEAD, IMAGE, TrunkSpec
from facegender.network.weights import pretrained_backbone, random_backbone, synthetic_backbone
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

BACKBONE = "models/backbone.keras"


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write models/backbone.keras."""
    group = load_params().backbone
    if group.weights == "random":
        pretrained = random_backbone()
    elif group.weights == "synthetic":
        pretrained = synthetic_backbone()
    else:
        pretrained = pretrained_backbone(group.weights_file if group.weights == "file" else group.weights)
    backbone = build_backbone()
    backbone.set_weights(pretrained.get_weights())
    save_model(backbone, BACKBONE, {})
    check(backbone)
    print(f"pretrained: InceptionV3, backbone.weights {group.weights}")


def check(backbone: keras.Model) -> None:
    """Check the backbone's conversion, which computes features on a CPU, on random images."""
    images = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
    trunk = TrunkSpec(trainable_from=HEAD, weights_md5="", height=HEIGHT, width=WIDTH)
    network = part(convert(read_layers(BACKBONE), trunk), IMAGE, FEATURES)
    # GPUs round float32 to TensorFloat-32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    check_conversion(BACKBONE, OpenVinoEngine(network)(images), np.asarray(backbone(images, training=False)))


if __name__ == "__main__":
    main()
