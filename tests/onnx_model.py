"""The smallest possible ONNX model."""

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def save_mean_network(path: Path, height: int, width: int, threshold: float | None) -> None:
    """Write a network whose P(Male) is the mean of an image divided by 255; without a threshold if it is None."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "scale"], ["male"]),
        helper.make_node("Sub", ["one", "male"], ["no_male"]),
        helper.make_node("Unsqueeze", ["no_male", "axis"], ["left"]),
        helper.make_node("Unsqueeze", ["male", "axis"], ["right"]),
        helper.make_node("Concat", ["left", "right"], ["probabilities"], axis=1),
    ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [255.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, 3])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "mean", [image], [probabilities], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if threshold is not None:
        helper.set_model_props(network, {"facegender": json.dumps({"temperature": 1.0, "threshold": threshold})})
    onnx.checker.check_model(network)
    onnx.save(network, path)
