"""What Keras computes on and in which precision: bfloat16 is always with weights that stay float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from facegender.network.sidecar import Precision

POLICIES: dict[Precision, str] = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Keras's names."""

_AMPERE = (8, 0)
"""The lowest compute capability of NVIDIA GPUs that multiply bfloat16 (CUDA C++ Programming Guide)."""

_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux's names for the instructions of x86 and, the last one, of ARM."""


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Set the Keras policy of the layers that are built inside the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def multiplies_bfloat16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the device that TensorFlow computes on says that it multiplies bfloat16, and so is faster with it.

    Args:
        cpu_info: Linux's description of the processor. Where it is missing, a CPU says nothing.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return bool(capability >= _AMPERE)
    return cpu_info.exists() and not _CPU_FLAGS.isdisjoint(cpu_info.read_text(encoding="utf-8").split())


def training_strategy() -> tf.distribute.Strategy:
    """Return the strategy to build and train a model under: with several GPUs, each takes a part of every batch."""
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
