"""Uses of a trained network: temperature, model file, Grad-CAM, prediction."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from facegender import cli
from facegender.data.images import decode_image, encode_jpeg
from facegender.errors import FacegenderError
from facegender.network.backbone import build_model
from facegender.network.explanation import class_heat, class_overlays, overlay
from facegender.network.features import TrunkSpec, check_same_trunk, read_trunk
from facegender.network.model_file import load_calibrated, read_sidecar, save_model
from facegender.network.prediction import divide_logits, predict, predict_images, predict_logits

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 90, 80
IMAGES = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)


TRUNK = TrunkSpec(trainable_from="mixed9", weights_md5="0123", height=HEIGHT, width=WIDTH)


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = build_model(HEIGHT, WIDTH)
    # So that probabilities differ from 0.5, although activations fade with initial weights.
    last = model.get_layer("logits")
    kernel, bias = last.get_weights()
    last.set_weights([kernel * 300, bias])
    return model


def test_logits_are_the_log_odds_and_a_temperature_divides_them(model: keras.Model) -> None:
    logits = predict_logits(model, IMAGES)
    probabilities = predict(model, IMAGES)
    assert logits == pytest.approx(np.log(probabilities / (1 - probabilities)), abs=1e-4)
    assert np.ptp(logits) > 1e-4

    divide_logits(model, 2.5)

    assert predict_logits(model, IMAGES) == pytest.approx(logits / 2.5, abs=1e-4)


def test_logits_of_certainty_are_finite(model: keras.Model) -> None:
    divide_logits(model, 1e-9)
    assert np.isfinite(predict_logits(model, IMAGES)).all()


def test_the_sidecar_is_in_the_model_file_and_keras_ignores_it(model: keras.Model, tmp_path: Path) -> None:
    sidecar = {**TRUNK, "temperature": 1.5, "threshold": 0.25}
    for name in ("one.keras", "two.keras"):
        save_model(model, tmp_path / name, sidecar)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    assert read_sidecar(tmp_path / "one.keras") == sidecar

    np.save(tmp_path / "images.npy", IMAGES)
    program = (
        "import keras, numpy as np, sys\n"
        "model = keras.saving.load_model('one.keras', safe_mode=True)\n"
        "np.save('out.npy', model.predict_on_batch(np.load('images.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert np.load(tmp_path / "out.npy") == pytest.approx(model.predict_on_batch(IMAGES), abs=1e-6)


def test_a_file_that_is_not_a_calibrated_model_is_one_line(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "plain.keras")
    save_model(model, tmp_path / "uncalibrated.keras", TRUNK)
    (tmp_path / "damaged.keras").write_bytes((tmp_path / "uncalibrated.keras").read_bytes()[:-100])
    (tmp_path / "text.keras").write_text("no zip")
    for name, words in (
        ("plain.keras", r"has no facegender\.json"),
        ("uncalibrated.keras", "has no threshold"),
        ("damaged.keras", "not a complete .keras file"),
        ("text.keras", "not a complete .keras file"),
        ("none.keras", "No such file"),
    ):
        with pytest.raises(FacegenderError, match=rf"{name}: .*{words}") as caught:
            load_calibrated(tmp_path / name)
        assert "\n" not in str(caught.value)


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


def test_heat_is_the_contribution_of_each_position_to_the_class(model: keras.Model) -> None:
    # With one layer above the average, a position contributes its activations times the difference of the weights.
    activations = keras.Model(model.input, model.get_layer("mixed10").output).predict_on_batch(IMAGES)
    kernel = model.get_layer("logits").get_weights()[0]
    for label, sign in ((1, 1), (0, -1)):
        added = np.maximum(sign * activations @ (kernel[:, 1] - kernel[:, 0]), 0)
        heat = class_heat(model, IMAGES, np.full(len(IMAGES), label))
        assert heat.shape == (len(IMAGES), HEIGHT, WIDTH)
        assert heat.min() >= 0
        for one, of_places in zip(heat, added, strict=True):
            if not of_places.max():
                assert not one.any()
                continue
            places = of_places / of_places.max()
            assert one.max() == pytest.approx(1, abs=1e-4)
            # OpenCV's linear scaling leaves the corners as they are.
            corners = one[[0, 0, -1, -1], [0, -1, 0, -1]]
            assert corners == pytest.approx(places[[0, 0, -1, -1], [0, -1, 0, -1]], abs=1e-3)


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
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(model, tmp_path / "gender.keras", {**TRUNK, "temperature": 1.0, "threshold": 0.5})
    (tmp_path / "face.jpg").write_bytes(encode_jpeg(IMAGES[0]))
    monkeypatch.chdir(tmp_path)
    explain = ["facegender", "explain", "face.jpg", "--model", "gender.keras", "--align", "never", "-o"]

    monkeypatch.setattr(sys, "argv", [*explain, "out.png"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 0
    picture = decode_image((tmp_path / "out.png").read_bytes(), "out.png")
    # Three pictures side by side: the face, and both classes.
    assert picture.shape[1] > 2 * picture.shape[0] * 0.8
    (tmp_path / "face.jpg").rename(tmp_path / "face.png")
    for output in ("out.jpg", "nowhere/out.png", "face.png"):
        explain[2] = "face.png"
        monkeypatch.setattr(sys, "argv", [*explain, output])
        with pytest.raises(SystemExit, match=f"error: {output}: "):
            cli.main()


def test_the_overlays_show_the_evidence_for_each_class(model: keras.Model) -> None:
    heats = [class_heat(model, IMAGES, np.full(len(IMAGES), label)) for label in (0, 1)]
    for number, (no_male, male) in enumerate(class_overlays(model, IMAGES)):
        assert (no_male == overlay(IMAGES[number], heats[0][number])).all()
        assert (male == overlay(IMAGES[number], heats[1][number])).all()
        assert (no_male != male).any()


def test_predictions_do_not_depend_on_the_batch(model: keras.Model) -> None:
    probabilities = predict_images(model, (image for _ in range(9) for image in IMAGES))

    assert probabilities == pytest.approx(np.tile(predict(model, IMAGES), 9), abs=1e-5)
