"""The network as an ONNX file, converted from a Keras file without TensorFlow, and parts of it.

Keras's own export to ONNX writes other bytes in every run, and takes 10 to 25 seconds.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from facegender.errors import FacegenderError
from facegender.files import whole_file
from facegender.network.model_file import Layer
from facegender.network.sidecar import (
    EVIDENCE,
    FEATURES,
    IMAGE,
    LOGITS,
    PROBABILITIES,
    PROPERTY,
    Sidecar,
    TrunkSpec,
    restore,
    sidecar_of_onnx,
    trunk_end,
)

_OPSET, _IR_VERSION = 17, 8
_LAST_BLOCK, _HIDDEN = "mixed10", "hidden"
_PADDING = {"same": "SAME_UPPER", "valid": "VALID"}

_CONVERTED = 1e-4
"""The largest difference between Keras and a converted network, as a share of the largest output."""


class _Graph:
    """Collects nodes and constants; each node's output has the node's name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: Any = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name


def convert(
    layers: Sequence[Layer],
    trunk: TrunkSpec,
    *,
    mirror: bool = False,
    sidecar: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Convert InceptionV3 with or without its last layers.

    Args:
        layers: as `read_layers` returns them, of a network that does not look at mirror images itself.
        trunk: the cut and the size of the images.
        mirror: whether each image is also looked at left to right, and the logits of the two views are averaged.
        sidecar: stored in the file.

    Returns:
        A network from `image`, uint8 RGB (n, height, width, 3), with the same bytes for the same arguments. Its outputs
        are `probabilities`, float32 (n, 2): P(No male), P(Male); and `evidence`, float32 (n, rows, columns): how much
        each position of InceptionV3's last block adds to the logit of Male (Grad-CAM with signs: Selvaraju et al.,
        2017), apart from a common factor. `features` in it is what features store: float32 (n, …), or the image itself.
        `logits` is before the softmax. Without last layers, `features` is the output.

    Raises:
        FacegenderError: a layer is of an unknown kind.
    """
    graph = _Graph()
    by_name = {layer.name: layer for layer in layers}
    trainable_from = trunk["trainable_from"]
    cut = trunk_end(trainable_from)
    outputs: dict[str, str] = {}
    for layer in layers:
        taken = [outputs[name] for name in layer.inputs]
        if layer.kind == "InputLayer":
            outputs[layer.name] = IMAGE
        elif layer.name != PROBABILITIES:
            outputs[layer.name] = _add_layer(graph, layer, taken)
        if layer.name == cut:
            outputs[layer.name] = _add_features(graph, layer.kind, outputs[layer.name])
            if mirror:
                outputs[layer.name] = _add_views(graph, outputs[layer.name])
    ends: list[tuple[str, list[str | int] | None]] = [(FEATURES, None)]
    if LOGITS in by_name:
        logits, evidence = outputs[LOGITS], _add_evidence(graph, by_name, outputs)
        if mirror:
            pairs = graph.constant("pairs", [2, -1, 2], np.int64)
            logits = graph.add("Reshape", [logits, pairs], "logits_in_pairs")
            logits = graph.add("ReduceMean", [logits], "mean_logits", axes=[0], keepdims=0)
            graph.add("Split", [evidence], "evidence_of_image", axis=0)
            graph.nodes[-1].output.append("evidence_of_mirror_image")
            evidence = "evidence_of_image"
        graph.add("Softmax", [graph.add("Identity", [logits], LOGITS)], PROBABILITIES, axis=1)
        graph.add("Identity", [evidence], EVIDENCE)
        ends = [(PROBABILITIES, ["n", 2]), (EVIDENCE, ["n", "rows", "columns"])]
    network = helper.make_graph(
        graph.nodes,
        "gender",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["n", trunk["height"], trunk["width"], 3])],
        [helper.make_tensor_value_info(name, _type_of(name, trainable_from), shape) for name, shape in ends],
        graph.constants,
        value_info=[helper.make_tensor_value_info(FEATURES, _type_of(FEATURES, trainable_from), None)],
    )
    return _model(network, sidecar)


def part(network: onnx.ModelProto, start: str, end: str) -> onnx.ModelProto:
    """Return the part of a network from one tensor to another.

    Args:
        network: as `convert` returns it.
        start: `image` or `features`.
        end: any tensor that depends on no input but `start`.
    """
    whole = network.graph
    nodes: list[onnx.NodeProto] = []
    needed = {end}
    # Nodes follow those that they need.
    for node in reversed(whole.node):
        if start not in node.output and needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(node.input)
    [entry] = [info for info in (*whole.input, *whole.value_info) if info.name == start]
    result = helper.make_tensor_value_info(end, TensorProto.FLOAT, None)
    constants = [constant for constant in whole.initializer if constant.name in needed]
    return _model(helper.make_graph(nodes, whole.name, [entry], [result], constants), None)


def _type_of(name: str, trainable_from: str) -> int:
    return int(TensorProto.UINT8 if name == FEATURES and trainable_from == IMAGE else TensorProto.FLOAT)


def _model(graph: onnx.GraphProto, sidecar: Mapping[str, Any] | None) -> onnx.ModelProto:
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="facegender")
    if sidecar is not None:
        helper.set_model_props(model, {PROPERTY: json.dumps(sidecar, sort_keys=True)})
    return model


def _add_layer(graph: _Graph, layer: Layer, taken: list[str]) -> str:
    """Add a layer, whose images have their channels first, and return the name of its output."""
    name, config = layer.name, layer.config
    weights = [graph.constant(f"{name}_{number}", _onnx_order(value)) for number, value in enumerate(layer.weights)]
    match layer.kind:
        case "Rescaling":
            pixels = graph.add(
                "Transpose",
                [graph.add("Cast", taken, "pixels", to=TensorProto.FLOAT)],
                "channels_first",
                perm=[0, 3, 1, 2],
            )
            scaled = graph.add("Mul", [pixels, graph.constant("scale", config["scale"])], "pixels_to_2")
            return graph.add("Add", [scaled, graph.constant("offset", config["offset"])], name)
        case "Conv2D":
            return graph.add(
                "Conv", [*taken, *weights], name, strides=config["strides"], auto_pad=_PADDING[config["padding"]]
            )
        case "BatchNormalization":
            ones = graph.constant(f"{name}_scale", np.ones_like(layer.weights[0]))
            return graph.add("BatchNormalization", [*taken, ones, *weights], name, epsilon=config["epsilon"])
        case "Activation":
            return graph.add("Relu", taken, name)
        case "MaxPooling2D" | "AveragePooling2D":
            kind = layer.kind.removesuffix("ing2D")
            settings = {"kernel_shape": config["pool_size"], "strides": config["strides"]}
            return graph.add(kind, taken, name, auto_pad=_PADDING[config["padding"]], **settings)
        case "Concatenate":
            return graph.add("Concat", taken, name, axis=1)
        case "GlobalAveragePooling2D":
            mean = graph.add("GlobalAveragePool", taken, f"{name}_with_sides")
            return graph.add("Flatten", [mean], name)
        case "Dropout":
            return taken[0]
        case "Dense":
            # The name of the last one's output belongs to the logits after those of mirror images are averaged in.
            ending = graph.add("Gemm", [*taken, *weights], f"{name}_of_view")
            return graph.add("Relu", [ending], name) if config["activation"] == "relu" else ending
    raise FacegenderError(f"layer {layer.name}", f"a {layer.kind} cannot be converted to ONNX", "run: dvc repro")


def _onnx_order(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn a kernel from Keras's order (rows, columns, in, out) into (out, in, rows, columns)."""
    return weights.transpose(3, 2, 0, 1) if weights.ndim == 4 else weights


