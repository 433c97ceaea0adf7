"""The network: trunk and tail, training and the model file."""

import os
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from facegender.data.celeba import HEIGHT as HEIGHT_OF_FACES
from facegender.data.celeba import WIDTH as WIDTH_OF_FACES
from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, shard_paths, write_shards
from facegender.errors import FacegenderError
from facegender.network.backbone import (
    build_model,
    cut_layer,
    load_backbone,
    tail_of,
    trunk_of,
    with_mirror,
)
from facegender.network.batches import feature_batches, ordered_batches
from facegender.network.engines.openvino import OpenVinoEngine, has_bfloat16
from facegender.network.features import compute_shard, feature_paths, pack_shard
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import convert, part
from facegender.network.prediction import check_agreement, predict_split
from facegender.network.sidecar import FEATURES, IMAGE, Precision, TrunkSpec
from facegender.network.training import TrainingBatches, fit
from facegender.network.weights import pretrained_backbone
from facegender.synthetic.dataset import draw_faces
from tests.model.test_training import RECIPE
from tests.paths import ROOT

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 90, 80
CUTS = ("head", *(f"mixed{number}" for number in range(10, -1, -1)), "image")
QUICK_CUTS = ("head", "mixed10", "mixed5", "mixed0", "image")
"""`make test-long` tries the others as well."""
IMAGES = np.random.default_rng(0).integers(0, 256, (12, HEIGHT, WIDTH, 3), dtype=np.uint8)
# The left half is dark or bright, so the classes are easy to distinguish.
LABELS = np.arange(12) % 2
IMAGES[LABELS == 1, :, : WIDTH // 2] //= 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return random weights, which are the same in every process."""
    path = tmp_path_factory.mktemp("weights") / "backbone.keras"
    program = (
        "import sys; from facegender.network.backbone import build_backbone\n"
        "from facegender.network.model_file import save_model; from facegender.network.weights import random_backbone\n"
        "backbone = build_backbone(); backbone.set_weights(random_backbone().get_weights())\n"
        "save_model(backbone, sys.argv[1], {})"
    )
    again = path.with_name("again.keras")
    for file in (path, again):
        subprocess.run([sys.executable, "-c", program, str(file)], check=True, cwd=ROOT)
    assert path.read_bytes() == again.read_bytes()
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(HEIGHT, WIDTH)
    load_backbone(model, weights)
    return model


def test_inceptionv3_receives_pixels_between_minus_one_and_one(model: keras.Model) -> None:
    scaled = keras.Model(model.input, model.get_layer("scaled").output)
    pixels = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    pixels[0, 0, 0] = (0, 51, 255)

    # 51 / 127.5 - 1 by hand.
    assert scaled(pixels)[0, 0, 0].numpy() == pytest.approx([-1, -0.6, 1], abs=1e-6)


@pytest.mark.parametrize(
    "cut", [cut if cut in QUICK_CUTS else pytest.param(cut, marks=pytest.mark.long) for cut in CUTS]
)
def test_trunk_and_tail_together_are_the_whole_network(model: keras.Model, cut: str) -> None:
    whole = model.predict_on_batch(IMAGES)

    parts = tail_of(model, cut).predict_on_batch(trunk_of(model, cut).predict_on_batch(IMAGES))

    assert parts == pytest.approx(whole, abs=1e-5)


def test_the_cut_is_below_the_first_trained_block(model: keras.Model) -> None:
    # Block mixed8 is trained, so the trunk ends with mixed7.
    assert cut_layer(model, "mixed8").name == "mixed7"
    assert cut_layer(model, "mixed10").name == "mixed9"
    assert cut_layer(model, "head").name == "pooled"
    # InceptionV3's stem ends with 192 channels (Szegedy et al., 2015, table 1: 35 x 35 x 192 for 299 x 299 pixels).
    assert cut_layer(model, "mixed0").output.shape[3] == 192


def test_nothing_is_frozen_at_the_image_but_batch_normalisation(model: keras.Model) -> None:
    trained = sum(int(np.prod(weight.shape)) for weight in tail_of(model, "image").trainable_weights)

    # 21,802,784 of InceptionV3 without its top, of which batch normalisation has 34,432 trained and not trained in
    # Keras's count of 51,648 (its scale is off), and 2 * (2048 + 1) of the head.
    assert trained == 21_802_784 - 51_648 + 2 * (2048 + 1)


def test_the_mean_over_the_mirror_image_is_of_the_logits(model: keras.Model, tmp_path: Path) -> None:
    mirrored = with_mirror(model)
    save_model(mirrored, tmp_path / "mirrored.keras", {})
    loaded = keras.saving.load_model(tmp_path / "mirrored.keras", safe_mode=True)
    one, other = (np.log(model.predict_on_batch(images)) for images in (IMAGES, IMAGES[:, :, ::-1]))
    shares = np.exp((one + other) / 2)

    for network in (mirrored, loaded):
        assert network.predict_on_batch(IMAGES) == pytest.approx(shares / shares.sum(1, keepdims=True), abs=1e-5)


def test_the_head_alone_has_the_weights_of_one_layer(model: keras.Model) -> None:
    # 2,048 pooled features and a bias for each of two classes.
    assert tail_of(model, "head").count_params() == 2 * (2048 + 1)


def test_batch_normalisation_is_frozen_in_training(model: keras.Model) -> None:
    tail, features = tail_of(model, "mixed10"), trunk_of(model, "mixed10").predict_on_batch(IMAGES)

    assert np.asarray(tail(features, training=True)) == pytest.approx(np.asarray(tail(features)), abs=1e-5)


@pytest.mark.parametrize("cut", ["head", pytest.param("mixed8", marks=pytest.mark.long), "mixed0"])
def test_the_engine_s_features_match_tensorflow_s(model: keras.Model, weights: Path, cut: str) -> None:
    expected = trunk_of(model, cut).predict_on_batch(IMAGES)

    features = trunk_engine(weights, cut)(iter(IMAGES))

    assert features.shape == expected.shape
    assert np.abs(features - expected).max() < 1e-4 * np.abs(expected).max()


def test_bfloat16_rounds_the_features(model: keras.Model, weights: Path) -> None:
    expected = trunk_of(model, "mixed4").predict_on_batch(IMAGES).reshape(len(IMAGES), -1)

    features = trunk_engine(weights, "mixed4", "bfloat16")(iter(IMAGES)).reshape(len(IMAGES), -1)

    cosines = (features * expected).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.99
    if has_bfloat16():
        assert (features != expected).any()


def trunk_engine(weights: Path, cut: str, precision: Precision = "float32") -> OpenVinoEngine:
    spec = TrunkSpec(trainable_from=cut, weights_md5="", height=HEIGHT, width=WIDTH)
    return OpenVinoEngine(part(convert(read_layers(weights), spec), IMAGE, FEATURES), precision)


@pytest.fixture
def features(weights: Path, tmp_path: Path) -> Path:
    """Return a folder with the features of the twelve images up to block mixed9, as the stage writes them."""
    records = [Record(f"{i}.jpg", int(LABELS[i]), encode_jpeg(IMAGES[i])) for i in range(len(IMAGES))]
    (tmp_path / "images").mkdir()
    (tmp_path / "features").mkdir()
    write_shards(tmp_path / "images", records)
    engine = trunk_engine(weights, "mixed10")
    for shard in shard_paths(tmp_path / "images"):
        (tmp_path / "features" / f"{shard.stem}.npz.zst").write_bytes(pack_shard(compute_shard(shard, engine), shard))
    return tmp_path / "features"


def test_fitting_memorises_a_dozen_images_and_keeps_the_best_epoch(
    weights: Path, features: Path, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(HEIGHT, WIDTH)
    load_backbone(model, weights)
    trunk_before = [weight.copy() for weight in trunk_of(model, "mixed10").get_weights()]
    tail = tail_of(model, "mixed10")
    reported: list[dict[str, float]] = []

    recipe = RECIPE._replace(epochs=12, learning_rate=0.001, patience=12)
    paths = feature_paths(features)
    train = TrainingBatches(partial(feature_batches, paths, 6, 1), 2, (1, 1))
    val = partial(ordered_batches, paths)
    history = fit(tail, train, val, recipe, tmp_path / "state", checkpoint_seconds=60, on_epoch=reported.append)

    assert reported == history
    assert history[0].keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    best = min(history, key=lambda epoch: epoch["val_loss"])
    assert best["val_accuracy"] == 1
    image_ids, labels, outputs = predict_split(
        lambda inputs: tail.predict_on_batch(np.asarray(inputs)), feature_paths(features)
    )
    probabilities = outputs[:, 1]
    assert image_ids == [f"{i}.jpg" for i in range(12)]
    assert labels.tolist() == LABELS.tolist()
    assert ((probabilities > 0.5) == LABELS).all()
    loss = -np.log(np.where(LABELS == 1, probabilities, 1 - probabilities)).mean()
    assert loss == pytest.approx(best["val_loss"], abs=1e-3)
    for before, after in zip(trunk_before, trunk_of(model, "mixed10").get_weights(), strict=True):
        assert np.array_equal(before, after)
    # The whole network has learnt them too.
    images = np.stack([IMAGES[i] for i in range(12)])
    assert ((model.predict_on_batch(images)[:, 1] > 0.5) == LABELS).mean() > 0.9


@pytest.mark.long
def test_a_model_file_has_the_same_bytes_in_every_process(model: keras.Model, weights: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from facegender.network.backbone import build_model, load_backbone; import keras\n"
        "from facegender.network.model_file import save_model\n"
        "keras.utils.set_random_seed(0); model = build_model(90, 80); load_backbone(model, sys.argv[1])\n"
        "save_model(model, sys.argv[2], {})"
    )
    files = [tmp_path / "first.keras", tmp_path / "second.keras"]
    for file in files:
        subprocess.run([sys.executable, "-c", program, str(weights), str(file)], check=True, cwd=ROOT)

    assert files[0].read_bytes() == files[1].read_bytes()
    assert all(member.date_time[0] == 1980 for member in zipfile.ZipFile(files[0]).infolist())
    loaded = keras.saving.load_model(files[0], safe_mode=True)
    assert np.array_equal(loaded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES))


def test_a_model_from_another_run_is_detected_in_any_order_of_images() -> None:
    whole = {"a.jpg": 0.25, "b.jpg": 0.5, "c.jpg": 0.875}
    backwards = dict(reversed(whole.items()))

    assert check_agreement(whole, backwards) == 0
    with pytest.raises(FacegenderError, match=r"differ by 0\.0300 in P\(Male\)"):
        check_agreement(whole, backwards | {"b.jpg": 0.53})


def test_an_image_without_features_is_named() -> None:
    with pytest.raises(FacegenderError, match=r"data/features: b\.jpg: has no features"):
        check_agreement({"a.jpg": 0.5, "b.jpg": 0.5}, {"a.jpg": 0.5, "c.jpg": 0.5})


def test_weights_from_a_file_are_used_unchanged(tmp_path: Path) -> None:
    backbone = keras.applications.InceptionV3(include_top=False, weights=None)
    backbone.save_weights(tmp_path / "own.weights.h5")

    taken = pretrained_backbone(str(tmp_path / "own.weights.h5"))

    for one, other in zip(backbone.get_weights(), taken.get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), (b"<html>", "not weights of InceptionV3")])
