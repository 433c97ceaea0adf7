"""Uses of a trained network: the ONNX file, temperature, model file, evidence."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from facegender import cli
from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.errors import FacegenderError
from facegender.network.backbone import backbone_of, build_backbone, build_head, build_model, trunk_of, with_mirror
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.explanation import class_heat, class_overlays, overlay
from facegender.network.features import check_same_trunk, read_trunk
from facegender.network.model_file import (
    load_calibrated,
    read_layers,
    read_sidecar,
    save_calibrated,
    save_joined,
    save_model,
)
from facegender.network.onnx_file import convert, part, save
from facegender.network.onnx_file import load_calibrated as load_onnx
from facegender.network.sidecar import EVIDENCE, FEATURES, IMAGE, LOGITS, PROBABILITIES, TrunkSpec
from facegender.network.weights import pretrained_backbone
from facegender.serving.classifier import load_classifier
from tests.paths import ROOT

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 90, 80
IMAGES = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)
SHARED = ROOT.parent / "shared"
PORTRAITS = SHARED / "data" / "congress_aligned" / "img_align_celeba"
WEIGHTS = SHARED / "weights" / "inception_v3_nsfwjs_notop.h5"
TRUNK = TrunkSpec(trainable_from="mixed9", weights_md5="0123", height=HEIGHT, width=WIDTH)
CALIBRATION = {"temperature": 1.5, "threshold": 0.25}


def make_model(hidden_units: int = 0, height: int = HEIGHT, width: int = WIDTH) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = build_model(height, width, hidden_units=hidden_units)
    # So that probabilities differ from 0.5, although activations fade with initial weights.
    last = model.get_layer("logits")
    kernel, bias = last.get_weights()
    last.set_weights([kernel * 300, bias + [0.5, -0.25]])
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return make_model()


@pytest.fixture(scope="module")
def saved(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "uncalibrated.keras"
    save_model(model, path, TRUNK)
    return path


def run(network: onnx.ModelProto, start: str, end: str, inputs: np.ndarray) -> np.ndarray:
    return OpenVinoEngine(part(network, start, end))(inputs)


@pytest.mark.parametrize(
    ("hidden_units", "mirror"),
    [(0, False), (7, True), *(pytest.param(*case, marks=pytest.mark.long) for case in ((0, True), (7, False)))],
)
def test_the_onnx_file_predicts_what_keras_predicts(hidden_units: int, mirror: bool, tmp_path: Path) -> None:
    model = make_model(hidden_units)
    save_model(model, tmp_path / "a.keras", TRUNK)
    trunk = TRUNK | {"trainable_from": "image"} if mirror else TRUNK
    expected = (with_mirror(model) if mirror else model).predict_on_batch(IMAGES)

    network = convert(read_layers(tmp_path / "a.keras"), trunk, mirror=mirror, sidecar=CALIBRATION)
    save(network, tmp_path / "a.onnx")

    onnx.checker.check_model(network, full_check=True)
    assert np.ptp(expected[:, 1]) > 1e-4
    assert run(network, IMAGE, PROBABILITIES, IMAGES) == pytest.approx(expected, abs=1e-5)
    classifier = load_classifier(tmp_path / "a.onnx")
    assert classifier.predict(IMAGES) == pytest.approx(expected[:, 1], abs=1e-5)
    assert (classifier.height, classifier.width, classifier.threshold) == (HEIGHT, WIDTH, 0.25)


@pytest.mark.parametrize(
    "cut", ["mixed1", "image", *(pytest.param(cut, marks=pytest.mark.long) for cut in ("head", "mixed10", "mixed0"))]
)
def test_the_parts_of_the_onnx_file_are_trunk_and_tail(model: keras.Model, saved: Path, cut: str) -> None:
    expected = model.predict_on_batch(IMAGES)
    network = convert(read_layers(saved), TRUNK | {"trainable_from": cut})
    features = IMAGES if cut == "image" else trunk_of(model, cut).predict_on_batch(IMAGES)

    assert run(network, FEATURES, PROBABILITIES, features) == pytest.approx(expected, abs=1e-5)
    if cut != "image":
        found = run(network, IMAGE, FEATURES, IMAGES)
        assert found.shape == features.shape
        assert np.abs(found - features).max() < 1e-4 * np.abs(features).max()


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no portraits and weights beside this repository")
@pytest.mark.parametrize("mirror", [pytest.param(False, marks=pytest.mark.long), True])
def test_the_onnx_file_predicts_what_keras_predicts_for_portraits(mirror: bool, tmp_path: Path) -> None:
    model = build_model(218, 178)
    backbone_of(model).set_weights(pretrained_backbone(WEIGHTS).get_weights())
    save_model(model, tmp_path / "a.keras", {})
    paths = sorted(PORTRAITS.glob("*.jpg"))[:8]
    images = np.stack([decode_image(path.read_bytes(), path.name) for path in paths])
    trunk = TrunkSpec(trainable_from="image", weights_md5="", height=218, width=178)
    expected = (with_mirror(model) if mirror else model).predict_on_batch(images)

    network = convert(read_layers(tmp_path / "a.keras"), trunk, mirror=mirror)

    assert np.ptp(expected[:, 1]) > 0.01
    assert run(network, IMAGE, PROBABILITIES, images) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("hidden_units", [pytest.param(0, marks=pytest.mark.long), 7])
def test_a_backbone_and_a_head_are_joined_as_keras_would_save_them_together(hidden_units: int, tmp_path: Path) -> None:
    backbone, head = build_backbone(), build_head(0.5, hidden_units)
    save_model(backbone, tmp_path / "backbone.keras", {})
    # An odd size, so that the file must name it.
    trunk = TrunkSpec(trainable_from="head", weights_md5="0123", height=97, width=83)
    for name in ("joined.keras", "again.keras"):
        save_joined(tmp_path / "backbone.keras", head, tmp_path / name, trunk)
    images = np.random.default_rng(2).integers(0, 256, (3, 97, 83, 3), dtype=np.uint8)
    expected = head.predict_on_batch(backbone.predict_on_batch(images))

    joined = keras.saving.load_model(tmp_path / "joined.keras", safe_mode=True)

    assert joined.input_shape == (None, 97, 83, 3)
    assert [layer.name for layer in joined.layers][-3:] == ["dropout", "logits", "probabilities"]
    assert joined.predict_on_batch(images) == pytest.approx(expected, abs=1e-6)
    assert run(convert(read_layers(tmp_path / "joined.keras"), trunk), IMAGE, PROBABILITIES, images) == pytest.approx(
        expected, abs=1e-5
    )
    assert read_sidecar(tmp_path / "joined.keras") == trunk
    assert (tmp_path / "joined.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()


def test_the_onnx_file_has_the_same_bytes_whatever_was_built_before(saved: Path, tmp_path: Path) -> None:
    # Keras numbers layers through the whole session.
    save_model(make_model(), tmp_path / "again.keras", TRUNK)

    one, other = (convert(read_layers(path), TRUNK) for path in (saved, tmp_path / "again.keras"))

    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_a_temperature_divides_the_logits_of_both_files(model: keras.Model, saved: Path, tmp_path: Path) -> None:
    before = np.log(model.predict_on_batch(IMAGES))

    save_calibrated(saved, tmp_path / "gender.keras", 2.5, TRUNK | CALIBRATION)
    network = convert(read_layers(tmp_path / "gender.keras"), TRUNK)

    loaded, sidecar = load_calibrated(tmp_path / "gender.keras")
    logits = (before[:, 1] - before[:, 0]) / 2.5
    found = run(network, IMAGE, LOGITS, IMAGES)
    assert found[:, 1] - found[:, 0] == pytest.approx(logits, abs=1e-4)
    after = np.log(loaded.predict_on_batch(IMAGES))
    assert after[:, 1] - after[:, 0] == pytest.approx(logits, abs=1e-4)
    assert sidecar == TRUNK | CALIBRATION
    # The source is as it was.
    assert read_layers(saved)[-2].weights[0] == pytest.approx(model.get_layer("logits").get_weights()[0])


def test_the_sidecar_is_in_the_model_file_and_keras_ignores_it(model: keras.Model, saved: Path, tmp_path: Path) -> None:
    for name in ("one.keras", "two.keras"):
        save_calibrated(saved, tmp_path / name, 1.0, TRUNK | CALIBRATION)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    assert read_sidecar(tmp_path / "one.keras") == TRUNK | CALIBRATION

    np.save(tmp_path / "images.npy", IMAGES)
    program = (
        "import keras, numpy as np, sys\n"
        "model = keras.saving.load_model('one.keras', safe_mode=True)\n"
        "np.save('out.npy', model.predict_on_batch(np.load('images.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert np.load(tmp_path / "out.npy") == pytest.approx(model.predict_on_batch(IMAGES), abs=1e-6)


def test_a_file_that_is_not_a_calibrated_model_is_one_line(model: keras.Model, saved: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "plain.keras")
    (tmp_path / "uncalibrated.keras").write_bytes(saved.read_bytes())
    (tmp_path / "damaged.keras").write_bytes(saved.read_bytes()[:-100])
    (tmp_path / "text.keras").write_text("no zip")
    for name, words in (
        ("plain.keras", r"contains no facegender\.json"),
        ("uncalibrated.keras", "has no threshold"),
        ("damaged.keras", "not a .keras file, or a damaged one"),
        ("text.keras", "not a .keras file, or a damaged one"),
        ("none.keras", "No such file"),
    ):
        with pytest.raises(FacegenderError, match=rf"{name}: .*{words}") as caught:
            load_calibrated(tmp_path / name)
        assert "\n" not in str(caught.value)
    for name in ("damaged.keras", "text.keras", "none.keras"):
        with pytest.raises(FacegenderError, match=rf"{name}: .*run: dvc checkout --force"):
            read_layers(tmp_path / name)
    save(convert(read_layers(saved), TRUNK), tmp_path / "uncalibrated.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    for name, words in (
        ("uncalibrated.onnx", "has no threshold"),
        ("text.onnx", "damaged or not an ONNX file"),
        ("none.onnx", "No such file"),
    ):
        with pytest.raises(FacegenderError, match=rf"{name}: .*{words}"):
            load_onnx(tmp_path / name)


def test_a_network_with_other_layers_is_not_converted(tmp_path: Path) -> None:
    image = keras.Input((HEIGHT, WIDTH, 3), name="image")
    keras.Model(image, keras.layers.LayerNormalization(name="new")(image)).save(tmp_path / "other.keras")

    with pytest.raises(FacegenderError, match="layer new: a LayerNormalization"):
        convert(read_layers(tmp_path / "other.keras"), TRUNK)


@pytest.mark.parametrize(
    ("key", "value"), [("trainable_from", "mixed8"), ("weights_md5", "4567"), ("height", 91), ("width", 81)]
)
def test_features_from_another_trunk_than_the_model_s_are_one_line(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "trunk.json").write_text(json.dumps({**TRUNK, key: value}))
    other = read_trunk(tmp_path)

    with pytest.raises(FacegenderError) as caught:
        check_same_trunk({"models/gender.keras": TRUNK, "data/features/test": other})

    expected = f"data/features/test: {key} is {value}, but {TRUNK[key]} in models/gender.keras; run: dvc repro"  # type: ignore[literal-required]
    assert str(caught.value) == expected
    assert check_same_trunk({"a": TRUNK, "b": TRUNK}) == TRUNK


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_features_without_a_description_of_their_trunk_are_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "trunk.json").write_bytes(content)

    with pytest.raises(FacegenderError, match=r"trunk\.json: missing or damaged; run: dvc"):
        read_trunk(tmp_path)


@pytest.mark.parametrize(
    ("hidden_units", "mirror"),
    [(0, False), (7, True), *(pytest.param(*case, marks=pytest.mark.long) for case in ((0, True), (7, False)))],
)
def test_evidence_is_the_gradient_times_the_activations(hidden_units: int, mirror: bool, tmp_path: Path) -> None:
    # Independently, by TensorFlow's differentiation of the whole network.
    height, width = 140, 110
    images = np.random.default_rng(1).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    model = make_model(hidden_units, height, width)
    save_model(model, tmp_path / "a.keras", TRUNK)
    trunk = TrunkSpec(trainable_from="image", weights_md5="", height=height, width=width)
    network = convert(read_layers(tmp_path / "a.keras"), trunk, mirror=mirror)
    block = keras.Model(model.input, [model.get_layer("mixed10").output, model.get_layer("logits").output])
    with tf.GradientTape() as tape:
        activations, logits = block(images, training=False)
        scores = logits[:, 1] - logits[:, 0]
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=(1, 2), keepdims=True)
    expected = np.asarray(tf.reduce_sum(weights * activations, axis=-1))

    found = run(network, IMAGE, EVIDENCE, images)

    assert found.shape == expected.shape == (3, 3, 2)
    # The gradient at each of 6 places is a sixth of that with respect to their mean.
    assert found == pytest.approx(6 * expected, rel=1e-3, abs=1e-5 * float(np.abs(expected).max()))


def test_heat_is_1_at_the_strongest_place_and_0_without_evidence_for_the_class() -> None:
    evidence = np.array([[[1, -2], [0.5, 0]], [[-1, -1], [-1, -2]]], np.float32)

    heat = class_heat(evidence, np.array([1, 1]), 40, 20)

    assert heat.shape == (2, 40, 20)
    # OpenCV's linear scaling leaves the corners as they are.
    assert heat[0][[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx([1, 0, 0.5, 0])
    assert not heat[1].any()
    assert class_heat(evidence, np.array([0, 0]), 40, 20)[:, 0, -1] == pytest.approx([1, 0.5])


def test_an_overlay_keeps_the_size_and_shows_the_hottest_position_red() -> None:
    grey = np.full((4, 6, 3), 128, np.uint8)
    heat = np.zeros((4, 6), np.float32)
    heat[2, 5] = 1
    shown = overlay(grey, heat)
    assert shown.shape == grey.shape
    red, _, blue = shown[2, 5].astype(int)
    assert red > blue
    red, _, blue = shown[0, 0].astype(int)
    assert blue >= red


def test_the_command_explains_a_face_for_both_classes(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(convert(read_layers(saved), TRUNK, sidecar=TRUNK | CALIBRATION), tmp_path / "gender.onnx")
    save_calibrated(saved, tmp_path / "gender.keras", 1.0, TRUNK | CALIBRATION)
    (tmp_path / "face.jpg").write_bytes(encode_jpeg(IMAGES[0]))
    monkeypatch.chdir(tmp_path)

    def explain(image: str, output: str, model: str = "gender.onnx") -> object:
        command = ["facegender", "explain", image, "--model", model, "--align", "never", "-o", output]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    assert explain("face.jpg", "out.png") == 0
    picture = decode_image((tmp_path / "out.png").read_bytes(), "out.png")
    # Three pictures side by side: the face, and both classes.
    assert picture.shape[1] > 2 * picture.shape[0] * 0.8
    (tmp_path / "face.jpg").rename(tmp_path / "face.png")
    for output in ("out.jpg", "nowhere/out.png", "face.png"):
        assert str(explain("face.png", output)).startswith(f"error: {output}: ")
    assert str(explain("face.png", "out.png", "gender.keras")).startswith("error: gender.keras: does not say where")


def test_the_overlays_show_the_evidence_for_each_class() -> None:
    evidence = np.random.default_rng(1).normal(size=(5, 3, 2)).astype(np.float32)
    heats = [class_heat(evidence, np.full(5, label), HEIGHT, WIDTH) for label in (0, 1)]
    pictures: Pixels = IMAGES
    for number, (no_male, male) in enumerate(class_overlays(pictures, evidence)):
        assert (no_male == overlay(IMAGES[number], heats[0][number])).all()
        assert (male == overlay(IMAGES[number], heats[1][number])).all()
        assert (no_male != male).any()
