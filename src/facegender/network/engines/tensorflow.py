"""The engine that runs the frozen trunk in TensorFlow, for GPUs. Importing it loads TensorFlow, which takes seconds."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facegender.data.images import Pixels
from facegender.data.streams import batched, read_ahead
from facegender.network.backbone import build_model, load_backbone, trunk_of
from facegender.network.devices import POLICIES, dtype_policy
from facegender.network.sidecar import Precision

_BATCH = 50
"""Half a shard, so that only a split's last batch is padded."""


def claim_gpu() -> bool:
    """Return whether TensorFlow can use a GPU, and let it allocate memory as needed; call before any computation.

    TensorFloat-32, which rounds float32 about as much as float16, is switched off.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return bool(gpus)


class TensorFlowEngine:
    """Computes features on the device that TensorFlow chooses. The first call builds the network."""

    def __init__(self, backbone: Path, trainable_from: str, precision: Precision) -> None:
        """Keep what is needed to build the trunk.

        Args:
            backbone: the Keras file that the stage pretrained writes.
            trainable_from: the cut: `mixed0` … `mixed10`, or `head`.
            precision: of the computation.
        """
        self._backbone = backbone
        self._trainable_from = trainable_from
        self._precision = precision
        self._trunk: Callable[[Pixels], Any] | None = None

    def __call__(self, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        """Compute features.

        Args:
            images: uint8 RGB (height, width, 3), at least one, all of the same size; read while others are computed.

        Returns:
            float32 (images, …), the trunk's output in the images' order.
        """
        outputs = []
        for batch in read_ahead(batched(images, _BATCH)):
            if self._trunk is None:
                self._trunk = self._build(*batch[0].shape[:2])
            # Always the same shape, since TensorFlow would trace the function again for a new one.
            padded = np.zeros((_BATCH, *batch[0].shape), np.uint8)
            padded[: len(batch)] = batch
            outputs.append(self._trunk(padded).numpy()[: len(batch)])
        return np.concatenate(outputs).astype(np.float32)

    def _build(self, height: int, width: int) -> Callable[[Pixels], Any]:
        with dtype_policy(POLICIES[self._precision]):
            model = build_model(height, width)
            load_backbone(model, self._backbone)
            trunk = trunk_of(model, self._trainable_from)
        signature = [tf.TensorSpec((_BATCH, height, width, 3), tf.uint8)]
        # Keras layers do not need AutoGraph.
        compute: Callable[[Pixels], Any] = tf.function(
            lambda batch: trunk(batch, training=False), input_signature=signature, autograph=False
        )
        return compute
