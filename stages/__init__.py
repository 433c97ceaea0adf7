"""The pipeline's stages, each run by DVC as `python -m stages.NAME`."""

import os
import sys
from pathlib import Path

# The library beside the stages, whichever one is installed: a copy of the repository, as `dvc queue` makes one for each
# experiment, must run its own code.
SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SOURCE))

import facegender  # noqa: E402

if SOURCE not in Path(facegender.__file__).resolve().parents:
    sys.exit(f"error: {facegender.__file__}: not the code of this folder, {SOURCE}; run: python -m stages.NAME")

# A user's mistake is one line, and not below TensorFlow's talk of what this machine lacks.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
