"""TensorFlow's engine, tested on a CPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from facegender.data.images import Pixels
from facegender.errors import FacegenderError
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.engines.tensorflow import TensorFlowEngine, claim_gpu
from facegender.network.weights import random_backbone

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 90, 80, 3), dtype=np.uint8)
# Each has a different brightness, so that their features differ.
IMAGES //= np.arange(1, 8, dtype=np.uint8)[:, None, None, None]


@pytest.fixture(autouse=True)
def batches_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegender.network.engines.tensorflow._BATCH", 3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    random_backbone().save_weights(path)
    return path


@pytest.fixture(scope="module")
def expected(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> npt.NDArray[np.float32]:
    return OpenVinoEngine(weights, "mixed8", tmp_path_factory.mktemp("cache") / "trunks" / "one")(iter(IMAGES))


def cosines(some: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the cosine similarity of the features of each image in `some` to those of each in `others`."""
    rows = [array.reshape(len(array), -1).astype(np.float64) for array in (some, others)]
    one, other = (row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows)
    return np.asarray(one @ other.T)


# Random weights amplify the rounding of float16: 0.992 here, while trained weights reach 0.99998.
@pytest.mark.parametrize(("policy", "least"), [("float32", 0.999999), ("mixed_float16", 0.98)])
def test_features_match_openvino_s_in_order_and_with_an_incomplete_last_batch(
    weights: Path, expected: npt.NDArray[np.float32], policy: str, least: float
) -> None:
    engine = TensorFlowEngine(weights, "mixed8", policy)

    features = engine(iter(IMAGES))

    assert features.dtype == np.float32
    assert features.shape == expected.shape
    compared = cosines(features, expected)
    assert np.diag(compared).min() > least
    assert compared.argmax(axis=1).tolist() == list(range(7))
    # A second shard may have another length, and the padding of its only batch has no effect.
    assert np.diag(cosines(engine(iter(IMAGES[:2])), expected[:2])).min() > least
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_is_restored_when_the_weights_do_not_load(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        TensorFlowEngine(tmp_path / "missing.weights.h5", "mixed8", "mixed_float16")(iter(IMAGES))

    assert keras.config.dtype_policy().name == "float32"


def test_an_error_raised_by_the_images_reaches_the_caller(weights: Path) -> None:
    def images() -> Iterator[Pixels]:
        yield from IMAGES[:5]
        raise FacegenderError("6.jpg", "a JPEG that is cut short", "get the file again")

    with pytest.raises(FacegenderError, match=r"^6\.jpg: "):
        TensorFlowEngine(weights, "mixed8", "float32")(images())


@pytest.mark.parametrize(
    ("capabilities", "half_precision", "policy"),
    [
        ([(6, 1)], True, "float32"),
        ([(7, 0)], True, "mixed_float16"),
        ([(7, 0)], False, "float32"),
        ([(12, 0), (6, 1)], True, "mixed_float16"),
        ([None], True, "float32"),
        ([], True, None),
        ([], False, None),
    ],
)
def test_the_first_gpu_determines_the_precision_and_all_grow_their_memory(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: list[tuple[int, int] | None],
    half_precision: bool,
    policy: str | None,
) -> None:
    details: list[dict[str, Any]] = [{"compute_capability": pair} if pair else {} for pair in capabilities]
    growing: list[int] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(details))))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: growing.append(gpu))

    switched: list[bool] = []
    monkeypatch.setattr(tf.config.experimental, "enable_tensor_float_32_execution", switched.append)

    assert claim_gpu(half_precision) == policy
    assert switched == ([False] if capabilities and not half_precision else [])
    assert growing == list(range(len(details)))
