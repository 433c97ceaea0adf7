"""Model files that are damaged, made to do harm, or not the pipeline's: one line each, and no code of theirs is run."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from facegender.cli import main
from facegender.errors import FacegenderError
from facegender.serving.classifier import load_classifier
from tests.onnx_model import save_mean_network

HEIGHT, WIDTH = 6, 4
ELSEWHERE = "use a model that the pipeline wrote, such as models/gender.onnx"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "gender.onnx"
    save_mean_network(path, HEIGHT, WIDTH, 0.25)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FacegenderError) as raised:
        load_classifier(path)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"{path}: ")


def changed(path: Path, change: Any) -> Path:
    network = onnx.load(path)
    change(network)
    path.write_bytes(network.SerializeToString())
    return path


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
def test_a_name_that_is_not_text_is_read(model: Path) -> None:
    name = os.fsdecode(b"mod\xe8le.onnx")
    images = np.full((1, HEIGHT, WIDTH, 3), 51, np.uint8)

    assert load_classifier(model.rename(model.with_name(name))).predict(images).tolist() == [pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty; get the file again"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page, not an ONNX file; get the file again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, not an ONNX file; get the file again"),
        (b"no network at all", "damaged or not an ONNX file; get the file again"),
    ],
)
def test_what_is_not_an_onnx_file_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)

    assert refusal(tmp_path / "model.onnx").startswith(words)


@pytest.mark.parametrize("place", ["weights.bin", "/etc/passwd", "../secret", "missing", "/dev/zero"])
def test_weights_in_other_files_are_not_read(
    place: str, model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("weights.bin", "../secret"):
        (model.parent / name).write_bytes(bytes(100))

    def move_out(network: onnx.ModelProto) -> None:
        scale = network.graph.initializer[0]
        scale.ClearField("float_data")
        scale.data_location = TensorProto.EXTERNAL
        for key, value in (("location", place), ("offset", "0"), ("length", "4")):
            scale.external_data.add(key=key, value=value)

    assert refusal(changed(model, move_out)) == f"keeps weights in other files, which are not read; {ELSEWHERE}"
    assert capfd.readouterr().err == ""


def test_an_operation_that_onnxruntime_does_not_have_is_named_and_nothing_is_logged(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def customise(network: onnx.ModelProto) -> None:
        network.graph.node[0].op_type = "Strange"
        network.graph.node[0].domain = "org.example"
        network.opset_import.add(domain="org.example", version=1)

    assert refusal(changed(model, customise)).startswith("cannot be used (Fatal error: org.example:Strange")
    assert capfd.readouterr().err == ""


def test_a_file_of_a_later_version_of_onnx_is_told(model: Path) -> None:
    def update(network: onnx.ModelProto) -> None:
        network.opset_import[0].version = 999

    message = refusal(changed(model, update))

    assert message.startswith("cannot be used (ONNX Runtime only *guarantees* support")


@pytest.mark.parametrize(
    "sidecar",
    ['{"threshold": "x"}', '{"threshold": NaN}', '{"threshold": 7}', '{"threshold": -1}', '{"threshold": null}', "[1]"]
    + ["{}", "3", "", "{", "[" * 100_000, '{"threshold": {}}'],
    ids=range(12),
)
def test_a_threshold_must_be_a_number_from_0_to_1(sidecar: str, model: Path) -> None:
    changed(model, lambda network: helper.set_model_props(network, {"facegender": sidecar}))

    assert refusal(model).startswith("has no threshold in its metadata, so the stage calibrate did not write it; use")


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (TensorProto.FLOAT, ["n", HEIGHT, WIDTH, 3]),
        (TensorProto.UINT8, ["n", "height", "width", 3]),
        (TensorProto.UINT8, ["n", 3, HEIGHT, WIDTH]),
        (TensorProto.UINT8, ["n", 3]),
    ],
)
def test_a_network_that_takes_something_else_is_told(
    kind: TensorProto.DataType, shape: Sequence[str | int], tmp_path: Path
) -> None:
    nodes = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("Identity", ["float"], ["probabilities"])]
    entry = helper.make_tensor_value_info("image", kind, shape)
    graph = helper.make_graph(
        nodes, "odd", [entry], [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None)]
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(network, {"facegender": json.dumps({"threshold": 0.5})})
    onnx.save(network, tmp_path / "odd.onnx")

    assert "not RGB images of one size and of 8 bits; use a model" in refusal(tmp_path / "odd.onnx")


def test_a_network_with_other_outputs_is_told(model: Path) -> None:
    def join_thrice(network: onnx.ModelProto) -> None:
        network.graph.node[-1].input.append("left")
        network.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3

    assert refusal(changed(model, join_thrice)).startswith(
        "gives outputs of shape ['n', 3], not P(No male) and P(Male); use a model"
    )


def test_a_network_that_gives_another_shape_than_it_declares_is_told(model: Path) -> None:
    changed(model, lambda network: network.graph.initializer[-1].int64_data.__setitem__(0, 0))

    with pytest.raises(FacegenderError, match=r"gives outputs of shape \[1, 6\], not P\(No male\) and P\(Male\); use"):
        load_classifier(model).predict(np.zeros((3, HEIGHT, WIDTH, 3), np.uint8))


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_onnx_file_is_refused_in_one_line_or_gives_probabilities(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    save_mean_network(path, HEIGHT, WIDTH, 0.25)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)

    # Anything but FacegenderError fails the test.
    with suppress(FacegenderError):
        classifier = load_classifier(path)
        assert 0 <= classifier.threshold <= 1
        images = np.zeros((2, min(classifier.height, 1000), min(classifier.width, 1000), 3), np.uint8)
        assert classifier.predict(images).shape == (2,)


def test_a_damaged_weight_is_seen_by_the_description_beside_the_model(model: Path) -> None:
    description = {"model_md5": hashlib.md5(model.read_bytes()).hexdigest(), "standing": "better", "sentence": ""}
    model.with_suffix(".json").write_text(json.dumps(description), encoding="utf-8")
    assert load_classifier(model).predict(np.full((1, HEIGHT, WIDTH, 3), 51, np.uint8)) == pytest.approx([0.2])

    changed(model, lambda network: network.graph.initializer[0].float_data.__setitem__(0, 250.0))
    with pytest.raises(FacegenderError, match=r"gender\.json: does not describe .*gender\.onnx: one of the two is dam"):
        load_classifier(model)


def test_outside_the_project_s_folder_a_missing_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacegenderError, match="no such file; run this in the project's folder, or name a model with"):
        load_classifier("models/gender.onnx")

    Path("dvc.yaml").touch()
    with pytest.raises(FacegenderError, match="no such file; run: dvc repro, or: dvc pull, or name another model with"):
        load_classifier("models/gender.onnx")


def test_a_pipe_or_device_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")

    for name in ("model.onnx", "zero.onnx"):
        assert refusal(tmp_path / name) == "a pipe or a device, not a file; write it to a file first"


@pytest.mark.parametrize("arguments", [["predict", ""], ["import", "", "out"], ["use", "celeba", ""], ["compare", ""]])
def test_an_empty_argument_is_one_line(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["facegender", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == (
        "error: facegender: an empty argument; leave it out; is a variable of the shell not set?"
    )