def test_a_file_without_weights_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "weights.h5"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FacegenderError, match=words) as caught:
        pretrained_backbone(str(path))

    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_weights_of_another_network_are_one_line(tmp_path: Path) -> None:
    keras.applications.MobileNetV2(include_top=False, weights=None).save_weights(tmp_path / "other.weights.h5")

    with pytest.raises(FacegenderError, match="not weights of InceptionV3"):
        pretrained_backbone(str(tmp_path / "other.weights.h5"))


def test_imagenet_without_a_network_is_one_line(tmp_path: Path) -> None:
    program = (
        "from facegender.network.weights import pretrained_backbone; from facegender.errors import one_line_errors\n"
        "with one_line_errors(): pretrained_backbone('imagenet')"
    )
    # A proxy on loopback that does not exist: no request leaves this machine.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"KERAS_HOME": str(tmp_path), "no_proxy": "", "NO_PROXY": ""}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: backbone.weights: imagenet: the download failed (")
    assert "; go online once" in done.stderr
    assert "Traceback" not in done.stderr


def test_random_weights_keep_the_activations_of_faces_in_range(weights: Path) -> None:
    model = build_model(HEIGHT_OF_FACES, WIDTH_OF_FACES)
    load_backbone(model, weights)
    # Faces other than those that the statistics were measured on.
    images = draw_faces(8, seed=1)

    features = trunk_of(model, "mixed8").predict_on_batch(images)

    # A normalised activation after ReLU has the mean 1 / sqrt(2 pi) = 0.4; one branch of mixed7 takes maxima of these.
    assert 0.2 < features.mean() < 0.8
