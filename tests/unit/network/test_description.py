"""What a model says of itself, to whoever uses it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from facegender.errors import FacegenderError
from facegender.network.description import DEMO, notices, read_description

WORSE = "Worse than its baseline: 0.60 against 0.70 on 400 test images (difference -0.15 to -0.05)."


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "gender.onnx"
    path.write_bytes(b"a model")
    return path


def describe(model: Path, **changes: Any) -> Path:
    content = {
        "model_md5": hashlib.md5(model.read_bytes()).hexdigest(),
        "standing": "better",
        "sentence": "Better.",
    } | changes
    path = model.with_suffix(".json")
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_model_alone_has_no_description(model: Path) -> None:
    assert read_description(model) is None


def test_the_description_beside_a_model_is_read(model: Path) -> None:
    describe(model, standing="worse", sentence=WORSE)
    description = read_description(model)
    assert description is not None
    assert description["sentence"] == WORSE


@pytest.mark.parametrize("place", range(len(b"a model")))
def test_a_model_with_a_changed_byte_is_not_the_one_described(model: Path, place: int) -> None:
    describe(model)
    content = bytearray(model.read_bytes())
    content[place] ^= 1
    model.write_bytes(content)
    with pytest.raises(FacegenderError, match=r"gender\.json: does not describe .*gender\.onnx"):
        read_description(model)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"{}", b"\xff", b'{"model_md5": "1", "standing": "worse"}']
)
def test_a_damaged_description_is_named(model: Path, content: bytes) -> None:
    describe(model).write_bytes(content)
    with pytest.raises(
        FacegenderError, match=r"gender\.json: (damaged: |not UTF-8 text)[^;]*; run: dvc checkout --force "
    ):
        read_description(model)


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        ({}, ()),
        ({"drawn": False}, ()),
        ({"drawn": True}, (DEMO,)),
        ({"drawn": False, "standing": "better", "sentence": "Better."}, ()),
        ({"drawn": False, "standing": "worse", "sentence": WORSE}, (WORSE,)),
        ({"drawn": False, "standing": "unclear", "sentence": "No better."}, ("No better.",)),
        ({"drawn": True, "standing": "worse", "sentence": WORSE}, (DEMO, WORSE)),
    ],
)
def test_what_must_be_known_first_is_shown(described: dict[str, Any], shown: tuple[str, ...]) -> None:
    assert notices(described) == shown
