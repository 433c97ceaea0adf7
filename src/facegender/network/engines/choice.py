"""Choose the engine that runs the frozen trunk: TensorFlow on a GPU, otherwise OpenVINO, which loads without it."""

import shutil
from pathlib import Path

import onnx

from facegender.cluster import on_cluster
from facegender.network.features import Engine
from facegender.network.sidecar import Precision

_OPENVINO = "OpenVINO"
_TENSORFLOW = "TensorFlow"


def choose_engine() -> str:
    """Return `TensorFlow` if it can use a GPU, otherwise `OpenVINO`; without a GPU, TensorFlow is not loaded.

    On a Ray cluster it is always `OpenVINO`: the GPUs of its nodes are not used.
    """
    if on_cluster() or not _has_nvidia_driver():
        return _OPENVINO
    from facegender.network.engines.tensorflow import claim_gpu

    return _TENSORFLOW if claim_gpu() else _OPENVINO


def make_engine(name: str, trunk: onnx.ModelProto, backbone: Path, trainable_from: str, precision: Precision) -> Engine:
    """Make the engine that `choose_engine` chose.

    Args:
        name: as `choose_engine` returns it.
        trunk: the network from images to features.
        backbone: the Keras file with the same weights.
        trainable_from: the cut: `mixed0` … `mixed10`, or `head`.
        precision: of the computation.
    """
    if name == _OPENVINO:
        from facegender.network.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(trunk, precision)
    from facegender.network.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(backbone, trainable_from, precision)


def has_bfloat16(name: str) -> bool:
    """Return whether the device of an engine that `choose_engine` chose says that it computes in bfloat16."""
    if name == _OPENVINO:
        from facegender.network.engines.openvino import has_bfloat16

        return has_bfloat16()
    from facegender.network.devices import multiplies_bfloat16

    return multiplies_bfloat16()


def engine_file(name: str) -> Path:
    """Return the module of the engine that `choose_engine` chose."""
    return Path(__file__).with_name("openvino.py" if name == _OPENVINO else "tensorflow.py")


def engine_packages(name: str) -> tuple[str, ...]:
    """Return the packages whose versions may change the features of the engine that `choose_engine` chose."""
    return ("numpy", "opencv-python-headless", *(("openvino",) if name == _OPENVINO else ("keras", "tensorflow")))


def _has_nvidia_driver() -> bool:
    # WSL (Linux inside Windows) has no device file, but it has nvidia-smi.
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
