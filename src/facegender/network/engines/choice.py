"""Choose the engine that runs the frozen trunk: TensorFlow on a GPU, otherwise OpenVINO, which loads without it."""

import shutil
from pathlib import Path

from facegender.network.features import Engine

OPENVINO = "OpenVINO float32"
_TENSORFLOW = "TensorFlow "


def choose_engine(half_precision: bool) -> str:
    """Choose the engine for this machine, by library and precision; without a GPU, TensorFlow is not loaded.

    Args:
        half_precision: whether float16 is accurate enough on a GPU; random weights amplify its rounding errors.

    Returns:
        `OpenVINO float32`, or, if TensorFlow can use a GPU, `TensorFlow mixed_float16` or `TensorFlow float32`.
    """
    if not _has_nvidia_driver():
        return OPENVINO
    from facegender.network.engines.tensorflow import claim_gpu

    policy = claim_gpu(half_precision)
    return OPENVINO if policy is None else _TENSORFLOW + policy


def make_engine(name: str, weights: Path, trainable_from: str, networks: Path) -> Engine:
    """Make the engine that `choose_engine` chose.

    Args:
        name: as `choose_engine` returns it.
        weights: InceptionV3's, as the stage pretrained writes them.
        trainable_from: the cut: `mixed0` … `mixed10`, or `head`.
        networks: folder in .cache for this trunk, translated for OpenVINO.
    """
    if name == OPENVINO:
        from facegender.network.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(weights, trainable_from, networks)
    from facegender.network.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(weights, trainable_from, name.removeprefix(_TENSORFLOW))


def engine_file(name: str) -> Path:
    """Return the module of the engine that `choose_engine` chose."""
    return Path(__file__).with_name("openvino.py" if name == OPENVINO else "tensorflow.py")


def _has_nvidia_driver() -> bool:
    # WSL (Linux inside Windows) has no device file, but it has nvidia-smi.
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
