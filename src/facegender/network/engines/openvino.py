"""The engine that runs ONNX networks in OpenVINO: the fastest on a CPU of those that match TensorFlow's features."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from facegender.cluster import thread_limit
from facegender.data.streams import batched
from facegender.network.sidecar import Precision

# Otherwise importing OpenVINO reports its use to Intel through Google Analytics, from a process that it forks beside
# other threads and that may keep this one from ending.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

BATCH = 10
"""Inputs per request."""

_PRECISIONS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine:
    """Computes the output of a network on a CPU. The first call compiles the network."""

    def __init__(self, network: onnx.ModelProto, precision: Precision = "float32") -> None:
        """Keep the network.

        Args:
            network: with one input and one output, as `facegender.network.onnx_file.part` returns it.
            precision: of the computation.
        """
        self._network = network
        self._precision = precision
        self._requests: Any = None

    def __call__(self, inputs: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Compute the output.

        Args:
            inputs: at least one, all of the same shape; read while others are computed. Images are uint8 RGB (height,
                width, 3).

        Returns:
            float32 (inputs, …), in the inputs' order.
        """
        outputs: dict[int, npt.NDArray[np.float32]] = {}
        for index, batch in enumerate(batched(inputs, BATCH)):
            if self._requests is None:
                self._requests = openvino.AsyncInferQueue(self._compile(batch[0].shape))
            if index == 0:
                self._requests.set_callback(
                    lambda request, index: outputs.__setitem__(index, request.get_output_tensor().data.copy())
                )
            stacked = np.stack(batch)
            self._requests.start_async(stacked if stacked.dtype == np.uint8 else stacked.astype(np.float32), index)
        self._requests.wait_all()
        return np.concatenate([outputs[index] for index in range(len(outputs))])

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        core = openvino.Core()
        model = core.read_model(self._network.SerializeToString())
        model.reshape([-1, *shape])
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self._precision],
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        if limit := thread_limit():
            # OpenVINO would pin the threads to the first cores, and so those of all processes to the same ones.
            options |= {"INFERENCE_NUM_THREADS": limit, "ENABLE_CPU_PINNING": False}
        return core.compile_model(model, "CPU", options)


def has_bfloat16() -> bool:
    """Return whether OpenVINO says that this processor computes in bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
