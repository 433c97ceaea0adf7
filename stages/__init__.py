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

# So that an error's line does not follow TensorFlow's messages about missing hardware.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
