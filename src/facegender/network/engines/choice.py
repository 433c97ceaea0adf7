"""The engine that runs the frozen trunk: TensorFlow on a GPU, otherwise OpenVINO.

On CPUs OpenVINO is the fastest that gives TensorFlow's features, and loads without TensorFlow.
"""

import shutil
from pathlib import Path

from facegender.network.features import Engine

OPENVINO = "OpenVINO float32"
_TENSORFLOW = "TensorFlow "


def choose_engine(half_precision: bool) -> str:
    """Name library and precision of the engine that suits this machine; without a GPU, TensorFlow is not loaded.

    Args:
        half_precision: whether the weights bear a GPU's float16; random ones amplify what it rounds.

    Returns:
        `OpenVINO float32`, or where TensorFlow can use a GPU `TensorFlow mixed_float16` or `TensorFlow float32`.
    """
    if not _has_nvidia_driver():
        return OPENVINO
    from facegender.network.engines.tensorflow import claim_gpu

    policy = claim_gpu(half_precision)
    return OPENVINO if policy is None else _TENSORFLOW + policy


def make_engine(name: str, weights: Path, trainable_from: str, networks: Path) -> Engine:
    """Give the engine that `choose_engine` named.

    Args:
        name: as `choose_engine` gives it.
        weights: InceptionV3's, as the stage pretrained writes them.
        trainable_from: the cut: `mixed3` … `mixed10`, or `head`.
        networks: a folder for what OpenVINO keeps of these weights and this cut.
    """
    if name == OPENVINO:
        from facegender.network.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(weights, trainable_from, networks)
    from facegender.network.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(weights, trainable_from, name.removeprefix(_TENSORFLOW))


def _has_nvidia_driver() -> bool:
    # Linux inside Windows has no device file, but the program.
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
