"""Keras files that are damaged or made to do harm: one line each, and no code of theirs is run."""

import calendar
import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from facegender.errors import FacegenderError
from facegender.network.model_file import load_calibrated, read_layers, save_model
from facegender.network.weights import pretrained_backbone
from facegender.serving.classifier import load_classifier

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 6, 4
SIDECAR = {"trainable_from": "head", "weights_md5": "0", "height": HEIGHT, "width": WIDTH, "threshold": 0.25}
IMAGES = np.arange(2 * HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(2, HEIGHT, WIDTH, 3)


def network(*between: keras.layers.Layer, outputs: int = 2) -> keras.Model:
    image = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8", name="image")
    output = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for layer in (*between, keras.layers.GlobalAveragePooling2D()):
        output = layer(output)
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(outputs, name="logits")(output)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "gender.keras"
    keras.utils.set_random_seed(0)
    save_model(network(), path, SIDECAR)
    return path.read_bytes()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_file(content: bytes) -> Path:
        path = tmp_path / "gender.keras"
        path.write_bytes(content)
        return path

    return write_file


def refusal(path: Path, load: Callable[[Path], object] = load_classifier) -> str:
    with pytest.raises(FacegenderError) as raised:
        load(path)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(f"{path}: ")


def members_of(content: bytes, path: Path) -> dict[str, bytes]:
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_flipped_bit_is_named_wherever_it_is_or_changes_nothing(whole: bytes, write: Callable[[bytes], Path]) -> None:
    expected = load_classifier(write(whole)).predict(IMAGES)
    refused = 0
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        content = bytearray(whole)
        content[place] ^= 0x10
        path = write(bytes(content))
        for load in (load_classifier, read_layers):
            try:
                loaded = load(path)
            except FacegenderError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017
                refused += 1
            else:
                if load is load_classifier:
                    assert np.array_equal(loaded.predict(IMAGES), expected)  # type: ignore[union-attr]
    assert refused > 80


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_named(share: float, whole: bytes, write: Callable[[bytes], Path]) -> None:
    path = write(whole[: int(share * len(whole))])

    assert refusal(path).startswith("not a .keras file, or a damaged one; run: dvc checkout --force")
    assert refusal(path, read_layers).startswith("not a .keras file, or a damaged one; run: dvc checkout --force")


def test_a_web_page_is_named(write: Callable[[bytes], Path]) -> None:
    assert refusal(write(b"<!doctype html>")).startswith("a web page, not a .keras file; run: dvc checkout")


@pytest.mark.parametrize("sidecar", ["[1]", "{", "[" * 100_000, "null"], ids=range(4))
def test_a_sidecar_that_is_not_ours_is_named(
    sidecar: str, whole: bytes, write: Callable[[bytes], Path], tmp_path: Path
) -> None:
    members = members_of(whole, tmp_path / "whole.keras") | {"facegender.json": sidecar.encode()}

    message = refusal(packed(tmp_path / "gender.keras", members))

    assert message.startswith("contains no facegender.json, so this pipeline did not write it; run:")


@pytest.mark.parametrize("threshold", [None, "x", float("nan"), 2])
def test_a_threshold_must_be_a_number_from_0_to_1(threshold: Any, whole: bytes, tmp_path: Path) -> None:
    sidecar = json.dumps(SIDECAR | {"threshold": threshold}).encode()
    path = packed(tmp_path / "gender.keras", members_of(whole, tmp_path / "whole.keras") | {"facegender.json": sidecar})

    assert refusal(path, load_calibrated).startswith("has no threshold, so the stage calibrate did not write it")


class Custom(keras.layers.Layer):
    """A layer of one's own."""

    def call(self, inputs: Any) -> Any:
        """Return the inputs."""
        return inputs


def run_and_return(image: Any) -> Any:
    Path("ran").touch()
    return image


@pytest.mark.parametrize("custom", ["Lambda", "Custom", "registered"])
def test_code_in_a_file_is_not_run(custom: str, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layer = keras.layers.Lambda(run_and_return) if custom == "Lambda" else Custom()
    if custom == "registered":
        monkeypatch.setitem(keras.saving.get_custom_objects(), "Custom", Custom)
    save_model(network(layer), "gender.keras", SIDECAR)
    Path("ran").unlink(missing_ok=True)

    kind = custom.replace("registered", "Custom")
    assert refusal(Path("gender.keras")).startswith(f"has a {kind}, which no model of this pipeline has; use models/")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("subprocess", "Popen"), ("keras.layers", "TFSMLayer"), ("builtins", "eval"), ("keras", "Model")]
    + [("keras.src.legacy", "__lambda__"), (None, "function"), (3, "Dense"), ("keras.layers", ["Dense"])],
)
def test_nothing_but_the_pipeline_s_own_kinds_is_built(
    module: Any, name: Any, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = members_of(whole, tmp_path / "whole.keras")
    config = json.loads(members["config.json"])
    config["config"]["layers"][1]["config"]["dtype"] = {
        "module": module,
        "class_name": name,
        "config": {"command": "touch ran", "args": ["touch", "ran"], "filepath": "/x"},
        "registered_name": None,
    }
    path = packed(tmp_path / "gender.keras", members | {"config.json": json.dumps(config).encode()})
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked to build it"))

    assert "which no model of this pipeline has" in refusal(path) or refusal(path).startswith("damaged")


def test_a_configuration_that_is_too_deep_is_one_line(whole: bytes, tmp_path: Path) -> None:
    members = members_of(whole, tmp_path / "whole.keras") | {"config.json": b"[" * 100_000}

    assert refusal(packed(tmp_path / "gender.keras", members)).startswith("damaged, or from another version of Keras")


def test_a_file_that_would_unpack_to_more_than_any_model_is_not_unpacked(whole: bytes, tmp_path: Path) -> None:
    members = members_of(whole, tmp_path / "whole.keras")
    path = tmp_path / "gender.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        with archive.open("bomb", "w", force_zip64=True) as bomb:
            for _ in range(2_100):
                bomb.write(bytes(1_000_000))

    assert refusal(path).startswith("too large for a model of this pipeline")


@pytest.mark.parametrize("name", ["facegender.json", "config.json", "model.weights.h5"])
@pytest.mark.parametrize("load", [load_classifier, read_layers])
def test_a_member_that_denies_its_size_takes_no_memory(
    name: str, load: Callable[[Path], object], whole: bytes, tmp_path: Path
) -> None:
    members = members_of(whole, tmp_path / "whole.keras")
    path = tmp_path / "gender.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, bytes(100_000_000) if member == name else members[member])
    # The uncompressed size in both headers (APPNOTE.TXT, 4.3.7 and 4.3.12).
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 100_000_000), struct.pack("<I", 100)))
    load_classifier(packed(tmp_path / "other.keras", members))  # What the first load allocates for ever.

    tracemalloc.start()
    try:
        if not (load is read_layers and name == "facegender.json"):
            refusal(path, load)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_sidecar_that_is_too_large_is_not_ours(whole: bytes, tmp_path: Path) -> None:
    members = members_of(whole, tmp_path / "whole.keras") | {"facegender.json": b"[" + b" " * 2_000_000 + b"]"}

    assert refusal(packed(tmp_path / "gender.keras", members)).startswith("contains no facegender.json")


