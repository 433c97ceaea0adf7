"""TensorFlow without its start-up messages."""

import os
import sys


def load_tensorflow() -> None:
    """Import TensorFlow and Keras, and discard what their libraries write to standard error about missing hardware.

    The libraries bypass Python's streams and write before any setting takes effect. Errors are raised as usual.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
