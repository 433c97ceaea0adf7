"""TensorFlow's engine, tested on a CPU."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from facegender.data.images import Pixels
from facegender.errors import FacegenderError
from facegender.network.backbone import build_backbone
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.engines.tensorflow import TensorFlowEngine, claim_gpu
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import convert, part
from facegender.network.sidecar import FEATURES, IMAGE, Precision, TrunkSpec
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
    path = tmp_path_factory.mktemp("weights") / "backbone.keras"
    backbone = build_backbone()
    backbone.set_weights(random_backbone().get_weights())
    save_model(backbone, path, {})
    return path


@pytest.fixture(scope="module")
def expected(weights: Path) -> npt.NDArray[np.float32]:
    trunk = TrunkSpec(trainable_from="mixed8", weights_md5="", height=90, width=80)
    return OpenVinoEngine(part(convert(read_layers(weights), trunk), IMAGE, FEATURES))(iter(IMAGES))


def cosines(some: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the cosine similarity of the features of each image in `some` to those of each in `others`."""
    rows = [array.reshape(len(array), -1).astype(np.float64) for array in (some, others)]
    one, other = (row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows)
    return np.asarray(one @ other.T)


# Random weights amplify the rounding of bfloat16.
@pytest.mark.parametrize(
    ("precision", "least"), [("float32", 0.999999), pytest.param("bfloat16", 0.9, marks=pytest.mark.long)]
)
def test_features_match_openvino_s_in_order_and_with_an_incomplete_last_batch(
    weights: Path, expected: npt.NDArray[np.float32], precision: Precision, least: float
) -> None:
    engine = TensorFlowEngine(weights, "mixed8", precision)

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
        TensorFlowEngine(tmp_path / "missing.keras", "mixed8", "bfloat16")(iter(IMAGES))

    assert keras.config.dtype_policy().name == "float32"


def test_an_error_raised_by_the_images_reaches_the_caller(weights: Path) -> None:
    def images() -> Iterator[Pixels]:
        yield from IMAGES[:5]
        raise FacegenderError("6.jpg", "a JPEG that is cut short", "get the file again")

    with pytest.raises(FacegenderError, match=r"^6\.jpg: "):
        TensorFlowEngine(weights, "mixed8", "float32")(images())


@pytest.mark.parametrize("count", [0, 1, 2])
def test_all_gpus_grow_their_memory_and_none_rounds_float32(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    growing: list[int] = []
    switched: list[bool] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(count)))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: growing.append(gpu))
    monkeypatch.setattr(tf.config.experimental, "enable_tensor_float_32_execution", switched.append)

    assert claim_gpu() is (count > 0)
    assert switched == [False]
    assert growing == list(range(count))
