"""The threads that the OpenVINO engine computes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facegender.network.engines.openvino import BATCH, OpenVinoEngine
from facegender.network.onnx_file import part
from facegender.network.sidecar import IMAGE, PROBABILITIES
from tests.functional.small_network import BLOCK, make_network


def cores(task: Path) -> str:
    """Return the cores that the kernel may run a thread on."""
    return next(line for line in (task / "status").read_text().splitlines() if line.startswith("Cpus_allowed_list"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core is all that a thread can have")
def test_threads_of_a_limited_process_may_run_on_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    size = (40 * BLOCK, 40 * BLOCK)
    engine = OpenVinoEngine(part(make_network(size, np.zeros(3 * 40 * 40), 0.0), IMAGE, PROBABILITIES))
    seen: set[str] = set()

    # A thread is pinned only while it computes: so this looks while images are read.
    def images() -> Iterator[np.ndarray]:
        for _ in range(5 * BATCH):
            seen.update(cores(task) for task in Path("/proc/self/task").iterdir())
            yield np.zeros((*size, 3), np.uint8)

    engine(images())

    assert seen == {cores(Path("/proc/self"))}


def test_nothing_about_its_use_is_sent_or_kept(tmp_path: Path) -> None:
    program = "import sys, facegender.network.engines.openvino; print(sys.modules['openvino_telemetry'])"
    # OpenVINO reports nothing from a job of CI.
    ci = ("CI", "TF_BUILD", "JENKINS_URL")
    environment = {name: value for name, value in os.environ.items() if name not in ci} | {"HOME": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr
    # It would keep an identity for its reports there.
    assert list(tmp_path.iterdir()) == []
