"""The engine that runs the frozen trunk in OpenVINO: the fastest on a CPU of those that match TensorFlow's features."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from facegender.cache import one_at_a_time
from facegender.data.images import Pixels
from facegender.data.streams import batched
from facegender.files import whole_folder

_CHECKSUM = "sha256"
"""The file with the digests of a translated network's files: a damaged network may run but compute wrong features."""


BATCH = 10
"""Images per request."""


def _is_whole(network: Path) -> bool:
    try:
        return (network / _CHECKSUM).read_text() == _checksum(network)
    except (OSError, UnicodeDecodeError):
        return False


def _checksum(network: Path) -> str:
    files = sorted(path for path in network.rglob("*") if path.is_file() and path.name != _CHECKSUM)
    digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return "".join(f"{digest}  {path.relative_to(network)}\n" for digest, path in zip(digests, files, strict=True))


class OpenVinoEngine:
    """Computes features on a CPU. The first call compiles the network, and translates it if no earlier run did."""

    def __init__(self, weights: Path, trainable_from: str, networks: Path) -> None:
        """Keep what is needed to build the trunk.

        Args:
            weights: InceptionV3's, as the stage pretrained writes them.
            trainable_from: the cut: `mixed0` … `mixed10`, or `head`.
            networks: a direct child of a part of .cache, for the translated network of this trunk.
        """
        self._weights = weights
        self._trainable_from = trainable_from
        self._networks = networks
        self._requests: Any = None

    def __call__(self, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        """Compute features.

        Args:
            images: uint8 RGB (height, width, 3), at least one, all of the same size; read while others are computed.

        Returns:
            float32 (images, …), the trunk's output in the images' order.
        """
        outputs: dict[int, npt.NDArray[np.float32]] = {}
        for index, batch in enumerate(batched(images, BATCH)):
            if self._requests is None:
                self._requests = openvino.AsyncInferQueue(self._compile(*batch[0].shape[:2]))
            if index == 0:
                self._requests.set_callback(
                    lambda request, index: outputs.__setitem__(index, request.get_output_tensor().data.copy())
                )
            self._requests.start_async(np.stack(batch), index)
        self._requests.wait_all()
        return np.concatenate([outputs[index] for index in range(len(outputs))])

    def _compile(self, height: int, width: int) -> openvino.CompiledModel:
        folder = self._networks / f"{height}x{width}"
        # The stage features may run for two splits at once.
        with one_at_a_time(self._networks):
            if not _is_whole(folder):
                # TensorFlow takes seconds and a gigabyte to load, so it is loaded only if it is needed.
                from facegender.network.backbone import export_trunk

                with whole_folder(folder) as partial:
                    export_trunk(self._weights, self._trainable_from, height, width, partial)
                    (partial / _CHECKSUM).write_text(_checksum(partial))
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        # convert_model would send telemetry.
        return openvino.Core().compile_model(openvino.Core().read_model(folder), "CPU", options)