def test_weights_in_another_file_are_not_read(whole: bytes, tmp_path: Path) -> None:
    members = members_of(whole, tmp_path / "whole.keras")
    (tmp_path / "model.weights.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "model.weights.h5", "r+") as file:
        datasets: list[h5py.Dataset] = []
        file.visititems(lambda _, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        kernel = next(dataset for dataset in datasets if dataset.ndim == 2)
        shape, place = kernel.shape, kernel.name
        del file[place]
        np.full(shape, 7, np.float32).tofile(tmp_path / "elsewhere.bin")
        file.create_dataset(place, shape, np.float32, external=[(str(tmp_path / "elsewhere.bin"), 0, 4 * 3 * 2)])
    content = (tmp_path / "model.weights.h5").read_bytes()

    path = packed(tmp_path / "gender.keras", members | {"model.weights.h5": content})
    assert refusal(path).startswith("damaged, or from another version of Keras")


def test_a_model_with_other_inputs_or_outputs_is_told(tmp_path: Path) -> None:
    save_model(network(outputs=3), tmp_path / "three.keras", SIDECAR)
    vector = keras.Input((5,))
    save_model(keras.Model(vector, keras.layers.Dense(2)(vector)), tmp_path / "vector.keras", SIDECAR)

    assert refusal(tmp_path / "three.keras").startswith("gives outputs of shape [None, 3], not P(No male) and P(Male)")
    assert refusal(tmp_path / "vector.keras").startswith("takes (None, 5), not RGB images of one size and of 8 bits")


def h5(path: Path, **attributes: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("odd")
        file.attrs.update(attributes)


@pytest.mark.parametrize("case", ["empty", "names", "number", "nowhere", "outside", "page"])
def test_h5_files_of_odd_content_are_one_line(case: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    h5(path, **{"names": {"layer_names": [b"odd"]}, "number": {"layer_names": 3}}.get(case, {}))  # type: ignore[arg-type]
    if case == "nowhere":
        h5(path, layer_names=[b"none"])
    if case == "outside":
        with h5py.File(path, "w") as file:
            file["layers"] = h5py.ExternalLink("/etc/passwd", "/x")
            file.attrs["layer_names"] = [b"layers"]
    if case == "page":
        path.write_bytes(b"<html>")

    message = refusal(path, pretrained_backbone)

    assert message.startswith("backbone.weights_file:")
    assert "not weights of InceptionV3 without its top (" in message


@pytest.mark.parametrize("year", [1970, 1979, 2108])
def test_a_clock_that_is_wrong_by_decades_is_one_line(
    year: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    seconds = calendar.timegm((year, 7, 1, 0, 0, 0))
    now = time.localtime(seconds)
    monkeypatch.setattr(time, "localtime", lambda *_: now)

    with pytest.raises(FacegenderError, match=f"clock: it says that this is the year {year}, .*; set it, and"):
        save_model(model, tmp_path / "model.keras", {})


@pytest.mark.parametrize("year", [1980, 2107])
def test_all_other_years_give_the_same_bytes(year: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    save_model(model, tmp_path / "now.keras", {})
    then = time.localtime(calendar.timegm((year, 7, 1, 0, 0, 0)))
    monkeypatch.setattr(time, "localtime", lambda *_: then)

    save_model(model, tmp_path / "then.keras", {})

    assert (tmp_path / "then.keras").read_bytes() == (tmp_path / "now.keras").read_bytes()
