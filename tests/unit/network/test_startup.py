"""TensorFlow's messages, with a package in its place that writes to standard error as TensorFlow's libraries do."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

NOISE = """
import os
os.write(2, b"I0000 Could not find cuda drivers on your machine\\n")
"""
LATER = """
import sys
def use():
    print("an error of use", file=sys.stderr)
"""


def run(folder: Path, tensorflow: str, code: str) -> subprocess.CompletedProcess[str]:
    for name, content in (("tensorflow", tensorflow), ("keras", f"import tensorflow{NOISE}")):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(content, encoding="utf-8")
    code = f"import sys; sys.path[:0] = {[str(folder), str(ROOT / 'src')]}\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(
    "code",
    [
        "import facegender.network.startup as s; s.configure_tensorflow(); import keras, tensorflow; tensorflow.use()",
        "import facegender.network.startup as s; s.configure_tensorflow(); import tensorflow as tf; tf.use()",
        "import facegender.network.startup as s; s.load_tensorflow(); import tensorflow as tf; tf.use()",
    ],
)
def test_messages_of_the_import_are_discarded_and_later_ones_are_not(code: str, tmp_path: Path) -> None:
    done = run(tmp_path, NOISE + LATER, f"{code}; print('result')")

    assert (done.stdout, done.stderr, done.returncode) == ("result\n", "an error of use\n", 0)


def test_an_error_of_the_import_comes_with_all_that_was_written_before(tmp_path: Path) -> None:
    code = "import facegender.network.startup as s; s.configure_tensorflow(); import tensorflow"
    done = run(tmp_path, NOISE + "raise ImportError('libcudart.so is broken')", code)

    assert done.returncode == 1
    assert "Could not find cuda drivers" in done.stderr
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("ImportError: libcudart.so is broken\n")


def test_nothing_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = "import facegender.network.startup as s; s.configure_tensorflow(); print('tensorflow' in sys.modules)"

    assert run(tmp_path, NOISE, code).stdout == "False\n"


@pytest.mark.parametrize(("set_to", "expected"), [(None, "1"), ("0", "0")])
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is chosen on x86-64 alone")
def test_onednn_is_on_unless_the_environment_says_otherwise(
    set_to: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if set_to:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", set_to)
    code = "import facegender.network.startup as s; s.configure_tensorflow(); import tensorflow"

    assert run(tmp_path, "import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])", code).stdout == f"{expected}\n"


def test_a_stage_is_quiet(tmp_path: Path) -> None:
    code = (
        f"sys.path.insert(1, {str(ROOT)!r}); import stages, keras; print(sorted(set(sys.modules) & {{'tensorflow'}}))"
    )
    done = run(tmp_path, NOISE, code)

    assert (done.stdout, done.stderr) == ("['tensorflow']\n", "")
