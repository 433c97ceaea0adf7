"""`facegender.load_model`, the entry for Python programs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facegender
from facegender.errors import FacegenderError
from tests.onnx_model import save_mean_network


def test_a_loaded_model_gives_the_probability_of_male_and_its_threshold(tmp_path: Path) -> None:
    save_mean_network(tmp_path / "gender.onnx", 6, 4, 0.25)
    images = np.zeros((3, 6, 4, 3), np.uint8)
    images[1] = 51
    images[2] = 255

    model = facegender.load_model(str(tmp_path / "gender.onnx"))

    assert model.predict(images) == pytest.approx([0, 0.2, 1])
    assert (model.threshold, model.height, model.width) == (0.25, 6, 4)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FacegenderError, match=r"gender\.onnx: no such file"):
        facegender.load_model(tmp_path / "gender.onnx")


def test_importing_the_package_imports_nothing_but_the_standard_library() -> None:
    program = "import sys; before = set(sys.modules); import facegender; print(*set(sys.modules) - before)"

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert {module.split(".")[0] for module in done.stdout.split()} - sys.stdlib_module_names == {"facegender"}
