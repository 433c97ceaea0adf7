"""Git and DVC in this folder: run as commands, or DVC's project opened."""

import getpass
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facegender.errors import FacegenderError

if TYPE_CHECKING:
    from dvc.repo import Repo

# Git, and libgit2 in DVC, about a repository that another user owns.
_NOT_OWNED = (re.compile(r"dubious ownership in repository at '(.+?)'"), re.compile(r"path '(.+?)' is not owned"))


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Git command; the caller checks its exit status. Bytes that are not UTF-8 are replaced.

    Raises:
        FacegenderError: Git refuses the repository because another user owns it, as in a container.
    """
    done = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"LC_ALL": "C"},  # Its messages are read here.
    )
    check_owner(done.stderr if done.returncode else "")
    return done


def check_owner(messages: str) -> None:
    """Raise a FacegenderError if messages of Git or DVC say that another user owns the repository."""
    for pattern in _NOT_OWNED:
        if found := pattern.search(messages):
            remedy = f"if you trust it, run: git config --global --add safe.directory {found[1]}"
            raise FacegenderError(found[1], "another user owns this repository, so Git does not read it", remedy)


def check_not_shallow(revision: str, repo: str = ".") -> None:
    """Raise a FacegenderError about an unknown revision if this is a clone without older commits, as CI makes."""
    if git("-C", repo, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        remedy = "get all revisions: git fetch --unshallow --tags"
        raise FacegenderError(revision, "not in this shallow clone", remedy)


def check_user() -> None:
    """Check that this user has a name and a home directory, without which DVC ends in a traceback.

    Raises:
        FacegenderError: it has not, as in a container that runs as a number.
    """
    try:
        Path.home()
        getpass.getuser()
    # KeyError: the name, before Python 3.13; OSError: since then.
    except (RuntimeError, KeyError, OSError) as error:
        what = "this user has no home directory or no name, which DVC needs"
        raise FacegenderError("HOME and USER", what, "set both, such as: export HOME=/tmp/me USER=me") from error


@contextmanager
def open_project() -> Iterator["Repo"]:
    """Yield the DVC project that this folder is in.

    Raises:
        FacegenderError: it is in none, or DVC cannot read it, in the block either; or as `check_user`.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    check_user()
    try:
        with Repo() as repository:
            yield repository
    except NotDvcRepoError as error:
        raise FacegenderError(Path.cwd(), "not in a DVC project", "run this in the project's folder") from error
    except DvcException as error:
        what = f"DVC cannot read this project ({' '.join(str(error).split())})"
        raise FacegenderError(Path.cwd(), what, "run dvc status, to see more") from error


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a DVC command; the caller checks its exit status.

    Raises:
        FacegenderError: as `check_user`.
    """
    check_user()
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a DVC command printed to standard output.

    Raises:
        FacegenderError: it failed; with DVC's own error lines.
    """
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        check_owner(done.stderr)
        messages = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        command = " ".join(["dvc", *done.args[3:]])
        raise FacegenderError(command, " ".join(messages) or "it failed", "run it on its own to see more")
    return done.stdout
