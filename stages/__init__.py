"""The pipeline's stages, each run by DVC as `python -m stages.NAME`."""

import sys
from pathlib import Path

# Use the library beside the stages, even if another one is installed: a copy of the repository, such as those that
# `dvc queue` makes, must run its own code.
SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SOURCE))

import facegender  # noqa: E402

if SOURCE not in Path(facegender.__file__).resolve().parents:
    sys.exit(f"error: {facegender.__file__}: not the code of this folder, {SOURCE}; run: python -m stages.NAME")

from facegender.errors import tell_in_one_line  # noqa: E402
from facegender.network.startup import configure_tensorflow  # noqa: E402

# A stage's imports take seconds, in which Ctrl-C may be pressed too.
sys.excepthook = tell_in_one_line
configure_tensorflow()
