"""InceptionV3 with the weights chosen by backbone.weights: ImageNet's, a file's, those from drawn faces, or random."""

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from facegender.errors import FacegenderError
from facegender.network.backbone import normalisation_layers

RANDOM_STATISTICS = Path(__file__).with_name("random_statistics.npz")
"""Mean and variance of each channel of batch normalisation, which scripts/measure_batch_norm.py writes."""

SYNTHETIC_WEIGHTS = Path(__file__).with_name("synthetic_weights.npz")
"""Weights of the lower blocks that scripts/pretrain.py trained on drawn faces: docs/synthetic-weights.md."""

SYNTHETIC_END = "mixed4"
"""The last block that is packed: the default trains all that come after it."""

SYNTHETIC_SHA256 = "0611594704e796721bb4bb12c40c0f64d2241c74e0b532051d956d6d54fb6b25"

_RANDOM_SEED = 0

Weights = Sequence[npt.NDArray[Any]]
"""As Keras's `get_weights` returns them: kernels (height, width, inputs, outputs) and vectors (outputs,)."""


def pretrained_backbone(weights: str | Path) -> keras.Model:
    """Build InceptionV3 without its top, with trained weights.

    Args:
        weights: `imagenet`, or the path of an .h5 file of InceptionV3 without its top.

    Raises:
        FacegenderError: the weights cannot be downloaded, are missing, or are not those of InceptionV3.
    """
    if weights == "imagenet":
        try:
            return keras.applications.InceptionV3(include_top=False, weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception when its download fails.
            raise FacegenderError(
                "backbone.weights: imagenet",
                f"the download failed ({_first_line(error)})",
                "go online once, or set backbone.weights to file and backbone.weights_file to an .h5 file",
            ) from error
    where = f"backbone.weights_file: {weights}"
    if not Path(weights).is_file():
        raise FacegenderError(where, "no such file", "use a path relative to the folder of params.yaml")
    try:
        return keras.applications.InceptionV3(include_top=False, weights=str(weights))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise FacegenderError(
            where, f"not weights of InceptionV3 without its top ({_first_line(error)})", "use another file"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def random_backbone() -> keras.Model:
    """Build InceptionV3 without its top, with random weights that are always the same.

    The statistics of batch normalisation come from RANDOM_STATISTICS: with Keras's initial ones (mean 0, variance 1)
    activations shrink by a factor of about 2,000 on the way to mixed7, and with those of noise they grow up to tenfold.
    """
    backbone = initial_backbone()
    with np.load(RANDOM_STATISTICS) as statistics:
        mean, variance = statistics["mean"], statistics["variance"]
    start = 0
    for layer in normalisation_layers(backbone):
        end = start + layer.moving_mean.shape[0]
        layer.moving_mean.assign(mean[start:end])
        layer.moving_variance.assign(variance[start:end])
        start = end
    return backbone


def initial_backbone() -> keras.Model:
    """Build InceptionV3 without its top, with Keras's initial weights under a fixed seed."""
    keras.utils.set_random_seed(_RANDOM_SEED)
    return keras.applications.InceptionV3(include_top=False, weights=None)


class PackedWeights(NamedTuple):
    """Weights of a network, in a form that deflate compresses to about half a byte each.

    Attributes:
        levels: int8 (all weights of kernels,), one kernel after the other: a weight is its level times its scale.
        scales: float32 (all outputs of kernels,).
        vectors: float32 (all weights outside kernels,).
    """

    levels: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]


def pack_weights(weights: Weights, step: float) -> PackedWeights:
    """Round kernels to multiples of a share of the spread of their weights; vectors stay as they are.

    Rounding that is uniform, with an entropy code after it (the file's deflate), is within a quarter of a bit per
    weight of the best possible (Gish and Pierce, Asymptotically efficient quantizing, 1968).

    Args:
        weights: of the network.
        step: multiples of how many root mean squares of an output's weights; levels end at 127 steps.
    """
    kernels = [kernel.astype(np.float32) for kernel in weights if kernel.ndim > 1]
    scales = [step * np.sqrt(np.mean(kernel**2, axis=(0, 1, 2))) for kernel in kernels]
    levels = [
        np.rint(kernel / np.maximum(scale, 1e-12)).clip(-127, 127)
        for kernel, scale in zip(kernels, scales, strict=True)
    ]
    return PackedWeights(
        np.concatenate([level.ravel() for level in levels]).astype(np.int8),
        np.concatenate(scales),
        np.concatenate([vector.astype(np.float32) for vector in weights if vector.ndim == 1]),
    )


def unpack_weights(packed: PackedWeights, shapes: Sequence[tuple[int, ...]]) -> list[npt.NDArray[np.float32]]:
    """Return weights as Keras's `set_weights` takes them: float32, of these shapes, in the order of `pack_weights`.

    Raises:
        ValueError: the weights are of another network.
    """
    kernels, vectors = ([shape for shape in shapes if (len(shape) > 1) == is_kernel] for is_kernel in (True, False))
    counts = sum(map(math.prod, kernels)), sum(shape[-1] for shape in kernels), sum(map(math.prod, vectors))
    if counts != tuple(len(part) for part in packed):
        raise ValueError("these are the weights of another network")
    weights = []
    level = scale = vector = 0
    for shape in shapes:
        size, outputs = math.prod(shape), shape[-1]
        if len(shape) > 1:
            levels = packed.levels[level : level + size].reshape(shape)
            weights.append(levels * packed.scales[scale : scale + outputs])
            level, scale = level + size, scale + outputs
        else:
            weights.append(packed.vectors[vector : vector + size])
            vector += size
    return weights


def synthetic_backbone() -> keras.Model:
    """Build InceptionV3 without its top, with weights trained on drawn faces to tell 39 attributes other than Male.

    Only the blocks up to SYNTHETIC_END have them; the later ones are those of `random_backbone`.

    Raises:
        FacegenderError: the package's file of weights is missing or damaged.
    """
    content = SYNTHETIC_WEIGHTS.read_bytes() if SYNTHETIC_WEIGHTS.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SYNTHETIC_SHA256:
        raise FacegenderError(SYNTHETIC_WEIGHTS, "missing or damaged", "install the package again")
    backbone = random_backbone()
    with np.load(io.BytesIO(content)) as arrays:
        packed = PackedWeights(**arrays)
    lower = lower_blocks(backbone)
    lower.set_weights(unpack_weights(packed, [weight.shape for weight in lower.weights]))
    return backbone


def lower_blocks(backbone: keras.Model) -> keras.Model:
    """Return the part of a backbone that the package has weights for, up to SYNTHETIC_END; it shares its layers."""
    return keras.Model(backbone.input, backbone.get_layer(SYNTHETIC_END).output)