def _add_features(graph: _Graph, kind: str, output: str) -> str:
    """Add `features`, which have their channels last, and return the name of what the tail's first layer takes."""
    if kind in ("InputLayer", "GlobalAveragePooling2D"):
        return graph.add("Identity", [output], FEATURES)
    graph.add("Transpose", [output], FEATURES, perm=[0, 2, 3, 1])
    return graph.add("Transpose", [FEATURES], "features_channels_first", perm=[0, 3, 1, 2])


def _add_views(graph: _Graph, image: str) -> str:
    """Add the mirror images below the images."""
    # Backwards to the start of the axis of columns.
    slices = {"starts": -1, "ends": np.iinfo(np.int64).min, "axes": 2, "steps": -1}
    turned = [graph.constant(f"mirror_{name}", [value], np.int64) for name, value in slices.items()]
    return graph.add("Concat", [image, graph.add("Slice", [image, *turned], "mirror_image")], "views", axis=0)


def _add_evidence(graph: _Graph, layers: Mapping[str, Layer], outputs: Mapping[str, str]) -> str:
    """Add the product of the last block's activations and the logit's gradient with respect to their mean.

    The gradient is the same at all positions, because the block is averaged over them. With a layer of ReLUs before the
    logits, it depends on which of them are active.
    """
    kernel = layers[LOGITS].weights[0].astype(np.float64)
    towards_male = kernel[:, 1] - kernel[:, 0]
    if _HIDDEN in layers:
        active = graph.add(
            "Cast",
            [graph.add("Greater", [outputs[_HIDDEN], graph.constant("zero", 0)], "is_active")],
            "active",
            to=TensorProto.FLOAT,
        )
        added = graph.add("Mul", [active, graph.constant("towards_male", towards_male)], "active_towards_male")
        hidden_kernel = graph.constant("hidden_kernel", layers[_HIDDEN].weights[0].T)
        gradient = graph.add("MatMul", [added, hidden_kernel], "gradient_of_mean")
        gradient = graph.add("Unsqueeze", [gradient, graph.constant("sides", [1, 3], np.int64)], "gradient")
    else:
        gradient = graph.constant("gradient", towards_male[:, None])
    places = graph.add("Transpose", [outputs[_LAST_BLOCK]], "last_block", perm=[0, 2, 3, 1])
    products = graph.add("MatMul", [places, gradient], "evidence_with_channel")
    return graph.add("Squeeze", [products, graph.constant("channel", [3], np.int64)], "evidence_of_view")


