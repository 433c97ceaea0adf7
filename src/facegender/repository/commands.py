"""Git and DVC run as commands in this folder."""

import subprocess
import sys

from facegender.errors import FacegenderError


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Git command; the caller checks its exit status. Bytes that are not UTF-8 are replaced."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", errors="replace")


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a DVC command; the caller checks its exit status."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a DVC command printed to standard output.

    Raises:
        FacegenderError: it failed; with DVC's own error lines.
    """
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        messages = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        command = " ".join(["dvc", *done.args[3:]])
        raise FacegenderError(command, " ".join(messages) or "it failed", "run it on its own to see more")
    return done.stdout
