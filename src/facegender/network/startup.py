"""How TensorFlow starts: without its messages, and with oneDNN."""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

NOISY = ("keras", "tensorflow")
"""Modules whose libraries write to standard error, about missing hardware, when they are imported."""


def load_tensorflow() -> None:
    """Configure TensorFlow, and import it and Keras."""
    configure_tensorflow()
    import keras  # noqa: F401
    import tensorflow  # noqa: F401


def configure_tensorflow() -> None:
    """Discard what TensorFlow and Keras write to standard error while they are imported, and switch on oneDNN.

    Without oneDNN, which TensorFlow uses by default only on processors with AVX512-VNNI or later instructions, training
    takes 1.4 to 2.9 times as long on those with AVX2 (benchmarks/README.md). TF_ENABLE_ONEDNN_OPTS=0 in the environment
    switches it off.

    This itself imports neither. Errors are raised as usual, and below what was written before them. If the process is
    killed while it imports them, for instance because the processor lacks an instruction, nothing is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


@contextmanager
def discarded(*descriptors: int) -> Iterator[None]:
    """Discard what is written to file descriptors, such as 2 for standard error, unless the block raises an error.

    C++ libraries bypass Python's streams, and some write before any setting of theirs takes effect.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in descriptors]
    with tempfile.TemporaryFile() as written:
        for descriptor in descriptors:
            os.dup2(written.fileno(), descriptor)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in zip(descriptors, kept, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            if failed:
                written.seek(0)
                os.write(2, written.read())


class _QuietFinder(MetaPathFinder):
    """Finds the modules of NOISY where Python would, and imports them quietly."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in NOISY else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_quietly(module: ModuleType) -> None:
            with discarded(2):
                run(module)

        spec.loader.exec_module = run_quietly  # type: ignore[method-assign]
        return spec