def check_conversion(path: str | Path, converted: npt.NDArray[np.float32], by_keras: npt.NDArray[np.float32]) -> None:
    """Check that a Keras file that was converted to ONNX computes what Keras does.

    Args:
        path: the Keras file.
        converted: outputs of the converted network.
        by_keras: outputs of Keras for the same inputs.

    Raises:
        FacegenderError: they differ by more than 0.0001 of the largest output.
    """
    difference = float(np.abs(converted - by_keras).max() / np.abs(by_keras).max())
    if not difference <= _CONVERTED:
        what = f"the converted network differs from Keras's by {difference:.6f} of the largest output"
        raise FacegenderError(path, what, "install the package versions in requirements.lock")


def save(network: onnx.ModelProto, path: str | Path) -> None:
    """Write an ONNX file."""
    with whole_file(path) as partial:
        partial.write_bytes(network.SerializeToString(deterministic=True))


def load_calibrated(path: str | Path) -> tuple[onnx.ModelProto, Sidecar]:
    """Read an ONNX file that the stage calibrate wrote, and its sidecar.

    Raises:
        FacegenderError: there is no such file, or it is damaged or something else.
    """
    try:
        network = onnx.load_model_from_string(Path(path).read_bytes())
    except OSError as error:
        raise FacegenderError(path, error.strerror or str(error), restore(path)) from error
    except DecodeError as error:
        raise FacegenderError(path, "damaged or not an ONNX file", restore(path)) from error
    return network, sidecar_of_onnx({entry.key: entry.value for entry in network.metadata_props}, path)
