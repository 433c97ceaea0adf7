"""Which engine is chosen on a machine; the tests need neither a GPU nor TensorFlow."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from facegender.network.engines import choice as engine
from facegender.network.engines.choice import choose_engine, make_engine
from facegender.network.engines.openvino import OpenVinoEngine
from tests.paths import ROOT


class FakeEngine:
    """Replaces TensorFlow's engine and keeps its arguments."""

    def __init__(self, weights: Path, trainable_from: str, policy: str) -> None:
        """Keep the arguments."""
        self.arguments = (weights, trainable_from, policy)


def machine(monkeypatch: pytest.MonkeyPatch, driver: bool, policy: str | None) -> None:
    """Simulate a machine with or without NVIDIA's driver, on which TensorFlow would choose this policy for a GPU."""
    module = ModuleType("facegender.network.engines.tensorflow")
    module.__dict__.update(claim_gpu=lambda half_precision: policy, TensorFlowEngine=FakeEngine)
    monkeypatch.setitem(sys.modules, "facegender.network.engines.tensorflow", module)
    monkeypatch.setattr(engine, "_has_nvidia_driver", lambda: driver)


@pytest.mark.parametrize("policy", ["mixed_float16", "float32"])
def test_a_gpu_gets_tensorflow_in_the_precision_that_suits_it(monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    machine(monkeypatch, driver=True, policy=policy)

    name = choose_engine(half_precision=True)
    made = make_engine(name, Path("weights.h5"), "mixed8", Path("networks"))

    assert name == f"TensorFlow {policy}"
    assert isinstance(made, FakeEngine)
    assert made.arguments == (Path("weights.h5"), "mixed8", policy)


@pytest.mark.parametrize(
    ("driver", "policy"),
    [pytest.param(True, None, id="hidden from TensorFlow"), pytest.param(False, "float32", id="no driver")],
)
def test_without_a_gpu_openvino_runs(monkeypatch: pytest.MonkeyPatch, driver: bool, policy: str | None) -> None:
    machine(monkeypatch, driver, policy)

    name = choose_engine(half_precision=True)

    assert name == "OpenVINO float32"
    assert isinstance(make_engine(name, Path("weights.h5"), "mixed8", Path("networks")), OpenVinoEngine)


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
        "name = choice.choose_engine(half_precision=True)\n"
        "choice.make_engine(name, Path('weights.h5'), 'mixed8', Path('networks'))\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )

    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout

    assert printed.strip() == b"set()"
