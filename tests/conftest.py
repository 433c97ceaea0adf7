"""Settings for all tests."""

import os

from hypothesis import Phase, settings

from facegender.network.startup import configure_tensorflow

# As in the stages and commands.
configure_tensorflow()

# How long an example takes depends on what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
# Of `make mutants`, which needs to know only that a test fails, and the same in every run.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)

# `make test` passes its own flags on, and tests run make too: as a user's command, not as a part of `make test`.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)
