"""Settings for all tests."""

import os

from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# `make test` passes its own flags on, and tests run make too: as a user's command, not as a part of `make test`.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)
