"""params.yaml is checked as a whole, and every mistake is one line that names the key."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from facegender.errors import FacegenderError
from facegender.params import load_params
from tests.paths import ROOT

DEFAULT = ROOT / "params.yaml"


def write(folder: Path, **changes: Any) -> Path:
    """Write params.yaml with dotted keys changed (`train__epochs=5`); the value None of `...` removes the key."""
    content = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    for key, value in changes.items():
        group, _, leaf = key.partition("__")
        if leaf:
            content[group][leaf] = value
            if value is ...:
                del content[group][leaf]
        elif value is ...:
            del content[group]
        else:
            content[group] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", [DEFAULT, *sorted((ROOT / "params").glob("*.yaml"))], ids=lambda path: path.name)
def test_the_files_of_the_repository_are_valid(path: Path) -> None:
    params = load_params(path)

    assert params.model_dump() == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_for_photographs_start_from_weights_that_know_photographs(path: Path) -> None:
    backbone = load_params(path).backbone

    assert backbone.weights == "imagenet"
    assert (backbone.trainable_from == "image") == path.stem.startswith("celeba")


def test_the_sample_of_celeba_is_that_of_the_student_report() -> None:
    params = load_params(ROOT / "params" / "celeba.yaml")

    assert (params.partition.train, params.partition.val, params.partition.test) == (14000, 6000, 6000)
    assert params.partition.seed == 120
    assert params.backbone.weights == "imagenet"
    assert (params.preprocess.height, params.preprocess.width) == (218, 178)


@pytest.mark.parametrize("key", ["synthetic_data", "train", "train__epochs", "dataset__identities", "augment__seed"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, **{key: ...})

    with pytest.raises(FacegenderError, match=f"params.yaml: {key.replace('__', '.')} is missing"):
        load_params(path)


@pytest.mark.parametrize(
    ("key", "near"), [("train__epoch", "epochs"), ("trian", "train"), ("backbone__weight", "weights")]
)
def test_an_unknown_key_is_named_with_its_nearest(tmp_path: Path, key: str, near: str) -> None:
    path = write(tmp_path, **{key: 5})

    with pytest.raises(FacegenderError, match=f"{key.replace('__', '.')} is unknown; did you mean {near}\\?"):
        load_params(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("partition__train", 601),
        ("partition__train", "al"),
        ("partition__val", "All"),
        ("partition__val", "600"),
        ("partition__test", None),
        ("partition__test", ["all"]),
        ("partition__seed", "all"),
        ("partition__val", -2),
        ("partition__test", 0),
        ("partition__seed", "120"),
        ("partition__train", 600.5),
        ("partition__train", True),
        ("train__learning_rate", None),
        ("train__learning_rate", "abc"),
        ("train__learning_rate", float("nan")),
        ("train__learning_rate", 0),
        ("train__dropout", 1),
        ("train__precision", "float16"),
        ("train__ema_momentum", 1),
        ("train__label_smoothing", 1),
        ("train__weight_decay", -0.1),
        ("train__warmup_steps", -1),
        ("train__schedule", "linear"),
        ("backbone__precision", "fp32"),
        ("augment__rotation", 181),
        ("augment__width_shift", 1.1),
        ("augment__shear", 90),
        ("train__epochs", 0),
        ("augment__mode", "fresher"),
        ("augment__mode", None),
        ("augment__zoom", 1.0),
        ("augment__brightness", 1.0),
        ("augment__contrast", -0.1),
        ("augment__colour", "0.2"),
        ("augment__horizontal_flip", "yes"),
        ("backbone__trainable_from", "mixed11"),
        ("backbone__weights", "model.hdf5"),
        ("preprocess__height", 60),
        ("preprocess__on_bad_image", "ignore"),
        ("calibrate__threshold", 1),
        ("calibrate__threshold", "best"),
        ("calibrate__threshold", None),
        ("evaluate__resamples", 10),
        ("evaluate__datasets", 3),
        ("dataset__images", ""),
        ("dataset__attributes", None),
        ("gate__floors", 0.5),
        ("gate__baseline", "optional"),
        ("gate__baseline", True),
        ("gate__tolerance", 0),
        ("eda", 3),
    ],
)
def test_a_wrong_value_is_named_in_one_line(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path, **{key: value})

    with pytest.raises(FacegenderError) as caught:
        load_params(path)

    message = str(caught.value)
    assert message.startswith(f"{path}: {key.replace('__', '.')} is {value!r}: ")
    assert "\n" not in message


def test_an_odd_count_suggests_an_even_one(tmp_path: Path) -> None:
    with pytest.raises(FacegenderError, match=r"; use 602, half Male and half No male, or all$"):
        load_params(write(tmp_path, partition__train=601))


@pytest.mark.parametrize("key", ["train", "val", "test"])
def test_a_split_has_an_even_count_or_all_images(tmp_path: Path, key: str) -> None:
    for images in (2, 162770, "all"):
        assert getattr(load_params(write(tmp_path, **{f"partition__{key}": images})).partition, key) == images

    path = write(tmp_path, **{f"partition__{key}": "al"})
    with pytest.raises(FacegenderError) as caught:
        load_params(path)
    assert str(caught.value) == (
        f"{path}: partition.{key} is 'al': must be an even number of at least 2, or all; use an even number, or all"
    )


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, train__epochs=0, augment__copies=-1)

    with pytest.raises(FacegenderError) as caught:
        load_params(path)

    assert [line.split(" is ")[0].split(": ")[-1] for line in str(caught.value).splitlines()] == [
        "augment.copies",
        "train.epochs",
    ]


@pytest.mark.parametrize(
    "text", ["010", "0o17", "1e3", "1_000", "+7", "0x1f", "off", "yes", "~", "'12'", "2024-01-01", ".5e3", "12:30"]
)
def test_a_value_is_the_one_that_dvc_reads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    written, count = re.subn(
        r"(?m)^(synthetic_data:.*\n  images: .*\n  seed:) .*", rf"\1 {text}", DEFAULT.read_text("utf-8")
    )
    assert count == 1
    path.write_text(written, encoding="utf-8")
    of_dvc = load_yaml(str(path))["synthetic_data"]["seed"]

    if isinstance(of_dvc, int) and not isinstance(of_dvc, bool):
        assert load_params(path).synthetic_data.seed == of_dvc
    else:
        with pytest.raises(FacegenderError, match=f"synthetic_data.seed is {re.escape(repr(of_dvc))}: "):
            load_params(path)


def test_weights_from_a_file_need_its_path(tmp_path: Path) -> None:
    with pytest.raises(
        FacegenderError, match=r"backbone: weights is file, but weights_file is not the path of an \.h5"
    ):
        load_params(write(tmp_path, backbone__weights="file"))

    with pytest.raises(
        FacegenderError, match=r"backbone\.weights is 'own\.h5': .*put the path in backbone\.weights_file"
    ):
        load_params(write(tmp_path, backbone__weights="own.h5"))

    path = write(tmp_path, backbone__weights="file", backbone__weights_file="own.h5")
    assert load_params(path).backbone.weights_file == "own.h5"


def test_fresh_transformations_need_images_and_no_copies(tmp_path: Path) -> None:
    fresh = {"augment__mode": "fresh", "augment__copies": 0, "backbone__trainable_from": "image"}

    assert load_params(write(tmp_path, **fresh)).augment.mode == "fresh"
    for changes, message in (
        (
            {"augment__copies": 1},
            "augment.copies is 1: augment.mode fresh transforms every image anew and stores no copies; use 0",
        ),
        (
            {"backbone__trainable_from": "mixed0"},
            "augment.mode is 'fresh': backbone.trainable_from is mixed0, and stored features cannot be transformed "
            "anew; use copies, or set backbone.trainable_from to image",
        ),
    ):
        path = write(tmp_path, **fresh | changes)
        with pytest.raises(FacegenderError) as caught:
            load_params(path)
        assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("cut", ["head", *(f"mixed{block}" for block in range(11)), "image"])
@pytest.mark.parametrize("copies", [0, 2])
def test_stored_copies_are_allowed_with_every_cut(tmp_path: Path, cut: str, copies: int) -> None:
    params = load_params(write(tmp_path, augment__copies=copies, backbone__trainable_from=cut))

    assert (params.augment.mode, params.augment.copies, params.backbone.trainable_from) == ("copies", copies, cut)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "0.0001", ".0001", "1e-04"])
def test_a_number_is_one_however_it_is_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    written, count = re.subn(r"learning_rate: \S+", f"learning_rate: {text}", DEFAULT.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(written, encoding="utf-8")

    assert load_params(path).train.learning_rate == 0.0001


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no keys"),
        (b"train: [", "not valid YAML: line 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"- a", "no keys"),
        (b"train: {seed: 1}\ntrain: {seed: 2}", 'line 2: found duplicate key "train"'),
        (b"train:\n  seed: 1\n  seed: 2", 'line 3: found duplicate key "seed"'),
    ],
)
def test_a_file_that_is_not_a_mapping_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)

    with pytest.raises(FacegenderError, match=words) as caught:
        load_params(path)

    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FacegenderError, match=r"run this in the folder of params\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(FacegenderError, match=r"params\.yaml: Permission denied; fix that$"):
        load_params(DEFAULT)


@pytest.mark.parametrize("name", ["train", "train_copies", "val", "test", "With Space", ""])
def test_a_further_test_set_has_a_name_that_files_can_have(tmp_path: Path, name: str) -> None:
    dataset = {"images": "a.zip", "attributes": "b.csv", "identities": "c.txt"}
    with pytest.raises(FacegenderError, match=r"evaluate\.datasets\.") as caught:
        load_params(write(tmp_path, evaluate__datasets={name: dataset}))

    assert "\n" not in str(caught.value)
    assert load_params(write(tmp_path, evaluate__datasets={"my-set_2": dataset})).evaluate.datasets["my-set_2"]


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ({"images": "a.zip", "identities": "c"}, "evaluate.datasets.other.attributes is missing"),
        ({"images": "a.zip", "attributes": 3, "identities": "c"}, "evaluate.datasets.other.attributes is 3: "),
        (
            {"images": "a.zip", "attributes": "b.csv", "identities": "c", "attribute": "d"},
            "evaluate.datasets.other.attribute is unknown; did you mean attributes?",
        ),
    ],
)
def test_a_mistake_in_a_further_test_set_is_named(tmp_path: Path, dataset: dict[str, Any], words: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        load_params(write(tmp_path, evaluate__datasets={"other": dataset}))

    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("gate__floors", {"accuracy": "high"}, "gate.floors.accuracy is 'high': "),
        ("gate__ceilings", {"expected_calibration_error": -0.1}, "gate.ceilings.expected_calibration_error is -0.1: "),
        (
            "gate__margins",
            {"roc auc": 0.1},
            "the key gate.margins.roc auc must consist of a to z, 0 to 9 and _; rename it",
        ),
    ],
)
def test_a_mistake_in_the_limits_of_the_gate_is_named(tmp_path: Path, key: str, value: Any, words: str) -> None:
    with pytest.raises(FacegenderError, match=words) as caught:
        load_params(write(tmp_path, **{key: value}))

    assert "\n" not in str(caught.value)


SET = {"images": "a", "attributes": "b", "identities": "c"}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("eda", 12, "eda is 12: must be a group of keys; see docs/params.md"),
        ("gate__floors", 1, "gate.floors is 1: must be a group of keys, or {} for none; see docs/params.md"),
        ("evaluate__datasets", {"a": "x.zip"}, "evaluate.datasets.a is 'x.zip': must be a group of keys; see docs"),
        (
            "evaluate__datasets",
            {"Mine": SET},
            "the key evaluate.datasets.Mine must consist of a to z, 0 to 9, _ and -; r",
        ),
        ("evaluate__datasets", {5: SET}, "the key evaluate.datasets.5 is not text; delete it, or put it in quotes"),
        ("gate__floors", {"A": 1}, "the key gate.floors.A must consist of a to z, 0 to 9 and _; rename it"),
        (5, 5, "the key 5 is not text; delete it, or put it in quotes"),
        (None, 5, "the key None is not text; delete it, or put it in quotes"),
    ],
)
def test_a_group_or_a_key_of_another_kind_is_named(tmp_path: Path, key: Any, value: Any, words: str) -> None:
    path = write(tmp_path, **{key: value} if isinstance(key, str) else {})
    if not isinstance(key, str):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(content | {key: value}), encoding="utf-8")

    with pytest.raises(FacegenderError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert "\n" not in str(caught.value)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "seed: 7",
            'seed: !!python/object/apply:os.system ["touch ran"]',
            "not valid YAML: line 5: could not",
        ),
        (
            "seed: 7",
            "seed: !own 7",
            "not valid YAML: line 5: could not determine a constructor for the tag '!own'",
        ),
        ("seed: 7", "seed: !!int x", "not valid YAML: invalid literal for int() with base 10: 'x'; fix that value"),
        (
            "seed: 7",
            "seed: !!bool maybe",
            "not valid YAML: a tag such as !!bool before a value of another kind; delete",
        ),
        ("seed: 7", "seed: !!float ''", "not valid YAML: a tag such as !!bool before a value of another kind; delete"),
        ("seed: 7", "seed: 2026-99-99", "not valid YAML: month must be in 1..12; fix that value"),
        ("seed: 7", f"seed: {'9' * 5000}", "not valid YAML: Exceeds the limit (4300"),
        (
            "seed: 7",
            f"seed: {'x' * 5000}",
            f"synthetic_data.seed is '{'x' * 59}…: input should be a valid integer",
        ),
        ("seed: 7", 'seed: "\\e[31m"', "synthetic_data.seed is '\\x1b[31m': input should be a valid integer"),
        ("seed: 7", "seed:", "synthetic_data.seed is None: input should be a valid integer"),
        ("datasets: {}", "datasets:", "evaluate.datasets has no value; write {} for none"),
        ("mistakes:\n  images: 12", "mistakes:", "mistakes has no value; docs/params.md lists every key"),
        ("datasets: {}", "datasets: &all {a: *all}", "has more than 10,000 values, counted through its aliases; write"),
        (
            "images: 3600",
            "images: *i",
            "has more than 10,000 values, counted through its aliases; write them",
        ),
    ],
    ids=range(14),
)
def test_yaml_that_is_made_to_do_harm_is_one_line(
    old: str, new: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text((LAUGHS if "*i" in new else "") + text.replace(old, new, 1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FacegenderError) as raised:
        load_params(path)
    assert str(raised.value).startswith(f"{path}: {words}")
    assert "\n" not in str(raised.value)
    assert not Path("ran").exists()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "params.yaml")

    with pytest.raises(
        FacegenderError, match=r"params\.yaml: a pipe or a device, not a file; write it to a file first"
    ):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 5_000], ids=["lists", "maps"])
def test_yaml_that_is_too_deep_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"params\.yaml: nested too deeply; start from"):
        load_params(tmp_path / "params.yaml")
