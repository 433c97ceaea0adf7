"""Which engine is chosen on a machine; the tests need neither a GPU nor TensorFlow."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import onnx
import pytest

from facegender.network.engines import choice as engine
from facegender.network.engines.choice import choose_engine, make_engine
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.sidecar import Precision
from tests.paths import ROOT

TRUNK = onnx.ModelProto()
BACKBONE = Path("backbone.keras")


class FakeEngine:
    """Replaces TensorFlow's engine and keeps its arguments."""

    def __init__(self, backbone: Path, trainable_from: str, precision: str) -> None:
        """Keep the arguments."""
        self.arguments = (backbone, trainable_from, precision)


def machine(monkeypatch: pytest.MonkeyPatch, driver: bool, gpu: bool) -> None:
    """Simulate a machine with or without NVIDIA's driver, on which TensorFlow can or cannot use a GPU."""
    module = ModuleType("facegender.network.engines.tensorflow")
    module.__dict__.update(claim_gpu=lambda: gpu, TensorFlowEngine=FakeEngine)
    monkeypatch.setitem(sys.modules, "facegender.network.engines.tensorflow", module)
    monkeypatch.setattr(engine, "_has_nvidia_driver", lambda: driver)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_gpu_gets_tensorflow_in_the_precision_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    machine(monkeypatch, driver=True, gpu=True)

    name = choose_engine()
    made = make_engine(name, TRUNK, BACKBONE, "mixed8", precision)

    assert name == "TensorFlow"
    assert isinstance(made, FakeEngine)
    assert made.arguments == (BACKBONE, "mixed8", precision)


@pytest.mark.parametrize(
    ("driver", "gpu"),
    [pytest.param(True, False, id="hidden from TensorFlow"), pytest.param(False, True, id="no driver")],
)
def test_without_a_gpu_openvino_runs(monkeypatch: pytest.MonkeyPatch, driver: bool, gpu: bool) -> None:
    machine(monkeypatch, driver, gpu)

    name = choose_engine()

    assert name == "OpenVINO"
    assert isinstance(make_engine(name, TRUNK, BACKBONE, "mixed8", "float32"), OpenVinoEngine)


def test_on_a_cluster_openvino_runs_even_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, driver=True, gpu=True)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")

    assert choose_engine() == "OpenVINO"


def test_nvidia_smi_on_the_path_counts_as_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert engine._has_nvidia_driver()


def test_without_a_driver_the_stage_loads_no_tensorflow() -> None:
    program = (
        "import sys; from pathlib import Path; import stages.features; from facegender.network.engines import choice\n"
        "choice._has_nvidia_driver = lambda: False\n"
        "name = choice.choose_engine()\n"
        "choice.make_engine(name, None, Path('backbone.keras'), 'mixed8', 'bfloat16')\n"
        "choice.has_bfloat16(name)\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )

    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout

    assert printed.strip() == b"set()"
