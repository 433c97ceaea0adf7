"""The pipeline's stages, each run by DVC as `python -m stages.NAME`."""

import os

# A user's mistake is one line, and not below TensorFlow's talk of what this machine lacks.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
