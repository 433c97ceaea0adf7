"""Models of every released version are opened by this one, and predict what they predicted then."""

import json
from importlib import metadata
from pathlib import Path

import pytest

import facegender
from facegender.serving.classifier import load_classifier
from tests.model.versions import VERSIONS, probe_images

EVERY = sorted(path.parent for path in VERSIONS.glob("*/expected.json"))


def check(path: Path) -> None:
    expected = json.loads(path.with_name("expected.json").read_text(encoding="utf-8"))
    model = load_classifier(path)

    assert model.threshold == expected["threshold"]
    probabilities = model.predict(probe_images(model.height, model.width)).tolist()
    assert probabilities == pytest.approx(expected["probabilities"], abs=2e-5)
    # They differ, so that a network that has lost its weights is noticed.
    assert max(probabilities) - min(probabilities) > 0.05
    assert any("drawn faces" in notice for notice in model.notices)


def test_this_version_is_among_them() -> None:
    assert metadata.version("facegender") in [folder.name for folder in EVERY]


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_an_onnx_file_of_any_version_is_read(folder: Path) -> None:
    check(folder / "gender.onnx")
    assert facegender.load_model(folder / "gender.onnx").threshold == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_a_keras_file_of_any_version_is_read(folder: Path) -> None:
    check(folder / "gender.keras")
